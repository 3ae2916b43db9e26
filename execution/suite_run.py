"""A suite on one running system: every entry once, its verdict beside the one it must have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from execution.catalogue import ROOT, Catalogue
from execution.facts import git_commit, machine, versions
from execution.live_run import Watcher
from execution.options import Options
from execution.pipeline import RunResult, run_plans
from execution.preflight import Request, check_suite, plans
from execution.suite_numbers import Scored, four_numbers
from experiment.errors import ExitCode
from experiment.plan import Plan
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from reports import SUITE_FORMATS
from reports.loading import load_run_report
from reports.report import SuiteEntry, SuiteReport, summarise
from runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """`folder` holds the suite's reports; the runs have folders of their own."""

    report: SuiteReport
    folder: Path
    exit_code: ExitCode


@dataclass(slots=True)
class Hooks:
    """What a suite tells its watcher."""

    watch: Callable[[Plan], Watcher]
    started: Callable[[Runtime], None]
    finished: Callable[[Entry, RunResult, bool], None]


def run_suite(
    suite: Suite, catalogue: Catalogue, options: Options, hooks: Hooks, stop: threading.Event, command: str
) -> SuiteResult:
    """Play every entry; designs stay together so that the system changes as rarely as possible."""
    check_suite(suite, catalogue)
    order = sorted(range(len(suite.entries)), key=lambda i: _first(suite.entries, i))
    requests = [_request(suite, index) for index in order]
    results: dict[int, RunResult] = {}
    prepared = plans(requests, catalogue, options)
    for index, result in zip(
        order, run_plans(prepared, options, hooks.watch, stop, hooks.started), strict=False
    ):
        results[index] = result
        hooks.finished(suite.entries[index], result, entry_met(suite.entries[index], result))
    return _report(suite, results, catalogue, options, command, stop.is_set())


def _first(entries: Sequence[Entry], index: int) -> int:
    """Where the entry's design appears first."""
    return next(i for i, entry in enumerate(entries) if entry.design == entries[index].design)


def _request(suite: Suite, index: int) -> Request:
    entry = suite.entries[index]
    return Request(entry.scenario, entry.design, suite.seed)


def entry_met(entry: Entry, result: RunResult) -> bool:
    """The expected verdict, and for the expected reason when the suite names one."""
    violated = {check.checker for check in result.analysis.checks if check.violation_count}
    return result.verdict == Verdict(entry.expect) and set(entry.violates) <= violated


def _report(
    suite: Suite,
    results: dict[int, RunResult],
    catalogue: Catalogue,
    options: Options,
    command: str,
    interrupted: bool,
) -> SuiteResult:
    stamp = datetime.now(UTC)
    folder = options.out / f"{stamp.strftime('%Y%m%dT%H%M%S')}-suite-{suite.name}"
    folder.mkdir(parents=True, exist_ok=True)
    entries = tuple(_entry(entry, results.get(index)) for index, entry in enumerate(suite.entries))
    report = SuiteReport(
        name=suite.name,
        started_at=stamp.isoformat(timespec="seconds"),
        command=command,
        entries=entries,
        title=suite.title,
        numbers=four_numbers(_scored(suite, results), catalogue.system()),
        machine=machine(),
        versions=versions(),
        git=git_commit(ROOT),
    )
    for name, rendering in SUITE_FORMATS.items():
        (folder / name).write_text(rendering(report), encoding="utf-8")
    return SuiteResult(report, folder, _exit_code(suite, results, interrupted))


def _scored(suite: Suite, results: dict[int, RunResult]) -> list[Scored]:
    return [
        Scored(
            design=entry.design,
            scenario=entry.scenario,
            weight=entry.weight,
            verdict=results[index].verdict,
            vetoed=results[index].analysis.vetoed,
            score=results[index].analysis.score.value,
            exercised=frozenset((f.target, f.kind) for f in results[index].analysis.faults if f.observed),
        )
        for index, entry in enumerate(suite.entries)
        if index in results
    ]


def _entry(entry: Entry, result: RunResult | None) -> SuiteEntry:
    expected = Verdict(entry.expect)
    if result is None:
        return SuiteEntry(entry.scenario, entry.design, expected, None, entry.weight)
    link = f"../{result.folder.path.name}/report.html"
    summary = summarise(load_run_report(result.folder.path))
    return SuiteEntry(entry.scenario, entry.design, expected, summary, entry.weight, link)


def _exit_code(suite: Suite, results: dict[int, RunResult], interrupted: bool) -> ExitCode:
    """0 only when every entry ran and met its expectation; else the gravest of what was not met."""
    if interrupted:
        return ExitCode.INTERRUPTED
    codes = {ExitCode.PASS}
    for index, entry in enumerate(suite.entries):
        result = results.get(index)
        if result is None:
            codes.add(ExitCode.INCONCLUSIVE)
        elif not entry_met(entry, result):
            codes.add(_unmet(entry, result))
    gravity = (ExitCode.SAFETY_VETO, ExitCode.INVALID, ExitCode.FAIL, ExitCode.INCONCLUSIVE, ExitCode.PASS)
    return next(code for code in gravity if code in codes)


def _unmet(entry: Entry, result: RunResult) -> ExitCode:
    if result.verdict is Verdict.INVALID:
        return ExitCode.INVALID
    if result.verdict is Verdict.INCONCLUSIVE:
        return ExitCode.INCONCLUSIVE
    return ExitCode.SAFETY_VETO if result.analysis.vetoed and entry.expect == "pass" else ExitCode.FAIL
