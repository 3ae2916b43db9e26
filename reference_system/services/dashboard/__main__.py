"""The process: `python -m reference_system.services.dashboard --config FILE.json`."""

from reference_system.common.server import serve
from reference_system.services.dashboard.service import Dashboard

serve(Dashboard)
