"""The process: `python -m reference_system.services.sms --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.sms.service import Sms

serve(Sms)
