"""The process: `python -m reference_system.services.lab --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.lab.service import Lab

serve(Lab)
