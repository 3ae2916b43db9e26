"""The process: `python -m reference_system.services.telemetry --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.telemetry.service import Telemetry

serve(Telemetry)
