"""The process: `python -m reference_system.services.registry --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.registry.service import Registry

serve(Registry)
