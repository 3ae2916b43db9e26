"""How long a command takes that only judges a small register history, from the shell's point of view.

`python -m benchmarks.start_up [--repeats N]`
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HISTORY = (
    '{"process": 0, "type": "invoke", "f": "write", "value": 1}\n'
    '{"process": 0, "type": "ok", "f": "write", "value": 1}\n'
)
FILES = 228


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        history = Path(folder) / "history.jsonl"
        history.write_text(HISTORY, encoding="utf-8")
        judge = ("harness.py", "linearizable", str(history))
        print(f"python alone                 {taken(('-c', 'pass'), repeats)}")
        print(f"import click                 {taken(('-c', 'import click'), repeats)}")
        print(f"linearizable, 1 file         {taken(judge, repeats)}")
        print(f"linearizable, {FILES} files      {taken((*judge, *judge[2:] * (FILES - 1)), 5)}")


def taken(words: tuple[str, ...], repeats: int) -> str:
    """Wall time and CPU of a new process; its modules come from their compiled files after the first."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": ""}
    command = [sys.executable, *words]
    walls, before = [], os.times()
    for number in range(repeats + 1):
        if number == 1:
            before = os.times()
        started = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        walls.append(time.monotonic() - started)
    after = os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    ) / repeats
    low, median = min(walls[1:]) * 1000, statistics.median(walls[1:]) * 1000
    return f"{median:4.0f} ms (best {low:.0f}), CPU {cpu * 1000:.0f} ms"


if __name__ == "__main__":
    main()
