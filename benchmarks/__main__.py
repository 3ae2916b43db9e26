"""`python -m benchmarks`: every benchmark, one after the other, each in a process of its own.

Those of LONG are left out: each of them takes a quarter of an hour or more.
"""

from __future__ import annotations

import subprocess
import sys

from experiment.errors import StartError
from runtimes.containers.images import require_images

BENCHMARKS = (
    "start_up",
    "capacity",
    "full_mix",
    "runtime",
    "containers",
    "load",
    "security",
    "analysis",
    "registers",
    "toxiproxy",
    "twin",
    "simulation",
    "sweeps",
    "localisation",
    "first_hour",
    "tutorial",
)
OF_CONTAINERS = ("containers", "first_hour")
LONG = ("same_answers", "parts", "busy", "soak", "ended_anywhere", "mutation", "attached")


def main() -> int:
    """1 when a benchmark could not be carried out; the others are run all the same. Containers take part
    where an engine answers."""
    failed = []
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        if name in OF_CONTAINERS and (reason := no_engine()):
            print(f"left out: {reason}", flush=True)
        elif subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"not carried out: {', '.join(failed)}")
    return int(bool(failed))


def no_engine() -> str:
    """Why containers cannot be measured here; empty when they can."""
    try:
        require_images()
    except StartError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
