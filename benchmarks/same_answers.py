"""Whether both runtimes give the same answers: a suite on each, seed by seed, and what differs.

`python -m benchmarks.same_answers --seeds 5 [--scenarios smoke/control ...]`. What was played is never played
again: the same command goes on where it was interrupted. same_answers.md is written anew after every run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.same_answers_table import RUNTIMES, Answer, markdown, outcome, pairs
from execution.campaigns.campaign import Home, Hooks, begin, known, play, prepare
from execution.catalogue import Catalogue, default_catalogue
from execution.commands.progress import Runs
from execution.commands.session import live_session, started
from execution.options import CONTAINERS, Options
from execution.places import ROOT, RUNS
from execution.program import git_commit
from execution.runs.facts import machine
from experiment.errors import CodeBlueError, ExitCode, UsageError
from experiment.jobs import Job, seeds_of
from experiment.stop import Stop
from experiment.suite import Suite
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.run_records import RunRecord
from reports.loading import ANALYSIS_FILE
from runtimes.containers.images import require_images

ATTEMPTS = 2  # a run that was invalid, because something else kept the machine busy, is played once more
TABLE = "same_answers.md"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be played; runs and the table land in `out`."""

    suite: Suite
    entries: tuple[int, ...]
    seeds: tuple[int, ...]
    out: Path

    @property
    def size(self) -> int:
        """Pairs of runs, one on each runtime."""
        return len(self.entries) * len(self.seeds)

    def jobs(self, seed: int) -> list[Job]:
        """The runs of one seed on one runtime; designs stay together."""
        found = [
            Job(number, self.suite.entries[number].scenario, self.suite.entries[number].design, seed)
            for number in self.entries
        ]
        return sorted(found, key=lambda job: job.design)


def main() -> int:
    """0 when all was played and no verdict differed, 1 when one did, 2 when some could not be compared; an
    interruption and an error have codes of their own."""
    try:
        order, catalogue = read_order()
    except CodeBlueError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    order.out.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, int, int], Answer] = {}
    code = ExitCode.PASS
    with live_session(CONTAINERS) as interruption:
        try:
            require_images()  # rather than after the first seed on processes
            for answer in answers(order, catalogue, interruption.stop):
                found[answer.runtime, answer.record.seed, answer.record.entry] = answer
                write_table(order, found.values())
        except CodeBlueError as error:
            print(error, file=sys.stderr)
            code = error.exit_code
    print(write_table(order, found.values()))
    print(f"table: {order.out / TABLE}")
    return int(interruption.exit_code or code or outcome(pairs(found.values()), order.size))


def read_order() -> tuple[Order, Catalogue]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_answers", description=__doc__)
    parser.add_argument("--suite", default="smoke", help="whose scenarios and designs (default: smoke)")
    parser.add_argument("--scenarios", nargs="+", help="only these scenarios of it")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from the suite's on")
    parser.add_argument("--out", type=Path, default=RUNS / "same-answers", help="where runs and table land")
    chosen = parser.parse_args()
    catalogue = default_catalogue()
    suite = catalogue.suite(catalogue.suite_path(chosen.suite))
    entries = entries_of(suite, chosen.scenarios)
    return Order(suite, entries, seeds_of(suite.seed, chosen.seeds), chosen.out), catalogue


def entries_of(suite: Suite, scenarios: Sequence[str] | None) -> tuple[int, ...]:
    """The places of the chosen scenarios in the suite. Raises UsageError for one that is not in it."""
    names = [entry.scenario for entry in suite.entries]
    unknown = [name for name in scenarios or () if name not in names]
    if unknown:
        raise UsageError(
            f"found {', '.join(unknown)}, expected scenarios of the suite {suite.name}: {', '.join(names)}"
        )
    return tuple(number for number, name in enumerate(names) if not scenarios or name in scenarios)


def answers(order: Order, catalogue: Catalogue, stop: Stop) -> Iterator[Answer]:
    """Every run, played before or now. Both runtimes take turns at coming first, so that a slow drift of the
    machine favours neither; of two attempts at a run the later one counts."""
    total, number = len(order.entries) * len(order.seeds) * len(RUNTIMES), 0
    for turn, seed in enumerate(order.seeds):
        for runtime in RUNTIMES if turn % 2 == 0 else reversed(RUNTIMES):
            jobs = order.jobs(seed)
            for attempt in range(1, ATTEMPTS + 1):
                invalid: list[Job] = []
                for record in records(
                    order, f"same-{runtime}-{seed}-{attempt}", jobs, catalogue, runtime, stop
                ):
                    number += attempt == 1
                    _say(f"[{number}/{total}]" if attempt == 1 else "once more:", runtime, record)
                    if record.verdict is Verdict.INVALID:
                        invalid.append(record.job)
                    yield answer_of(runtime, record)
                jobs = invalid
                if not jobs or stop.is_set():
                    break
            if stop.is_set():
                return


def records(
    order: Order, name: str, jobs: list[Job], catalogue: Catalogue, runtime: str, stop: Stop
) -> Iterator[RunRecord]:
    """What a campaign of these runs has finished, then what is played now."""
    prepared = prepare(jobs, Home(catalogue, Options(runtime=runtime, out=order.out)))
    campaign = next(known(order.out, name, jobs), None) or begin(order.out, name, jobs, prepared.conditions())
    yield from campaign.records()
    hooks = Hooks(Runs(), started, lambda *_: None)
    yield from play(campaign, prepared, hooks, stop)


def answer_of(runtime: str, record: RunRecord) -> Answer:
    """A run's verdict, and the latencies of each journey before any fault."""
    analysis = msgspec.json.decode((Path(record.folder) / ANALYSIS_FILE).read_bytes(), type=Analysis)
    before = {row.journey: row.histogram for row in analysis.journeys if row.phase == "baseline"}
    return Answer(runtime, record, before)


def _say(which: str, runtime: str, record: RunRecord) -> None:
    broken = f" ({', '.join(record.broken)})" if record.broken else ""
    told = f"{record.verdict.value}{broken}"
    print(f"{which} {runtime}, seed {record.seed}, {record.scenario} on {record.design}: {told}", flush=True)


def write_table(order: Order, found: Collection[Answer]) -> str:
    """Write what is known so far, and return it."""
    entries = [order.suite.entries[number] for number in order.entries]
    places = [(number, one.scenario, one.design) for number, one in zip(order.entries, entries, strict=True)]
    facts = machine()
    ground = f"{facts['cores']} cores, {facts['memory']}, {facts['cpu']}; commit {git_commit(ROOT)}"
    text = markdown(places, order.seeds, found, ground)
    (order.out / TABLE).write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    sys.exit(main())
