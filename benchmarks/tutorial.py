"""How long the tutorial's commands take, from a clone on: `python -m benchmarks.tutorial [--loops 2]`.

A fresh clone with a virtual environment of its own, and the commands of docs/tutorial.md as they stand there,
on local processes. The clock is read at three points: the first verdict, the verdict of the own scenario, the
gate that stopped the change. Each must lie below the minutes that the page gives for the sections so far.
With `--loops` as many busy loops run beside it.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.busy import busy
from execution.places import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
SECTION = re.compile(r"^## \d\. (?P<title>.*) \((?P<minutes>a|\d+) minutes?\)$", re.MULTILINE)
FILE = re.compile(r"Put this into `([\w.]+)`:\n\n```yaml\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIMULATED = " --runtime simulation"
# Section of the page to what has been reached at its end, and the exit codes of its commands that mean so.
REACHED = {2: ("first verdict", {4}), 4: ("verdict of the own scenario", {1}), 6: ("gated change", {4})}
PATIENCE_S = 600.0


def sections(page: str) -> list[tuple[str, float, str]]:
    """(title, minutes, text) of each numbered section."""
    parts = SECTION.split(page)[1:]
    return [
        (title, 1.0 if minutes == "a" else float(minutes), text)
        for title, minutes, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def commands(number: int, text: str) -> list[str]:
    """What a reader types in a section. The own scenario is played on real services too, as the page says,
    and the gate decides on these."""
    found = [line for block in COMMANDS.findall(text) for line in block.splitlines()]
    live = [line.replace(SIMULATED, "") for line in found if SIMULATED in line]
    return {4: found + live, 6: live}.get(number, found)


def main() -> int:
    """Prints each command with its time; ends with 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--loops", type=int, default=0, help="busy loops beside it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="codeblue-tutorial-") as home, busy(asked.loops):
        return 0 if walked(Path(home) / "code-blue") else 1


def walked(folder: Path) -> bool:
    """Whether every point was reached within the page's minutes."""
    kept, promised, began = True, 0.0, time.monotonic()
    typed(f"git clone --quiet {shlex.quote(str(ROOT))} {folder.name}", folder.parent)
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    for number, (title, minutes, text) in enumerate(sections(PAGE.read_text(encoding="utf-8")), 1):
        promised += minutes
        print(f"{number}. {title}", flush=True)
        codes = [typed(line, folder) for line in commands(number, text) if "RUN" not in line]
        if number in REACHED:
            point, expected = REACHED[number]
            took = (time.monotonic() - began) / 60
            well = codes[-1] in expected and took <= promised
            kept = kept and well
            print(
                f"   {point}: {took:.1f} min, promised {promised:g}{'' if well else ': NOT KEPT'}", flush=True
            )
    return kept


def typed(line: str, folder: Path) -> int:
    """The exit code of a line, in a shell whose environment is the clone's once it has one."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH")  # the clone runs its own code
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    environment["PATH"] = f"{folder / '.venv' / 'bin'}:{environment['PATH']}"
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    print(f"   {time.monotonic() - began:7.1f} s  exit {done.returncode:<3} {line}", flush=True)
    if done.returncode in (64, 70, 73):
        print(done.stdout, flush=True)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
