"""The process: `python -m reference_system.services.eligibility --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.eligibility.service import Eligibility

serve(Eligibility)
