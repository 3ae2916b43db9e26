"""SIGKILL of a command at the lines of its journal and at calls of the engine: its guard leaves nothing.

`pytest` plays a sample of the points; `python -m benchmarks.killed_anywhere` plays all of them.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.live
SAMPLE = ("journal:1", "journal:2", "journal:9", "journal:20", "journal:34")
