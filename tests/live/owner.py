"""A process that owns an instance of containers: `python -m tests.live.owner VAR`; it says `up` and waits."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from runtimes.containers.runtime import ContainersRuntime
from tests.standin.containers import STANDIN
from tests.standin.systems import pair, settings

if __name__ == "__main__":
    system = pair(stores=True)
    print("begins", flush=True)
    ContainersRuntime(system, Path(sys.argv[1]), STANDIN).start(settings(system))
    print("up", flush=True)
    time.sleep(60)
