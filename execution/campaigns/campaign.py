"""Many runs with one purpose: each recorded as it finishes, none played twice when the campaign is
resumed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from execution.campaigns.stored_runs import record_of_folder, require_own
from execution.catalogue import Catalogue
from execution.options import Options
from execution.places import ROOT
from execution.program import git_commit
from execution.runs.bench import Bench, RunResult
from execution.runs.live_run import Watcher
from execution.runs.pipeline import open_bench, refuse_impossible
from execution.runs.preflight import Request, plans
from execution.runs.run_folder import fresh_folder
from execution.whole_files import write_whole
from experiment.errors import UsageError
from experiment.jobs import Job
from experiment.plan import Plan
from experiment.regular_files import read_regular
from experiment.stop import Interrupted, Stop
from experiment.values import decoded
from measurement.run_records import FinishedRuns, RunRecord, file_hash

JOBS_FILE = "campaign.json"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a campaign tells its watcher."""

    watch: Callable[[Plan], Watcher]
    started: Callable[[str], None]
    finished: Callable[[RunRecord, RunResult], None]
    expects: Callable[[int], None] = lambda _runs: None  # how many runs are left


@dataclass(frozen=True, slots=True)
class Home:
    """Where jobs are played: a system with its scenarios and designs, and how it is run."""

    catalogue: Catalogue
    options: Options


@dataclass(frozen=True, slots=True)
class Prepared:
    """Jobs with their plans; every mistake of all files was found before anything is started."""

    jobs: tuple[Job, ...]
    plans: Mapping[Job, Plan]
    homes: Mapping[Job, Home]

    def conditions(self) -> dict[str, str]:
        """What must be the same for runs of one campaign, in words: settings, commits and file hashes."""
        found: dict[str, str] = {}
        for side, home in {job.side: home for job, home in self.homes.items()}.items():
            options, of = home.options, f" of the {side}" if side else ""
            found[f"runtime{of}"] = options.runtime
            found[f"time scale{of}"] = f"{options.time_scale:g}"
            found[f"population{of}"] = str(options.population or "of the system's workload")
            feeds = [f"{name} of {folder}" for name, folder in options.feeds]
            found[f"feeds{of}"] = ", ".join(feeds) or "none"
            found[f"image{of}"] = options.service_image
            found[f"system{of}"] = str(home.catalogue.system_path.resolve())
            found[f"commit{of}"] = git_commit(home.catalogue.system_path.parent)
        for plan in self.plans.values():
            for source in (plan.scenario.source, plan.design.source, plan.system.source):
                found.setdefault(f"content of {source}", file_hash(Path(source)))
        found["commit"] = git_commit(ROOT)
        return found


@dataclass(frozen=True, slots=True)
class Campaign:
    """A folder with the jobs, in the order of playing, and what has finished of them. `conditions` are those
    of `Prepared`."""

    folder: Path
    name: str
    jobs: tuple[Job, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)

    def records(self) -> list[RunRecord]:
        return FinishedRuns(self.folder).read()

    def left(self) -> tuple[Job, ...]:
        """Jobs without a record."""
        done = {record.job for record in self.records()}
        return tuple(job for job in self.jobs if job not in done)


@dataclass(frozen=True, slots=True)
class _Stored:
    """campaign.json."""

    name: str
    jobs: tuple[Job, ...]
    conditions: dict[str, str] = field(default_factory=dict)


def prepare(jobs: Sequence[Job], home: Home, sides: Mapping[str, Home] | None = None) -> Prepared:
    """The plan of every job; `sides` gives a side of its own system. Raises ConfigError, UsageError or
    UnsupportedError; nothing was written."""
    homes = {job: (sides or {}).get(job.side, home) for job in jobs}
    found: dict[Job, Plan] = {}
    for one in dict.fromkeys(homes.values()):
        mine = [job for job in jobs if homes[job] == one]
        requests = [Request(job.scenario, job.design, job.seed) for job in mine]
        made = plans(requests, one.catalogue, one.options)
        refuse_impossible(made, one.options)
        found.update(zip(mine, made, strict=True))
    return Prepared(tuple(jobs), found, homes)


def begin(out: Path, name: str, jobs: Sequence[Job], conditions: Mapping[str, str] | None = None) -> Campaign:
    """A new campaign folder below `out`."""
    folder = fresh_folder(out, name)
    campaign = Campaign(folder, name, tuple(jobs), dict(conditions or {}))
    stored = _Stored(name, campaign.jobs, dict(campaign.conditions))
    write_whole(folder / JOBS_FILE, msgspec.json.encode(stored))
    return campaign


