"""The process: `python -m reference_system.services.prescriptions --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.prescriptions.service import Prescriptions

serve(Prescriptions)
