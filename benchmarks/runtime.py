"""How long the system takes to be ready, reset and stopped, and how true injected faults are.

`python -m benchmarks.runtime [--rounds N]`: the reference system on the processes runtime, without load.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from execution.catalogue import default_catalogue
from execution.runs.facts import machine
from experiment.controls import Controls, Fault
from experiment.population import generate
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
from runtimes.runtime import RunSettings

PATIENTS = 200
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
    facts = machine()
    print(f"machine            {facts['cores']} cores, {facts['memory']}, {facts['cpu']}")
    with tempfile.TemporaryDirectory(prefix="codeblue-bench-") as folder:
        Path(folder).chmod(0o755)
        runtime = lifecycles(Path(folder), rounds)
        try:
            resets(runtime, rounds)
            for link in LINKS:
                latency_error(runtime, link)
            for fault, target in PLANNED:
                punctuality(runtime.controls(), fault, target, rounds)
        finally:
            runtime.stop()


def run_of(design: str, number: int) -> RunSettings:
    catalogue = default_catalogue()
    return RunSettings(
        f"r-{number}", number, catalogue.design(design, catalogue.system()), generate(PATIENTS, number)
    )


def lifecycles(var: Path, rounds: int) -> ProcessesRuntime:
    """Start and stop a few times; the first start makes the databases. One is left running."""
    starts: list[float] = []
    stops: list[float] = []
    while True:
        runtime = ProcessesRuntime(default_catalogue().system(), var)
        began = time.monotonic()
        runtime.start(run_of("fragile", 0))
        starts.append(time.monotonic() - began)
        if len(starts) > rounds:
            break
        began = time.monotonic()
        runtime.stop()
        stops.append(time.monotonic() - began)
    described = runtime.describe()
    print(f"ground             Toxiproxy {described.toxiproxy}, {dict(described.versions)}")
    print(f"first start        {starts[0]:.2f} s until ready and reset")
    print(f"later starts       {spread(starts[1:], 1)} s")
    print(f"stop               {spread(stops, 1)} s")
    return runtime


def resets(runtime: ProcessesRuntime, rounds: int) -> None:
    """Reset between runs, to the same design and to another."""
    for title, designs in (("same design", ["resilient"]), ("other design", ["fragile", "resilient"])):
        seconds: list[float] = []
        runtime.reset(run_of(designs[-1], 0))
        for number in range(rounds):
            run = run_of(designs[number % len(designs)], number)
            began = time.monotonic()
            runtime.reset(run)
            seconds.append(time.monotonic() - began)
        print(f"reset, {title:<12} {spread(seconds, 1e3)} ms, {PATIENTS} patients")


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


def spread(values: Sequence[float], factor: float) -> str:
    """Median and worst."""
    return f"p50 {factor * median(values):.2f}, max {factor * max(values):.2f}"


if __name__ == "__main__":
    main()
