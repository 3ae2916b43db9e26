"""Running a container out of memory: it may have what it uses, and then more is asked for."""

from __future__ import annotations

import contextlib
import time

from experiment.errors import StartError
from runtimes.containers.engine import Engine
from runtimes.docker_engine import EngineError

ROOM_BYTES = 24 * 2**20  # enough for an interpreter to start
# The service is put first in line before memory runs out: a small one would outlive the process that asks.
GREEDY = """\
open('/proc/1/oom_score_adj', 'w').write('1000')
kept = []
while True:
    kept.append(b'x' * 262144)
"""
TRIALS = 5
DEADLINE_S = 5.0


def squeeze_memory(engine: Engine, container: str) -> None:
    """The kernel ends the first process of the container: the service. Raises EngineError, StartError.

    A limit below what is in use is refused by the kernel, so the limit leaves a little room, which a second
    process inside then takes.
    """
    for _ in range(TRIALS):
        engine.limit_memory(container, engine.memory_in_use(container) + ROOM_BYTES)
        with contextlib.suppress(EngineError):  # its container ended while it ran, as it should
            engine.run(container, ("python3", "-S", "-c", GREEDY))
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            state = engine.state(container)
            if state.status == "exited":
                return
            if not state.oom_killed:
                break
            time.sleep(0.02)
    raise StartError(f"{container} was not ended by the kernel at a memory limit of what it uses: {state}")
