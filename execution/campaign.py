"""Many runs with one purpose: each recorded as it finishes, none played twice when the campaign is
resumed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from execution.catalogue import Catalogue
from execution.live_run import Watcher
from execution.options import Options
from execution.pipeline import RunResult, run_plans
from execution.preflight import Request, plans
from execution.records import Ledger, RunRecord, record_of
from experiment.errors import UsageError
from experiment.plan import Plan
from runtimes.runtime import RuntimeFacts

JOBS_FILE = "campaign.json"


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do. `entry` is its place in the suite."""

    entry: int
    scenario: str
    design: str
    seed: int


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a campaign tells its watcher."""

    watch: Callable[[Plan], Watcher]
    started: Callable[[str], None]
    finished: Callable[[RunRecord, Path], None]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A folder with the jobs, in the order of playing, and what has finished of them."""

    folder: Path
    name: str
    jobs: tuple[Job, ...]

    def records(self) -> list[RunRecord]:
        return Ledger(self.folder).read()

    def left(self) -> tuple[Job, ...]:
        """Jobs without a record."""
        done = {(record.entry, record.design, record.seed) for record in self.records()}
        return tuple(job for job in self.jobs if (job.entry, job.design, job.seed) not in done)


def begin(out: Path, name: str, jobs: Sequence[Job]) -> Campaign:
    """A new campaign folder below `out`."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder, number = out / f"{stamp}-{name}", 1
    while folder.exists():
        number += 1
        folder = out / f"{stamp}-{name}-{number}"
    folder.mkdir(parents=True)
    campaign = Campaign(folder, name, tuple(jobs))
    (folder / JOBS_FILE).write_bytes(msgspec.json.encode({"name": name, "jobs": campaign.jobs}))
    return campaign


def resume(out: Path, name: str, jobs: Sequence[Job]) -> Campaign:
    """The latest campaign of this name that has jobs left and asks for the same runs. Raises UsageError."""
    wanted = set(jobs)
    for folder in sorted(out.glob(f"*-{name}*"), reverse=True):
        if not (folder / JOBS_FILE).is_file():
            continue
        stored = msgspec.json.decode((folder / JOBS_FILE).read_bytes())
        campaign = Campaign(folder, name, tuple(msgspec.convert(stored["jobs"], list[Job])))
        if set(campaign.jobs) == wanted and campaign.left():
            return campaign
    raise UsageError(
        f"found no unfinished campaign {name} with these runs below {out}, expected one to resume; "
        "start it without --resume"
    )


def play(
    campaign: Campaign, catalogue: Catalogue, options: Options, hooks: Hooks, stop: threading.Event
) -> Iterator[RunRecord]:
    """Play what is left, recording each run as it finishes."""
    jobs = campaign.left()
    if not jobs:
        return
    prepared = plans([Request(job.scenario, job.design, job.seed) for job in jobs], catalogue, options)
    ledger = Ledger(campaign.folder)
    results = run_plans(
        prepared, options, hooks.watch, stop, lambda runtime: hooks.started(runtime_line(runtime.describe()))
    )
    for job, result in zip(jobs, results, strict=False):
        if stop.is_set():
            return  # the run that was cut short is played again on resumption
        record = record_job(job, result)
        ledger.append(record)
        hooks.finished(record, result.folder.path)
        yield record


def runtime_line(facts: RuntimeFacts) -> str:
    """`processes, Toxiproxy real 2.12.0`."""
    return f"{facts.name}, Toxiproxy {facts.toxiproxy}"


def record_job(job: Job, result: RunResult) -> RunRecord:
    return record_of(
        job.entry, job.scenario, result.folder.path, result.folder.history(), result.analysis, result.clean
    )


def seeds_of(first: int, repeats: int) -> tuple[int, ...]:
    """A new seed for each repeat."""
    return tuple(range(first, first + repeats))


def shuffled(jobs: Sequence[Job], seed: int) -> tuple[Job, ...]:
    """The jobs in an order that a slow drift of the machine cannot favour."""
    order = list(jobs)
    random.Random(f"order-{seed}").shuffle(order)
    return tuple(order)
