"""The process: `python -m reference_system.services.billing --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.billing.service import Billing

serve(Billing)
