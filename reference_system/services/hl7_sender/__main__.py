"""The process: `python -m reference_system.services.hl7_sender --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.hl7_sender.service import Hl7Sender

serve(Hl7Sender)
