"""A suite on one running system: every entry, once or with many seeds, beside the verdict it must have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from execution.campaigns.campaign import Home, Hooks, begin, play, prepare, resume
from execution.campaigns.suite_numbers import four_numbers, repeated_entries
from execution.catalogue import Catalogue
from execution.options import Options
from execution.places import ROOT
from execution.program import git_commit
from execution.runs.facts import machine, versions
from execution.runs.preflight import check_suite
from execution.whole_files import write_whole
from experiment.errors import ExitCode
from experiment.jobs import Job, seeds_of, shuffled
from experiment.stop import Stop
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from measurement.run_records import RunRecord
from reports.formats import SUITE_FORMATS
from reports.loading import load_run_summary
from reports.report import SuiteEntry, SuiteReport
from trend.store import FILE_NAME, Asked, Expected, Occasion, Results


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """`folder` holds the suite's reports; the runs have folders of their own."""

    report: SuiteReport
    folder: Path
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class SuiteOrder:
    """How a suite is to be run. One repeat keeps designs together, more are shuffled."""

    repeats: int = 1
    resume: bool = False
    command: str = ""


def suite_of(name: str, seed: int | None, catalogue: Catalogue, *runtimes: str) -> Suite:
    """A suite whose scenarios and designs were all read and checked, with what all of the runtimes can play;
    `seed` takes the place of its own."""
    whole = catalogue.suite(catalogue.suite_path(name))
    check_suite(whole, catalogue)
    suite = whole.on(*runtimes)
    return suite if seed is None else replace(suite, seed=seed)


def run_suite(
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    order: SuiteOrder,
    hooks: Hooks,
    stop: Stop,
) -> SuiteResult:
    """Play what is to be played and write the suite's reports, also when it was interrupted."""
    check_suite(suite, catalogue)
    jobs = suite_jobs(suite, order.repeats)
    name = f"suite-{suite.name}"
    with stop.cut_short(0.0):  # nothing has begun
        prepared = prepare(jobs, Home(catalogue, options))
    results = Results(options.out / FILE_NAME)
    results.check()
    conditions = prepared.conditions()
    if order.resume:
        campaign = resume(options.out, name, jobs, conditions, SUITE_FORMATS)
    else:
        campaign = begin(options.out, name, jobs, conditions)
    weighed = tuple(
        Expected(job.entry, job.scenario, job.design, job.seed, suite.entries[job.entry].weight)
        for job in jobs
    )
    results.begin(campaign.folder.name, Asked(weighed, machine()))
    for _record in play(campaign, prepared, hooks, stop):
        pass
    records = campaign.records()
    report = suite_report(suite, jobs, records, catalogue, order.command, campaign.folder)
    for file, rendering in SUITE_FORMATS.items():
        write_whole(campaign.folder / file, rendering(report))
    occasion = Occasion(report.started_at, campaign.folder.name, report.git, suite.name)
    weighted = [(record, suite.entries[record.entry].weight) for record in records]
    results.append(occasion, weighted)
    return SuiteResult(report, campaign.folder, suite_exit_code(report, records))


def suite_jobs(suite: Suite, repeats: int) -> tuple[Job, ...]:
    """Every entry with every seed. Designs stay together when each entry runs once: the system changes
    least."""
    jobs = [
        Job(index, entry.scenario, entry.design, seed)
        for seed in seeds_of(suite.seed, repeats)
        for index, entry in enumerate(suite.entries)
    ]
    if repeats > 1:
        return shuffled(jobs, suite.seed)
    designs = list(dict.fromkeys(entry.design for entry in suite.entries))
    return tuple(sorted(jobs, key=lambda job: designs.index(job.design)))


def suite_report(
    suite: Suite,
    jobs: Sequence[Job],
    records: Sequence[RunRecord],
    catalogue: Catalogue,
    command: str,
    folder: Path,
) -> SuiteReport:
    """The report value: one entry for every job in the order of the suite, played or not."""
    found = {(record.entry, record.seed): record for record in records}
    ordered = sorted(jobs, key=lambda job: (job.entry, job.seed))
    return SuiteReport(
        name=suite.name,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        entries=tuple(
            suite_entry(suite.entries[job.entry], found.get((job.entry, job.seed)), folder) for job in ordered
        ),
        title=suite.title,
        numbers=four_numbers(suite, records, catalogue.system(), sorted({job.seed for job in jobs})),
        repeated=repeated_entries(suite, records),
        machine=machine(),
        versions=versions(),
        git=git_commit(ROOT),
    )


def suite_entry(entry: Entry, record: RunRecord | None, folder: Path) -> SuiteEntry:
    """One run beside what the suite expects of it; `folder` is the suite's, which the link leads from."""
    bare = SuiteEntry(
        entry.scenario,
        entry.design,
        Verdict(entry.expect),
        None,
        entry.weight,
        violates=entry.violates,
        misses=entry.misses,
    )
    if record is None:
        return bare
    run = Path(record.folder)
    link = f"../{run.name}/report.html" if run.parent == folder.parent else str(run / "report.html")
    return replace(bare, summary=load_run_summary(run), link=link)


def suite_exit_code(report: SuiteReport, records: Sequence[RunRecord]) -> ExitCode:
    """The report's verdict; 4 for a veto where a pass was expected, and 5 before all for a run that did not
    clean up."""
    if not all(record.clean for record in records):
        return ExitCode.CLEANUP_INCOMPLETE
    vetoed = any(
        entry.expected is Verdict.PASS and entry.summary is not None and entry.summary.vetoed
        for entry in report.entries
    )
    if vetoed:
        return ExitCode.SAFETY_VETO
    codes = {Verdict.PASS: ExitCode.PASS, Verdict.FAIL: ExitCode.FAIL}
    return codes.get(report.verdict, ExitCode.INCONCLUSIVE)
