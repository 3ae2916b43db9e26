"""The process: `python -m reference_system.services.router --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.router.service import Router

serve(Router)
