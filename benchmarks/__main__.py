"""`python -m benchmarks`: every benchmark, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("start_up", "capacity", "runtime", "load", "analysis", "toxiproxy", "simulation")


def main() -> int:
    """1 when a benchmark could not be carried out; the others are run all the same."""
    failed = []
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"not carried out: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