def known(
    out: Path, name: str, jobs: Sequence[Job], unreadable: list[str] | None = None
) -> Iterator[Campaign]:
    """Campaigns of this name that ask for the same runs, finished or not, the latest first. What could not be
    read is added to `unreadable`."""
    wanted = set(jobs)
    for folder in sorted(out.glob(f"*-{name}*"), reverse=True):
        path = folder / JOBS_FILE
        if not path.is_file():
            continue
        try:
            stored = decoded(read_regular(path), _Stored)
        except (OSError, ValueError) as error:
            if unreadable is not None:
                unreadable.append(f"{path} could not be read ({error})")
            continue
        if stored.name == name and set(stored.jobs) == wanted:
            yield Campaign(folder, name, stored.jobs, stored.conditions)


def resume(
    out: Path,
    name: str,
    jobs: Sequence[Job],
    conditions: Mapping[str, str] | None = None,
    reports: Iterable[str] = (),
) -> Campaign:
    """The latest campaign of this name that asks for the same runs under the same conditions, and has runs or
    `reports` left to make. Raises UsageError, saying what differs and what could not be read, and
    HistoryError for a run whose folder says something else than what was kept of it."""
    remarks: list[str] = []
    reports, finished = tuple(reports), ""
    for campaign in known(out, name, jobs, remarks):
        if not campaign.left() and not any(_behind(campaign.folder, report) for report in reports):
            finished = finished or campaign.folder.name
            continue
        differing = _differing(campaign.conditions, conditions or {})
        if not differing:
            require_own(campaign.records(), FinishedRuns(campaign.folder).path)
            return campaign
        remarks.append(f"{campaign.folder.name} was begun with another {'; '.join(differing)}")
    remarks += [f"{finished} has finished"] if finished else []
    raise UsageError(
        "; ".join([f"found no unfinished campaign {name} with these runs below {out}", *remarks])
        + ", expected one to resume; start it without --resume"
    )


def _behind(folder: Path, report: str) -> bool:
    """Whether the report is missing, or older than the last finished run."""
    path, finished = folder / report, FinishedRuns(folder).path
    if not path.is_file():
        return True
    return finished.is_file() and path.stat().st_mtime_ns < finished.stat().st_mtime_ns


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """`time scale (1, now 0.5)` for everything that is not the same."""
    return [
        f"{name} ({before.get(name) or 'none'}, now {now.get(name) or 'none'})"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    ]


def play(
    campaign: Campaign, prepared: Prepared, hooks: Hooks, stop: Stop
) -> Generator[RunRecord, None, None]:
    """Play what is left, recording each run as it finishes."""
    left = campaign.left()
    hooks.expects(len(left))
    with playing(campaign, prepared, hooks, stop) as play_one:
        for job in left:
            record = play_one(job)
            if record is None:
                return
            yield record


@contextmanager
def playing(
    campaign: Campaign, prepared: Prepared, hooks: Hooks, stop: Stop
) -> Iterator[Callable[[Job], RunRecord | None]]:
    """What plays a job and records it, or gives None when it was interrupted. Every system is started when it
    is first needed and stays up until the last run, so that turns may alternate."""
    finished = FinishedRuns(campaign.folder)
    with ExitStack() as up:
        benches: dict[Home, Bench] = {}

        def run(job: Job) -> RunResult:
            home = prepared.homes[job]
            if home not in benches:
                mine = [plan for other, plan in prepared.plans.items() if prepared.homes[other] == home]
                benches[home] = up.enter_context(open_bench(mine, home.options, stop))
                hooks.started(benches[home].describe())
            plan = prepared.plans[job]
            return benches[home].run(plan, hooks.watch(plan))

        def play_one(job: Job) -> RunRecord | None:
            result = None
            with suppress(Interrupted):  # what has finished is reported
                stop.check()
                result = run(job)
            if result is None or stop.is_set():
                return None  # the run that was cut short is played again on resumption
            record = record_job(job, result)
            finished.append(record)
            hooks.finished(record, result)
            return record

        yield play_one


def record_job(job: Job, result: RunResult) -> RunRecord:
    """The design is named as it was asked for, so that jobs and records meet."""
    folder = result.folder
    record = record_of_folder(job.entry, job.scenario, folder, result.history, result.analysis, result.clean)
    return replace(record, design=job.design, side=job.side)
