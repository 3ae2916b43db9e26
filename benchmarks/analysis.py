"""How long a large history takes to load, judge and render, and how much memory.

`python -m benchmarks.analysis [--operations N] [--rate PER_S] `
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import psutil

LIMIT_S, LIMIT_GB = 10.0, 1.0

Mark = tuple[str, float, float]  # stage, monotonic and CPU seconds at its end


def main() -> None:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=2000.0, help="operations a second")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        measure(arguments.measure, arguments.operations, arguments.rate)
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        # Writing has its own process, so that its memory is not counted with the reading.
        write = (
            "import sys; from pathlib import Path; from benchmarks.generated_history import write_history; "
            "write_history(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), 1)"
        )
        file = str(Path(folder) / "history.jsonl")
        figures = [str(arguments.operations), str(arguments.rate)]
        subprocess.run([sys.executable, "-c", write, file, *figures], check=True)
        command = [sys.executable, "-m", "benchmarks.analysis", "--measure", folder]
        command += ["--operations", figures[0], "--rate", figures[1]]
        subprocess.run(command, check=True)


def measure(folder: Path, operations: int, rate: float) -> None:
    """Print the seconds of each stage and the highest resident memory of this process."""
    marks = [("start", time.monotonic(), time.process_time())]

    def mark(name: str) -> None:
        marks.append((name, time.monotonic(), time.process_time()))

    from benchmarks.generated_history import scenario, system
    from experiment.history import load_history
    from measurement.judge import analyse, analysis_to_json
    from reports.formats import RUN_FORMATS
    from reports.loading import load_run_report

    mark("import")
    history = load_history(folder / "history.jsonl")
    mark("load")
    analysis = analyse(history, scenario(operations / rate), system())
    mark("judge")
    (folder / "analysis.json").write_bytes(analysis_to_json(analysis))
    report = load_run_report(folder, history)
    mark("collect for reports")
    for name, rendering in RUN_FORMATS.items():
        (folder / name).write_text(rendering(report), encoding="utf-8")
        mark(f"render {name}")
    print_figures(folder, marks, history.operations.height, history.records.height)
    print(f"verdict  {analysis.verdict}: {analysis.reasons[0]}")


def print_figures(folder: Path, marks: list[Mark], operations: int, records: int) -> None:
    size = (folder / "history.jsonl").stat().st_size / 1e6
    print(f"machine  {platform.machine()}, {os.cpu_count()} cores, "
          f"{psutil.virtual_memory().total / 1e9:.0f} GB, Python {platform.python_version()}")  # fmt: skip
    print(f"history  {operations:,} operations, {records:,} records, {size:.0f} MB")
    print(f"load     {os.getloadavg()[0]:.1f} processes ran or waited to run over the last minute")
    for (_, before, busy), (name, at, busy_then) in pairwise(marks):
        print(f"{name:28} {at - before:7.2f} s  CPU {busy_then - busy:6.2f} s")
    total = marks[-1][1] - marks[0][1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{'total':28} {total:7.2f} s  (limit {LIMIT_S:.0f} s)")
    print(f"{'highest resident memory':28} {peak:7.2f} GB (limit {LIMIT_GB:.0f} GB)")


if __name__ == "__main__":
    main()
