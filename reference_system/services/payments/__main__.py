"""The process: `python -m reference_system.services.payments --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.payments.service import Payments

serve(Payments)
