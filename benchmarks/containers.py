"""How long the system in containers takes to be ready, reset and removed, and how soon its faults act.

`python -m benchmarks.containers [--rounds N]`: the reference system on the containers runtime, without load.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from execution.catalogue import default_catalogue
from execution.runs.facts import machine
from experiment.controls import Controls, Fault
from experiment.population import generate
from faults.blackhole import Blackhole
from faults.clock_skew import ClockSkew
from faults.cpu_limit import CpuLimit
from faults.crash import Crash
from faults.disk_full import DiskFull
from faults.latency import Latency
from faults.network_disconnect import NetworkDisconnect
from faults.out_of_memory import OutOfMemory
from faults.packet_loss import PacketLoss
from faults.pause import Pause
from runtimes.containers.engine_images import Images
from runtimes.containers.images import IMAGES
from runtimes.containers.recipes import name_of
from runtimes.containers.runtime import ContainersRuntime
from runtimes.links.controls import split_ms
from runtimes.runtime import RunSettings

PATIENTS = 200
PROBES = 30
LINK = "billing -> payments"
PLANNED: tuple[tuple[Fault, str], ...] = (
    (Latency(0.5), LINK),
    (Blackhole(), LINK),
    (PacketLoss(0.3), LINK),
    (Crash(), "billing"),
    (Crash(), "postgres"),
    (Crash(), "bus"),
    (Pause(), "billing"),
    (CpuLimit(0.1), "billing"),
    (OutOfMemory(), "billing"),
    (NetworkDisconnect(), "billing"),
    (DiskFull(), "postgres"),
    (ClockSkew(300.0), "billing"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured")
    rounds: int = parser.parse_args().rounds
    facts = machine()
    print(f"machine            {facts['cores']} cores, {facts['memory']}, {facts['cpu']}")
    sizes()
    with tempfile.TemporaryDirectory(prefix="codeblue-bench-") as folder:
        runtime = lifecycles(Path(folder), rounds)
        try:
            resets(runtime, rounds)
            latency_error(runtime.controls())
            for fault, target in PLANNED:
                speed(runtime.controls(), fault, target, rounds)
        finally:
            runtime.stop()


def sizes() -> None:
    images = Images()
    for image in IMAGES:
        found = images.find(name_of(image))
        print(f"image {image:<12} {found.size_bytes / 1e6:.0f} MB in all layers" if found else f"no {image}")
    images.close()


def run_of(design: str, number: int) -> RunSettings:
    catalogue = default_catalogue()
    chosen = catalogue.design(design, catalogue.system())
    return RunSettings(f"r-{number}", number, chosen, generate(PATIENTS, number))


def lifecycles(var: Path, rounds: int) -> ContainersRuntime:
    """Start and remove a few times; one is left running."""
    starts: list[float] = []
    stops: list[float] = []
    while True:
        runtime = ContainersRuntime(default_catalogue().system(), var)
        began = time.monotonic()
        runtime.start(run_of("fragile", 0))
        starts.append(time.monotonic() - began)
        if len(starts) > rounds:
            print(f"system up          {told(starts)}")
            print(f"removed, verified  {told(stops)}")
            return runtime
        began = time.monotonic()
        runtime.stop()
        stops.append(time.monotonic() - began)


def resets(runtime: ContainersRuntime, rounds: int) -> None:
    """From one run to the next, with and without another design."""
    for what, designs in {"same design": ("fragile",), "other design": ("resilient", "fragile")}.items():
        times: list[float] = []
        for number in range(rounds):
            run = run_of(designs[number % len(designs)], number)
            began = time.monotonic()
            runtime.reset(run)
            times.append(time.monotonic() - began)
        print(f"reset, {what:<13}{told(times)}")


def latency_error(controls: Controls) -> None:
    """Round trips through a link with a known delay, against the same link without."""
    link = controls.link(LINK)
    for delay_s in (0.02, 0.2):
        plain = [trip for _ in range(PROBES) if (trip := link.probe(2.0).existing.seconds) is not None]
        Latency(delay_s).inject(controls, LINK, "bench")
        slow = [trip for _ in range(PROBES) if (trip := link.probe(2.0).existing.seconds) is not None]
        Latency(delay_s).heal(controls, LINK, "bench")
        wanted = sum(split_ms(delay_s / 2, 2)) / 1000
        error = median(slow) - median(plain) - wanted
        print(f"latency {delay_s * 1e3:g} ms       error at p50 {error * 1e3:+.2f} ms")


def speed(controls: Controls, fault: Fault, target: str, rounds: int) -> None:
    """How long the call that injects takes, until the effect was measured, and the call that heals."""
    injected: list[float] = []
    proven: list[float] = []
    healed: list[float] = []
    for number in range(rounds):
        before = fault.measure(controls, target)
        began = time.monotonic()
        fault.inject(controls, target, f"bench-{number}")
        injected.append(time.monotonic() - began)
        while not fault.effect(before, fault.measure(controls, target)).seen:
            time.sleep(0.01)
        proven.append(time.monotonic() - began)
        began = time.monotonic()
        fault.heal(controls, target, f"bench-{number}")
        healed.append(time.monotonic() - began)
        while not fault.gone(before, fault.measure(controls, target)).seen:
            time.sleep(0.01)
    calls = f"inject {median(injected) * 1e3:.0f} ms, seen {median(proven) * 1e3:.0f} ms"
    print(f"{fault.kind + ' on ' + target:<42} {calls}, heal {median(healed) * 1e3:.0f} ms")


def told(seconds: Sequence[float]) -> str:
    return f"median {median(seconds):.2f} s, most {max(seconds):.2f} s, of {len(seconds)}"


if __name__ == "__main__":
    main()
