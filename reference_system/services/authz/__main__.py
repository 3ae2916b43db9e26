"""The process: `python -m reference_system.services.authz --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.authz.service import Authz

serve(Authz)
