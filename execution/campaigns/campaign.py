"""Many runs with one purpose: each recorded as it finishes, none played twice when the campaign is
resumed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from execution.campaigns.records import Ledger, RunRecord, record_of
from execution.catalogue import Catalogue
from execution.options import Options
from execution.runs.bench import Bench, RunResult
from execution.runs.live_run import Watcher
from execution.runs.pipeline import open_bench
from execution.runs.preflight import Request, plans
from execution.runs.run_folder import fresh_folder
from experiment.errors import UsageError
from experiment.plan import Plan

JOBS_FILE = "campaign.json"


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do. `entry` is its place in the suite; `side` tells the two of a gate apart."""

    entry: int
    scenario: str
    design: str
    seed: int
    side: str = ""


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
        done = {job_of(record) for record in self.records()}
        return tuple(job for job in self.jobs if job not in done)


def job_of(record: RunRecord) -> Job:
    """What was asked for."""
    return Job(record.entry, record.scenario, record.design, record.seed, record.side)


def begin(out: Path, name: str, jobs: Sequence[Job]) -> Campaign:
    """A new campaign folder below `out`."""
    folder = fresh_folder(out, name)
    campaign = Campaign(folder, name, tuple(jobs))
    (folder / JOBS_FILE).write_bytes(msgspec.json.encode({"name": name, "jobs": campaign.jobs}))
    return campaign


def known(out: Path, name: str, jobs: Sequence[Job]) -> Iterator[Campaign]:
    """Campaigns of this name that ask for the same runs, finished or not, the latest first."""
    wanted = set(jobs)
    for folder in sorted(out.glob(f"*-{name}*"), reverse=True):
        if not (folder / JOBS_FILE).is_file():
            continue
        stored = msgspec.json.decode((folder / JOBS_FILE).read_bytes())
        campaign = Campaign(folder, name, tuple(msgspec.convert(stored["jobs"], list[Job])))
        if stored["name"] == name and set(campaign.jobs) == wanted:
            yield campaign


def resume(out: Path, name: str, jobs: Sequence[Job]) -> Campaign:
    """The latest campaign of this name that has jobs left and asks for the same runs. Raises UsageError."""
    for campaign in known(out, name, jobs):
        if campaign.left():
            return campaign
    raise UsageError(
        f"found no unfinished campaign {name} with these runs below {out}, expected one to resume; "
        "start it without --resume"
    )


def play(
    campaign: Campaign,
    catalogue: Catalogue,
    options: Options,
    hooks: Hooks,
    stop: threading.Event,
    systems: Mapping[str, Catalogue] | None = None,
) -> Generator[RunRecord, None, None]:
    """Play what is left, recording each run as it finishes. `systems` gives a side of its own system; every
    system is started once and stays up until the last run, so that turns may alternate."""
    jobs = campaign.left()
    homes = {job: (systems or {}).get(job.side, catalogue) for job in jobs}
    prepared = _prepared(jobs, homes, options)
    ledger = Ledger(campaign.folder)
    with ExitStack() as up:
        benches: dict[Path, Bench] = {}
        for job in jobs:
            if stop.is_set():
                return
            home = homes[job]
            if home.system_path not in benches:
                mine = [prepared[other] for other in jobs if homes[other] == home]
                own = options if home == catalogue else replace(options, system=home.system_path)
                bench = up.enter_context(open_bench(mine, own, stop))
                hooks.started(bench.describe())
                benches[home.system_path] = bench
            plan = prepared[job]
            result = benches[home.system_path].run(plan, hooks.watch(plan))
            if stop.is_set():
                return  # the run that was cut short is played again on resumption
            record = record_job(job, result)
            ledger.append(record)
            hooks.finished(record, result.folder.path)
            yield record


def _prepared(jobs: Sequence[Job], homes: Mapping[Job, Catalogue], options: Options) -> dict[Job, Plan]:
    """The plan of every job; every mistake of all files is found before anything is started."""
    found: dict[Job, Plan] = {}
    for home in dict.fromkeys(homes.values()):
        mine = [job for job in jobs if homes[job] == home]
        requests = [Request(job.scenario, job.design, job.seed) for job in mine]
        found.update(zip(mine, plans(requests, home, options), strict=True))
    return found


def record_job(job: Job, result: RunResult) -> RunRecord:
    """The design is named as it was asked for, so that jobs and records meet."""
    folder = result.folder
    record = record_of(job.entry, job.scenario, folder.path, folder.history(), result.analysis, result.clean)
    return replace(record, design=job.design, side=job.side)


def seeds_of(first: int, repeats: int) -> tuple[int, ...]:
    """A new seed for each repeat."""
    return tuple(range(first, first + repeats))


def shuffled(jobs: Sequence[Job], seed: int) -> tuple[Job, ...]:
    """The jobs in an order that a slow drift of the machine cannot favour."""
    order = list(jobs)
    random.Random(f"order-{seed}").shuffle(order)
    return tuple(order)
