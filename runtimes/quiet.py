"""Whether a machine is quiet enough for a run: what others take of it, and how late its timers are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from experiment.units import format_duration
from runtimes.machine import Family, Use, read_machine

STEP_S = 0.002  # as a generator of load sleeps between two operations
LATE_S = 0.01  # 1% of an objective of one second: more of the generator's lag needs judging twice


@dataclass(frozen=True, slots=True)
class Quietness:
    """One measurement. `late_s`: 99 of 100 timers fire that late at most; `load`: the load average of the
    last minute."""

    use: Use
    late_s: float
    load: float

    def __str__(self) -> str:
        use = self.use
        waited = "the kernel does not say for how long something waited (no PSI)"
        if "cpu" in use.waiting:
            waited = f"something waited for CPU {use.waiting['cpu']:.0%} of the time"
        return (
            f"{use.idle:.1f} of {use.cores} cores free, others take {use.others:.1f}, "
            f"timers {_shown(self.late_s)} late (p99), {waited}, load average {self.load:.1f}"
        )


def measure(seconds: float) -> Quietness:
    """Look for so many seconds. Raises OSError where the kernel does not say what others use."""
    family = Family(os.getpid())
    family.use(read_machine())
    late: list[float] = []
    end = time.monotonic() + seconds
    while (due := time.monotonic() + STEP_S) < end or not late:
        time.sleep(STEP_S)
        late.append(time.monotonic() - due)
    use = family.use(read_machine())
    assert use is not None
    late.sort()
    return Quietness(use, late[int(0.99 * (len(late) - 1))], os.getloadavg()[0])


def _shown(seconds: float) -> str:
    return format_duration(round(seconds, 4))
