"""How long it takes from a compose file to the first verdict: `python -m benchmarks.first_hour`.

The shop of examples/ is copied without all that belongs to Code Blue. Each step of docs/your_system.md is
timed; what a person fills in there is counted in lines. With `--clone` the clock begins with a clone of this
checkout and its installation.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from execution.places import ROOT

PAGE = ROOT / "docs" / "your_system.md"
MOST_S, MOST_LINES = 300.0, 45
LINES_SHOWN = 40  # of the output, when the fault was not found
SECTION = re.compile(r"^(?=[a-z_]+:)", re.MULTILINE)


def of_the_page() -> str:
    """What the page tells a user to fill in."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(blocks[0])


def lines_of_the_user() -> int:
    return len(of_the_page().splitlines())


def filled_in(system: str) -> str:
    """A generated system file with the sections of the page in place of its own."""
    sections = {part.partition(":")[0]: part for part in SECTION.split(system)}
    given = {part.partition(":")[0]: part for part in SECTION.split(of_the_page())}
    return "".join((sections | given).values())


def main() -> int:
    """Prints a table of steps; ends with 1 when the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runtime", default="containers", choices=("containers", "simulation"))
    parser.add_argument("--clone", action="store_true", help="begin with a clone and its installation")
    asked = parser.parse_args()
    steps: list[tuple[str, float, int]] = []

    def timed(name: str, step: Callable[[], int]) -> None:
        began = time.monotonic()
        code = step()
        steps.append((name, time.monotonic() - began, code))
        print(f"{name:<60} {steps[-1][1]:7.1f} s  exit {code}", flush=True)

    with tempfile.TemporaryDirectory() as home:
        harness, python = ROOT, sys.executable
        if asked.clone:
            harness = Path(home) / "checkout"
            timed("git clone", lambda: _run(["git", "clone", "--quiet", str(ROOT), str(harness)], Path(home)))
            timed("make install", lambda: _run(["make", "--silent", "install"], harness))
            python = str(harness / ".venv" / "bin" / "python")
        shop = Path(home) / "shop"
        _copy(shop)

        def codeblue(*words: str) -> None:
            call = [python, str(harness / "harness.py"), *words]
            timed(f"codeblue {' '.join(words)}", lambda: _run(call, shop))

        codeblue("init", "--compose", "compose.yaml")
        path = shop / "resilience" / "system.yaml"
        path.write_text(filled_in(path.read_text(encoding="utf-8")), encoding="utf-8")
        codeblue("check-wiring", "resilience")
        codeblue("try", "resilience", "--runtime", asked.runtime, "--out", "runs")
        found = re.findall(r"^FAIL.*$", _output(shop), re.MULTILINE)
        if not found:
            print(*_output(shop).splitlines()[-LINES_SHOWN:], sep="\n")
    total = sum(seconds for _, seconds, _ in steps)
    print(f"first verdict after {total:.1f} s of commands and {lines_of_the_user()} lines by the user")
    print(*found, sep="\n")
    kept = total <= MOST_S and lines_of_the_user() <= MOST_LINES
    return 0 if kept and (found or asked.runtime == "simulation") else 1


def _copy(shop: Path) -> None:
    """The shop as its developers have it."""
    shutil.copytree(ROOT / "examples" / "shop", shop)
    for path in [*shop.rglob("system.yaml"), shop / "README.md"]:
        path.unlink()
    for name in ("designs", "scenarios"):
        shutil.rmtree(shop / name)


def _run(words: list[str], folder: Path) -> int:
    with (folder / "output.txt").open("ab") as output:
        return subprocess.run(words, cwd=folder, stdout=output, stderr=output, check=False).returncode


def _output(folder: Path) -> str:
    return (folder / "output.txt").read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    raise SystemExit(main())
