"""The process: `python -m reference_system.services.analytics --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.analytics.service import Analytics

serve(Analytics)
