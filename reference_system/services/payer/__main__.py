"""The process: `python -m reference_system.services.payer --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.payer.service import Payer

serve(Payer)
