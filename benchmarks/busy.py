"""Whether a busy machine gives the same verdicts: a suite played beside busy loops, again and again.

`python -m benchmarks.busy --loops 2 --plays 10`, or `--loops 0 1 2 4 --plays 1 --scenarios smoke/control` for
what loops do to latencies. Other work on the machine counts too: the table says what others took. What was
played is never played again: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.same_answers import entries_of
from execution.campaigns.campaign import Home, Hooks, begin, known, play, prepare
from execution.campaigns.suite_numbers import entry_met
from execution.catalogue import Catalogue, default_catalogue
from execution.commands.progress import Runs
from execution.commands.session import live_session, started
from execution.options import Options
from execution.places import ROOT, RUNS
from execution.program import git_commit
from execution.runs.facts import machine
from experiment.errors import CodeBlueError, ExitCode
from experiment.jobs import Job
from experiment.stop import Stop
from experiment.suite import Suite
from measurement.analysis import Analysis, MachineUse
from measurement.histogram import merge, quantile
from measurement.run_records import RunRecord
from reports.loading import ANALYSIS_FILE
from runtimes.owners import Identity, identify

LOOP = """import os, sys
while os.path.exists(f"/proc/{sys.argv[1]}"):  # it ends with this program, however that ends
    for _ in range(10_000_000):
        pass
"""
START = """import os, sys
from subprocess import DEVNULL, Popen
words = [sys.executable, "-c", *sys.argv[2:]]
loops = [Popen(words, stdout=DEVNULL, start_new_session=True) for _ in range(int(sys.argv[1]))]
print(*(loop.pid for loop in loops), flush=True)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Play:
    """One play of the suite beside so many loops, as far as it has come."""

    loops: int
    number: int
    wanted: int  # entries
    records: tuple[RunRecord, ...]
    odd: tuple[str, ...]  # what did not come out as expected
    uses: tuple[MachineUse, ...]

    def row(self) -> str:
        """As a row of the table."""
        p95 = quantile(merge(record.baseline_latency for record in self.records), 0.95)
        cells = [
            str(self.loops),
            str(self.number),
            f"{len(self.records) - len(self.odd)} of {self.wanted}",
            "; ".join(self.odd) or "-",
            _mean([use.others for use in self.uses], ".2f"),
            _mean([use.own for use in self.uses], ".2f"),
            _mean([100.0 * (use.waiting or 0.0) for use in self.uses], ".0f"),
            _mean([100.0 * use.pressed for use in self.uses], ".0f"),
            "-" if p95 is None else f"{1e3 * p95:.0f}",
        ]
        return f"| {' | '.join(cells)} |"


HEAD = (
    "| loops | play | as expected | not as expected | cores others took | cores of the run "
    "| waiting for CPU, % | under pressure, % | p95 before any fault, ms |\n" + "|---" * 9 + "|"
)


@contextmanager
def busy(loops: int) -> Iterator[tuple[Identity, ...]]:
    """So many processes that use what they get, as other users' work does: each in a session of its own, and
    no child of ours, for what our children use counts as the run's own."""
    words = [sys.executable, "-c", START, str(loops), LOOP, str(os.getpid())]
    pids = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    running = tuple(one for pid in pids if (one := identify(int(pid))) is not None)
    try:
        yield running
    finally:
        for one in running:
            if one.alive:
                os.kill(one.pid, signal.SIGKILL)


def main() -> int:
    """0 when nine of ten plays came out as expected in every entry, 1 when not."""
    chosen = read_order()
    catalogue = default_catalogue()
    suite = catalogue.suite(catalogue.suite_path(chosen.suite))
    entries = entries_of(suite, chosen.scenarios)
    jobs = [Job(n, suite.entries[n].scenario, suite.entries[n].design, suite.seed) for n in entries]
    jobs.sort(key=lambda job: job.design)
    plays: list[Play] = []
    code = ExitCode.PASS
    with live_session("processes") as interruption:
        try:
            for number in range(1, chosen.plays + 1):
                for loops in chosen.loops:
                    with busy(loops):
                        records = list(played(chosen.out, loops, number, jobs, catalogue, interruption.stop))
                    plays.append(play_of(suite, loops, number, len(jobs), records))
                    print(plays[-1].row(), flush=True)
        except CodeBlueError as error:
            print(error, file=sys.stderr)
            code = error.exit_code
    facts = machine()
    print(f"{facts['cores']} cores, {facts['memory']}, {facts['cpu']}; commit {git_commit(ROOT)}")
    print("\n".join([HEAD, *(one.row() for one in plays)]))
    good = sum(not one.odd and len(one.records) == one.wanted for one in plays)
    print(f"{good} of {len(plays)} plays as expected in every entry")
    return int(
        interruption.exit_code or code or (ExitCode.PASS if good >= 0.9 * len(plays) else ExitCode.FAIL)
    )


def read_order() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy", description=__doc__)
    parser.add_argument("--suite", default="smoke", help="whose scenarios and designs (default: smoke)")
    parser.add_argument("--scenarios", nargs="+", help="only these scenarios of it")
    parser.add_argument("--loops", type=int, nargs="+", default=[2], help="busy loops beside it (default: 2)")
    parser.add_argument("--plays", type=int, default=10, help="how often (default: 10)")
    parser.add_argument("--out", type=Path, default=RUNS / "busy", help="where runs land")
    return parser.parse_args()


def played(
    out: Path, loops: int, number: int, jobs: Sequence[Job], catalogue: Catalogue, stop: Stop
) -> Iterator[RunRecord]:
    """What this play has finished, then what is played now."""
    name = f"busy-{loops}-{number}"
    prepared = prepare(jobs, Home(catalogue, Options(runtime="processes", out=out)))
    campaign = next(known(out, name, jobs), None) or begin(out, name, jobs, prepared.conditions())
    yield from campaign.records()
    yield from play(campaign, prepared, Hooks(Runs(), started, lambda *_: None), stop)


def play_of(suite: Suite, loops: int, number: int, wanted: int, records: Sequence[RunRecord]) -> Play:
    """What came out, and what was used of the machine meanwhile."""
    odd = tuple(
        f"{record.scenario} on {record.design}: {record.verdict.value} ({record.headline[:80]})"
        for record in records
        if not entry_met(suite.entries[record.entry], record)
    )
    uses = [
        msgspec.json.decode((Path(record.folder) / ANALYSIS_FILE).read_bytes(), type=Analysis).machine
        for record in records
    ]
    return Play(loops, number, wanted, tuple(records), odd, tuple(use for use in uses if use is not None))


def _mean(values: Sequence[float], form: str) -> str:
    return format(sum(values) / len(values), form) if values else "-"


if __name__ == "__main__":
    sys.exit(main())
