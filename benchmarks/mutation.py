"""Mutation testing of what judges a run: `make mutation`, or `python -m benchmarks.mutation --number 300`.

A sample of all mutants, drawn by a seed, is tried, each in a child of one warm process, which loads the
libraries once. First the tests of the mutant's own file are run, then, when it survived them, all tests of
the judgement. A tool that tries every mutant would need hours here: it starts the tests anew for each.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import io
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.mutants import Mutant, mutant_at, places_in

ROOT = Path(__file__).resolve().parents[1]
TARGETS = (
    "measurement/*.py",
    "measurement/properties/*.py",
    "experiment/asked.py",
    "experiment/obeyed.py",
    "experiment/findings.py",
    "experiment/verdict.py",
    "execution/runs/manifest.py",
)
# Tests that judge whole runs: what survives those of its own file must survive these, too.
JUDGEMENT = (
    "tests/measurement",
    "tests/experiment/test_obeyed.py",
    "tests/execution/runs/test_evidence.py",
    "tests/execution/campaigns/test_verdict_check.py",
)
# Where the tests of a file do not bear its name.
NAMED = {
    "measurement/possible_rows.py": ("tests/measurement/test_possible_rows.py",),
    "measurement/evidence.py": ("tests/execution/runs/test_evidence.py",),
    "measurement/validity.py": ("tests/measurement/test_judge.py",),
    "measurement/analysis.py": ("tests/measurement/test_judge.py",),
    "experiment/asked.py": ("tests/execution/runs/test_evidence.py",),
    "execution/runs/manifest.py": ("tests/execution/runs/test_evidence.py",),
}
SLOW = "not test_no_subset_of_lines_gives_a_verdict"
LIMIT_S = 900  # for one mutant: an endless loop is killed, too


@dataclass(frozen=True, slots=True)
class Tried:
    """`killed` by a failing test; `timeout` counts as killed."""

    text: str
    killed: bool
    how: str
    took_s: float


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from other source than its file's."""

    def __init__(self, name: str, file: Path, source: str) -> None:
        self._name, self._file, self._source = name, file, source

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The changed module, when it is asked for."""
        if name != self._name:
            return None
        packages = [str(self._file.parent)] if self._file.name == "__init__.py" else None
        found = ModuleSpec(name, self, origin=str(self._file), is_package=packages is not None)
        found.submodule_search_locations = packages
        return found

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        module.__file__ = str(self._file)
        exec(compile(self._source, str(self._file), "exec"), module.__dict__)


def sample(number: int, seed: int) -> tuple[list[Mutant], int]:
    """So many of all mutants, and how many there are."""
    files = [path for pattern in TARGETS for path in sorted(ROOT.glob(pattern))]
    sources = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}
    every = [(file, place) for file, source in sources.items() for place in places_in(source)]
    drawn = random.Random(seed).sample(every, min(number, len(every)))
    return [mutant_at(file, sources[file], place) for file, place in drawn], len(every)


def tests_of(file: str) -> list[str]:
    """The tests of one file, by its name; those of the whole judgement where it has none of its own."""
    if file in NAMED:
        return [name for name in NAMED[file] if (ROOT / name).exists()]
    path = Path(file)
    near = ROOT / "tests" / path.parent / f"test_{path.stem}.py"
    if near.exists():
        return [str(near.relative_to(ROOT))]
    if path.parent.name == "properties":
        return ["tests/measurement/properties"]
    return ["tests/measurement/test_judge.py"]


def tried(mutant: Mutant | None, tests: Sequence[str]) -> tuple[bool, str]:
    """Whether the tests fail on a mutant, and how; None is the code as it is."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setpgid(0, 0)
        os.write(writer, b"%d" % _inside(mutant, tests))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
        signal.alarm(LIMIT_S)
        said = pipe.read()
        signal.alarm(0)
    os.waitpid(child, 0)
    if not said:
        return True, "timeout"
    return said != b"0", "a test failed" if said == b"1" else f"pytest ended with {said.decode()}"


def _inside(mutant: Mutant | None, tests: Sequence[str]) -> int:
    if mutant is not None:
        name = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        sys.meta_path.insert(0, Changed(name, ROOT / mutant.file, mutant.source))
    silent = io.StringIO()
    with redirect_stdout(silent), redirect_stderr(silent):
        arguments = [*tests, "-x", "-q", "-p", "no:cacheprovider", "-k", SLOW]
        try:
            return int(pytest.main(arguments))
        except BaseException:  # noqa: BLE001  whatever ends the tests kills the mutant
            return 1


def run(mutants: Sequence[Mutant]) -> list[Tried]:
    """Each mutant by its own tests first, then by all."""
    found: list[Tried] = []
    for number, mutant in enumerate(mutants, 1):
        began = time.monotonic()
        killed, how = tried(mutant, tests_of(mutant.file))
        if not killed:
            killed, how = tried(mutant, [name for name in JUDGEMENT if (ROOT / name).exists()])
        found.append(Tried(mutant.text, killed, how, round(time.monotonic() - began, 1)))
        word = "killed" if killed else "SURVIVED"
        print(f"{number} of {len(mutants)}: {word} {mutant.text} ({how})", flush=True)
    return found


def main() -> int:
    """Print the share that was killed with its interval, and every survivor. Exit 1 below the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=300, help="mutants to try")
    parser.add_argument("--seed", type=int, default=1, help="seed that draws them")
    parser.add_argument("--only", default="", help="part of a file's name")
    parser.add_argument("--least", type=float, default=0.9, help="share that must be killed")
    parser.add_argument("--json", type=Path, help="file for all answers")
    chosen = parser.parse_args()
    import hypothesis  # noqa: F401  warm before the first fork
    import matplotlib.figure  # noqa: F401
    import polars  # noqa: F401
    import scipy.stats  # noqa: F401

    from measurement.statistics import proportion

    for name in [
        name for name in sys.modules if name.split(".")[0] in ("measurement", "experiment", "faults")
    ]:
        del sys.modules[name]  # every child loads the code that is tried by itself
    drawn, every = sample(chosen.number, chosen.seed)
    mutants = [mutant for mutant in drawn if chosen.only in mutant.file]
    for tests in sorted({tuple(tests_of(mutant.file)) for mutant in mutants}):
        broken, how = tried(None, tests)
        if broken:
            print(f"the code as it is does not pass {', '.join(tests)} ({how})")
            return 2
    found = run(mutants)
    killed = sum(one.killed for one in found)
    low, high = proportion(killed, len(found))
    print(f"{killed} of {len(found)} killed, {killed / len(found):.1%} (95%: {low:.1%} to {high:.1%})")
    print(f"drawn with seed {chosen.seed} from {every:,} mutants")
    for one in found:
        if not one.killed:
            print(f"survived: {one.text}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    return 0 if killed >= chosen.least * len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
