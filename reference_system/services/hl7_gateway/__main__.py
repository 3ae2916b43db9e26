"""The process: `python -m reference_system.services.hl7_gateway --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.hl7_gateway.service import Hl7Gateway

serve(Hl7Gateway)
