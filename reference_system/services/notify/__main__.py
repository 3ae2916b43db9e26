"""The process: `python -m reference_system.services.notify --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.notify.service import Notify

serve(Notify)
