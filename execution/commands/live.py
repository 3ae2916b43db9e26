"""One function per command: do it, say it, return the exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from execution.campaigns.campaign import Hooks
from execution.campaigns.suite import SuiteOrder, run_suite
from execution.campaigns.suite_numbers import entry_met
from execution.catalogue import Catalogue, default_catalogue
from execution.commands import doctor as doctor_findings
from execution.commands.interrupts import Interruption
from execution.commands.progress import ProgressLine
from execution.commands.saying import dump, say, say_results, shown, tell
from execution.commands.session import live_session, suite_of, typed
from execution.options import Options
from execution.places import INSTANCES
from execution.runs.bench import RunResult
from execution.runs.live_run import Watcher
from execution.runs.pipeline import run_plans
from execution.runs.preflight import Request, plans
from execution.runs.runtime_choice import sweep_containers, sweep_unjournaled_containers
from experiment.errors import ExitCode, gravest
from experiment.plan import Plan
from measurement.run_records import RunRecord
from reports.console import run_lines, suite_lines
from reports.loading import load_run_report
from reports.report import summarise
from runtimes.leftovers import sweep


def catalogue_of(options: Options) -> Catalogue:
    return default_catalogue(options.system)


def run(scenarios: Sequence[str], designs: Sequence[str], seed: int, options: Options, as_json: bool) -> int:
    """Each scenario on each design; the exit code is the gravest of the runs'."""
    catalogue = catalogue_of(options)
    requests = [Request(scenario, design, seed) for design in designs for scenario in scenarios]
    prepared = plans(requests, catalogue, options)
    results: list[RunResult] = []
    with live_session(options.runtime) as interruption:
        for result in run_plans(
            prepared,
            options,
            watchers(as_json),
            interruption.stop,
            started,
        ):
            results.append(result)
            if not as_json:
                say_run(result.folder.path)
    if as_json:
        dump([_run_json(result) for result in results])
    return int(_exit_code(results, interruption))


def watchers(quiet: bool) -> Any:
    lines: dict[str, ProgressLine] = {}

    def watch(plan: Plan) -> Watcher:
        for line in lines.values():
            line.close()
        lines[plan.run_id] = ProgressLine(plan, quiet)
        return lines[plan.run_id]

    return watch


def started(what: str) -> None:
    tell(f"system up ({what})")


def say_run(folder: Path) -> None:
    report = load_run_report(folder)
    if sys.stderr.isatty():
        click.echo("\r\x1b[2K", err=True, nl=False)
    for text in run_lines(report, colour=sys.stdout.isatty()):
        say(text)
    say(f"  report: {shown(folder / 'report.html')}")


def _run_json(result: RunResult) -> Mapping[str, Any]:
    summary = summarise(load_run_report(result.folder.path))
    return {
        "folder": str(result.folder.path),
        **{name: getattr(summary, name) for name in summary.__slots__},
        "exit_code": int(result.exit_code),
    }


def _exit_code(results: Sequence[RunResult], interruption: Interruption) -> ExitCode:
    codes = {result.exit_code for result in results}
    return gravest(codes if interruption.exit_code is None else {*codes, interruption.exit_code})


def suite(name: str, seed: int | None, order: SuiteOrder, options: Options, as_json: bool) -> int:
    """Run a suite with its reports; 0 when every entry met its expectation."""
    catalogue = catalogue_of(options)
    loaded = suite_of(name, seed, catalogue)
    order = replace(order, command=typed())

    def finished(record: RunRecord, folder: Path) -> None:
        if not as_json:
            entry = loaded.entries[record.entry]
            say_run(folder)
            say("  as expected" if entry_met(entry, record) else f"  EXPECTED {entry.expect}")

    with live_session(options.runtime) as interruption:
        hooks = Hooks(watchers(as_json), started, finished)
        result = run_suite(loaded, catalogue, options, order, hooks, interruption.stop)
    say_results(suite_lines(result.report, colour=sys.stdout.isatty()), result.folder / "suite.html", as_json)
    return int(gravest({interruption.exit_code or result.exit_code, result.exit_code}))


def doctor(as_json: bool) -> int:
    """0 when everything that is needed is there."""
    findings = doctor_findings.examine()
    if as_json:
        dump([{name: getattr(finding, name) for name in finding.__slots__} for finding in findings])
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else ("MISS" if finding.needed else "no  ")
            say(f"{mark} {finding.name:<16} {finding.found}")
            if not finding.ok and finding.hint:
                say(f"     {'':<16} -> {finding.hint}")
    missing = any(finding.needed and not finding.ok for finding in findings)
    return int(ExitCode.INVALID if missing else ExitCode.PASS)


def clean(as_json: bool) -> int:
    """What was found and removed; 5 when something is left."""
    swept = sweep(INSTANCES, sweep_containers) + sweep_unjournaled_containers()
    if as_json:
        dump(swept)
    else:
        for text in swept.lines():
            say(text)
        if not swept.done and not swept.failed:
            say("nothing else was found" if swept.passed_over else "nothing was left behind")
    return int(ExitCode.CLEANUP_INCOMPLETE if swept.failed else ExitCode.PASS)
