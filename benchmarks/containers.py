"""How long the system in containers takes to be ready, reset and removed, and how soon its faults act.

`python -m benchmarks.containers [--rounds N]`: the reference system on the containers runtime, without load.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.lifecycle import lifecycles, resets, tell_machine
from execution.catalogue import default_catalogue
from experiment.controls import Controls, Fault
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
    tell_machine()
    sizes()
    with tempfile.TemporaryDirectory(prefix="codeblue-bench-") as folder:
        runtime = lifecycles(lambda: ContainersRuntime(default_catalogue().system(), Path(folder)), rounds)
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
        print(f"latency {delay_s * 1e3:3.0f} ms     error at p50 {error * 1e3:+.2f} ms")


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
        while not fault.judge(before, fault.measure(controls, target)).seen:
            time.sleep(0.01)
        proven.append(time.monotonic() - began)
        began = time.monotonic()
        fault.heal(controls, target, f"bench-{number}")
        healed.append(time.monotonic() - began)
        while not fault.gone(before, fault.measure(controls, target)).seen:
            time.sleep(0.01)
    calls = f"inject {median(injected) * 1e3:.0f} ms, seen {median(proven) * 1e3:.0f} ms"
    print(f"{fault.kind + ' on ' + target:<42} {calls}, heal {median(healed) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
