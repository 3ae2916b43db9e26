"""How long the system takes to be ready, reset and stopped, and how true injected faults are.

`python -m benchmarks.runtime [--rounds N]`: the reference system on the processes runtime, without load.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.lifecycle import lifecycles, resets, spread, tell_machine
from execution.catalogue import default_catalogue
from experiment.controls import Controls, Fault
from faults.bandwidth import Bandwidth
from faults.blackhole import Blackhole
from faults.crash import Crash
from faults.latency import Latency
from faults.lost_response import LostResponse
from faults.pause import Pause
from faults.refusal import Refusal
from faults.reset import Reset
from runtimes.links.conversations import Opener
from runtimes.processes.runtime import ProcessesRuntime

PROBES = 30
LINKS = ("billing -> payments", "pharmacy -> postgres", "pharmacy -> bus")
PLANNED: tuple[tuple[Fault, str], ...] = (
    *((Latency(0.5), link) for link in LINKS),
    (Bandwidth(100_000.0), LINKS[0]),
    (Blackhole(), LINKS[0]),
    (Refusal(), LINKS[0]),
    (Reset(), LINKS[0]),
    (LostResponse(0.2), LINKS[0]),
    (Crash(), "billing"),
    (Pause(), "billing"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured")
    rounds: int = parser.parse_args().rounds
    tell_machine()
    with tempfile.TemporaryDirectory(prefix="codeblue-bench-") as folder:
        Path(folder).chmod(0o755)
        runtime = lifecycles(lambda: ProcessesRuntime(default_catalogue().system(), Path(folder)), rounds)
        try:
            resets(runtime, rounds)
            for link in LINKS:
                latency_error(runtime, link)
            for fault, target in PLANNED:
                punctuality(runtime.controls(), fault, target, rounds)
        finally:
            runtime.stop()


def latency_error(runtime: ProcessesRuntime, link: str) -> None:
    """Added round-trip time against the one asked for, one trip after the other on one connection."""
    controls = runtime.controls()
    for asked in (0.02, 0.1):
        fault = Latency(asked)
        before = trips(runtime, link)
        fault.inject(controls, link, "f1")
        during = trips(runtime, link)
        fault.heal(controls, link, "f1")
        added = [1e3 * (trip - median(before)) for trip in during]
        errors = sorted(abs(one - 1e3 * asked) for one in added)
        print(
            f"latency {1e3 * asked:3.0f} ms     {link}: added p50 {median(added):.2f} ms, "
            f"error p50 {median(errors):.2f}, p90 {errors[int(0.9 * len(errors))]:.2f} ms"
        )


def trips(runtime: ProcessesRuntime, link: str) -> list[float]:
    """Round trips over one connection of the link, in seconds."""
    conversation = Opener(runtime.system.link(link).protocol, runtime.door(link)).open(5.0)
    try:
        return [conversation.exchange(5.0) for _ in range(PROBES)]
    finally:
        conversation.close()


def punctuality(controls: Controls, fault: Fault, target: str, rounds: int) -> None:
    """From the planned instant until the control has done it, for the start and for the heal."""
    starts: list[float] = []
    heals: list[float] = []
    for _ in range(rounds):
        fault.measure(controls, target)
        starts.append(at(time.monotonic() + 0.1, partial(fault.inject, controls, target, "f1")))
        heals.append(at(time.monotonic() + 0.1, partial(fault.heal, controls, target, "f1")))
    print(
        f"planned {fault.kind:<14} {target}: in force {spread(starts, 1e3)} ms after the plan, "
        f"healed {spread(heals, 1e3)} ms after it"
    )


def at(planned: float, act: Callable[[], None]) -> float:
    """Wait for the instant, act, and say how long after it the act was done, in seconds."""
    time.sleep(max(0.0, planned - time.monotonic()))
    act()
    return time.monotonic() - planned


if __name__ == "__main__":
    main()
