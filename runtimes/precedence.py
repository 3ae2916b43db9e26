"""While a run is played the harness goes first: one that waits for a core injects late and judges late,
however quick the system under test is. It uses a tenth of a core.

Linux keeps a nice value for each thread. What starts the parts of the system is left as it is, since they
inherit it: the system under test stands no better than it did. Needs the right to go first; without it
nothing changes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from experiment.children import STARTER

NICE = -10  # as the generator of the load


@contextmanager
def going_first() -> Iterator[int]:
    """For the length of a `with` block, with the nice value that it has brought. Threads that are started
    meanwhile by those that go first do so too."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    if usual <= NICE:
        yield usual
        return
    _set(NICE)
    try:
        yield os.getpriority(os.PRIO_PROCESS, 0)
    finally:
        _set(usual)


def _set(nice: int) -> None:
    """Of all threads of this process but those that start children."""
    left = {thread.native_id for thread in threading.enumerate() if thread.name.startswith(STARTER)}
    for task in os.listdir("/proc/self/task"):
        if int(task) not in left:
            with suppress(OSError):  # no right to it, or the thread has ended
                os.setpriority(os.PRIO_PROCESS, int(task), nice)
