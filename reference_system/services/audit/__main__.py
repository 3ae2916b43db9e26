"""The process: `python -m reference_system.services.audit --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.audit.service import Audit

serve(Audit)
