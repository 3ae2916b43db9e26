"""The process: `python -m reference_system.services.pharmacy --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.pharmacy.service import Pharmacy

serve(Pharmacy)
