"""Mutation testing of what judges a run: `make mutation`, or `python -m benchmarks.mutation --number 300`.

A sample of all mutants, drawn by a seed, is tried. All tests of the judgement are collected once; once they
are run on the code as it is, to learn which of them call which function, and how long each takes. Every
mutant is tried in a child of that warm process: the function's code is exchanged in place, and the tests that
call it are run, the quickest first, until one fails. What is not inside of a function, or was called already
when modules were loaded, is tried in a child that loads the changed module from the start.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

from benchmarks.mutants import Mutant, mutant_at, places_in
from benchmarks.mutation_children import Children, Tests, with_tests

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
JUDGEMENT = (
    "tests/measurement",
    "tests/experiment/test_findings.py",
    "tests/experiment/test_obeyed.py",
    "tests/execution/runs/test_evidence.py",
    "tests/execution/runs/test_manifest.py",
    "tests/execution/runs/test_run_folder.py",
    "tests/execution/campaigns/test_verdict_check.py",
    "tests/gate/test_decide.py",
)
CHOSEN = "not test_no_subset_of_lines_gives_a_verdict"  # the others say the same in less time


@dataclass(frozen=True, slots=True)
class Tried:
    """`killed` by a failing test, or by taking many times as long; `by` is that test."""

    text: str
    killed: bool
    by: str
    took_s: float


def targets() -> list[Path]:
    """The files that judge."""
    return [path for pattern in TARGETS for path in sorted(ROOT.glob(pattern))]


def sample(number: int, seed: int) -> tuple[list[Mutant], int]:
    """So many of all mutants, and how many there are."""
    sources = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in targets()}
    every = [(file, place) for file, source in sources.items() for place in places_in(source)]
    drawn = random.Random(seed).sample(every, min(number, len(every)))
    return [mutant_at(file, sources[file], place) for file, place in drawn], len(every)


def run(mutants: Sequence[Mutant], tests: Tests, jobs: int, most_s: float = inf) -> Iterator[Tried]:
    """Each mutant by the tests that can meet it, as they come to their ends."""
    children = Children(tests, jobs, most_s)
    began = time.monotonic()
    for number, (mutant, killed, by) in enumerate(children.each(mutants), 1):
        word = "killed" if killed else "SURVIVED"
        print(f"{number} of {len(mutants)}: {word} {mutant.text} ({by})", flush=True)
        yield Tried(mutant.text, killed, by, round(time.monotonic() - began, 1))


def main() -> int:
    """Print the share that was killed with its interval, and every survivor. Exit 1 below the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=300, help="mutants to try")
    parser.add_argument("--seed", type=int, default=1, help="seed that draws them")
    parser.add_argument("--only", default="", help="part of what tells a mutant: file, line, change")
    parser.add_argument("--again", type=Path, help="answers of an earlier play: only what survived there")
    parser.add_argument("--paths", nargs="+", default=JUDGEMENT, help="files and folders of tests")
    parser.add_argument("--tests", default=CHOSEN, help="tests of the judgement, as pytest's -k")
    parser.add_argument("--least", type=float, default=0.9, help="share that must be killed")
    parser.add_argument("--jobs", type=int, default=2, help="mutants that are tried at once")
    parser.add_argument("--most", type=float, default=inf, help="CPU seconds of tests for each mutant")
    parser.add_argument("--json", type=Path, help="file for all answers")
    chosen = parser.parse_args()
    drawn, every = sample(chosen.number, chosen.seed)
    mutants = [mutant for mutant in drawn if chosen.only in mutant.text]
    if chosen.again is not None:
        survived = {one["text"] for one in json.loads(chosen.again.read_text("utf-8")) if not one["killed"]}
        mutants = [mutant for mutant in mutants if mutant.text in survived]
    if not mutants:
        print("no mutant is left to try")
        return 2
    found: list[Tried] = []

    began_s = time.monotonic()

    def work(tests: Tests) -> None:
        took = f"{time.monotonic() - began_s:.0f} s, {sum(tests.takes_s.values()):.0f} s of CPU time"
        print(f"{len(tests.items)} tests: {took}", flush=True)
        if tests.broken:
            print(f"the code as it is does not pass {tests.broken}")
        else:
            found.extend(run(mutants, tests, chosen.jobs, chosen.most))

    with_tests((*chosen.paths, "-k", chosen.tests), targets(), work)
    if not found:
        return 2
    from measurement.statistics import proportion

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
