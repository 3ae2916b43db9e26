"""How long a large history takes to load from its columns, judge and render, and how much memory.

`python -m benchmarks.analysis [--operations N ...] [--rate PER_S]`; a run lasts a minute at least. For the
growth: `--operations 10000 100000 1000000 10000000`. Lines are written for up to three million operations.
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
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import psutil

LINES_UP_TO = 3_000_000
SHORTEST_S = 60.0

Mark = tuple[str, float, float]  # stage, monotonic and CPU seconds at its end


def main() -> None:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--operations", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--rate", type=float, default=2000.0, help="operations a second")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        measure(arguments.measure, arguments.operations[0], arguments.rate)
        return
    for operations in arguments.operations:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            # Each step has its own process, so that its memory is not counted with that of the judgement.
            figures = [str(operations), str(min(arguments.rate, operations / SHORTEST_S))]
            if operations <= LINES_UP_TO:
                _step("write_history(Path(sys.argv[1]) / 'history.jsonl', *figures, 1)", folder, figures)
            _step("keep_columns(Path(sys.argv[1]), *figures, 1)", folder, figures)
            command = [sys.executable, "-m", "benchmarks.analysis", "--measure", folder]
            command += ["--operations", figures[0], "--rate", figures[1]]
            subprocess.run(command, check=True)


def _step(call: str, folder: str, figures: list[str]) -> None:
    """One call of benchmarks.generated_history in a process of its own, and what it took."""
    code = (
        "import resource, sys; from pathlib import Path; "
        "from benchmarks.generated_history import keep_columns, write_history; "
        f"figures = int(sys.argv[2]), float(sys.argv[3]); {call}; "
        "used = resource.getrusage(resource.RUSAGE_SELF); "
        f"print(f'{call.partition('(')[0]:28} CPU {{used.ru_utime:6.2f}} s, {{used.ru_maxrss / 1e6:.2f}} GB')"
    )
    subprocess.run([sys.executable, "-c", code, folder, *figures], check=True)


def measure(folder: Path, operations: int, rate: float) -> None:
    """Print the seconds of each stage and the highest resident memory of this process."""
    marks = [("start", time.monotonic(), time.process_time())]

    def mark(name: str) -> None:
        marks.append((name, time.monotonic(), time.process_time()))

    from benchmarks.generated_history import MADE_OF, scenario, system
    from experiment.history_columns import load_columns
    from measurement.judge import analyse, analysis_to_json
    from reports.formats import RUN_FORMATS
    from reports.loading import load_run_report

    mark("import")
    history = load_columns(folder, MADE_OF)
    mark("load the columns")
    analysis = analyse(history, scenario(operations / rate), system())
    mark("judge")
    judged_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    (folder / "analysis.json").write_bytes(analysis_to_json(analysis))
    report = load_run_report(folder, history)
    mark("collect for reports")
    for name, rendering in RUN_FORMATS.items():
        (folder / name).write_text(rendering(report), encoding="utf-8")
        mark(f"render {name}")
    print_figures(folder, marks, history.tally)
    print(f"{'highest until judged':28} {judged_gb:7.2f} GB")
    print(f"verdict  {analysis.verdict}: {analysis.reasons[0]}")


def print_figures(folder: Path, marks: list[Mark], tally: Mapping[str, int]) -> None:
    lines = folder / "history.jsonl"
    size = f"{lines.stat().st_size / 1e6:.0f} MB of lines" if lines.exists() else "no lines"
    columns = sum(path.stat().st_size for path in folder.glob("*.parquet")) / 1e6
    print(f"machine  {platform.machine()}, {os.cpu_count()} cores, "
          f"{psutil.virtual_memory().total / 1e9:.0f} GB, Python {platform.python_version()}")  # fmt: skip
    counted = f"{tally['op']:,} operations, {tally['record']:,} records"
    print(f"history  {counted}, {size}, {columns:.0f} MB in columns")
    print(f"load     {os.getloadavg()[0]:.1f} processes ran or waited to run over the last minute")
    for (_, before, busy), (name, at, busy_then) in pairwise(marks):
        print(f"{name:28} {at - before:7.2f} s  CPU {busy_then - busy:6.2f} s")
    total = marks[-1][1] - marks[0][1]
    print(f"{'total':28} {total:7.2f} s")


if __name__ == "__main__":
    main()
