"""The process: `python -m reference_system.services.checkin --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.checkin.service import Checkin

serve(Checkin)
