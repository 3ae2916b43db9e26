"""One function per command: do it, say it, return the exit code."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from execution import doctor as doctor_findings
from execution.campaign import Hooks, runtime_line
from execution.catalogue import ROOT, Catalogue, default_catalogue, unique_scenarios
from execution.interrupts import Interruption, interruptible
from execution.judging import judge, render
from execution.listing import contents, finished_runs
from execution.live_run import Watcher
from execution.options import Options
from execution.pipeline import RunResult, run_plans
from execution.preflight import Request, plans, validate_file
from execution.progress import ProgressLine
from execution.records import RunRecord
from execution.run_folder import RunFolder, plan_facts
from execution.runtime_choice import INSTANCES, sweep_containers, sweep_unjournaled_containers
from execution.suite_run import SuiteOrder, entry_met, run_suite
from experiment.errors import ExitCode
from experiment.plan import Plan
from experiment.suite import load_suite
from experiment.verdict import exit_code
from reports.console import run_lines, suite_lines
from reports.loading import load_run_report
from reports.report import summarise
from runtimes.leftovers import Swept, sweep


def say(text: str) -> None:
    click.echo(text)


def tell(text: str) -> None:
    """To stderr: what is no result."""
    click.echo(text, err=True)


def dump(plain: Any) -> None:
    say(json.dumps(plain, indent=1, default=str))


def catalogue_of(options: Options) -> Catalogue:
    return default_catalogue(options.system)


def run(scenarios: Sequence[str], designs: Sequence[str], seed: int, options: Options, as_json: bool) -> int:
    """Each scenario on each design; the exit code is the gravest of the runs'."""
    catalogue = catalogue_of(options)
    requests = [Request(scenario, design, seed) for design in designs for scenario in scenarios]
    prepared = plans(requests, catalogue, options)
    sweep_leftovers()
    results: list[RunResult] = []
    with interruptible() as interruption:
        for result in run_plans(
            prepared,
            options,
            _watchers(as_json),
            interruption.stop,
            lambda up: _started(runtime_line(up.describe())),
        ):
            results.append(result)
            if not as_json:
                _say_run(result.folder.path)
    if as_json:
        dump([_run_json(result) for result in results])
    return int(_exit_code(results, interruption))


def _watchers(quiet: bool) -> Any:
    lines: dict[str, ProgressLine] = {}

    def watch(plan: Plan) -> Watcher:
        for line in lines.values():
            line.close()
        lines[plan.run_id] = ProgressLine(plan, quiet)
        return lines[plan.run_id]

    return watch


def _started(what: str) -> None:
    tell(f"system up ({what})")


def _say_run(folder: Path) -> None:
    report = load_run_report(folder)
    if sys.stderr.isatty():
        click.echo("\r\x1b[2K", err=True, nl=False)
    for text in run_lines(report, colour=sys.stdout.isatty()):
        say(text)
    say(f"  report: {_shown(folder / 'report.html')}")


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _run_json(result: RunResult) -> Mapping[str, Any]:
    summary = summarise(load_run_report(result.folder.path))
    return {
        "folder": str(result.folder.path),
        **{name: getattr(summary, name) for name in summary.__slots__},
        "exit_code": int(exit_code(result.verdict, result.analysis.vetoed)),
    }


def _exit_code(results: Sequence[RunResult], interruption: Interruption) -> ExitCode:
    if interruption.exit_code is not None:
        return interruption.exit_code
    codes = {exit_code(result.verdict, result.analysis.vetoed) for result in results}
    codes |= {ExitCode.CLEANUP_INCOMPLETE for result in results if not result.clean}
    gravity = (
        ExitCode.CLEANUP_INCOMPLETE,
        ExitCode.SAFETY_VETO,
        ExitCode.INVALID,
        ExitCode.FAIL,
        ExitCode.INCONCLUSIVE,
        ExitCode.PASS,
    )
    return next((code for code in gravity if code in codes), ExitCode.INCONCLUSIVE)


def suite(name: str, seed: int | None, order: SuiteOrder, options: Options, as_json: bool) -> int:
    """Run a suite with its reports; 0 when every entry met its expectation."""
    catalogue = catalogue_of(options)
    loaded = load_suite(catalogue.suite_path(name))
    if seed is not None:
        loaded = replace(loaded, seed=seed)
    order = replace(order, command=shlex.join(["python", "harness.py", *sys.argv[1:]]))
    sweep_leftovers()

    def finished(record: RunRecord, folder: Path) -> None:
        if not as_json:
            entry = loaded.entries[record.entry]
            _say_run(folder)
            say("  as expected" if entry_met(entry, record) else f"  EXPECTED {entry.expect}")

    with interruptible() as interruption:
        hooks = Hooks(_watchers(as_json), _started, finished)
        result = run_suite(loaded, catalogue, options, order, hooks, interruption.stop)
    if as_json:
        say((result.folder / "suite.json").read_text(encoding="utf-8"))
    else:
        for text in suite_lines(result.report, colour=sys.stdout.isatty()):
            say(text)
        say(f"report: {_shown(result.folder / 'suite.html')}")
    return int(interruption.exit_code or result.exit_code)


def validate(files: Sequence[Path], as_json: bool) -> int:
    """Every mistake of every file; 64 when there is one."""
    catalogue = default_catalogue()
    chosen = list(files) or _all_files(catalogue)
    errors = {path: error for path in chosen if (error := validate_file(path, catalogue)) is not None}
    if as_json:
        dump({"files": len(chosen), "errors": {str(path): str(error) for path, error in errors.items()}})
    else:
        for error in errors.values():
            tell(str(error))
        say(f"{len(chosen)} files, {len(chosen) - len(errors)} valid, {len(errors)} with mistakes")
    return int(ExitCode.BAD_CONFIGURATION if errors else ExitCode.PASS)


def _all_files(catalogue: Catalogue) -> list[Path]:
    files = [catalogue.system_path, *catalogue.design_files().values(), *catalogue.suite_files().values()]
    return files + [path for _, path in unique_scenarios(catalogue)]


def list_all(runs: bool, as_json: bool) -> int:
    """What there is, by kind."""
    found = {"runs": finished_runs(Options().out)} if runs else contents(default_catalogue())
    if as_json:
        dump(found)
        return int(ExitCode.PASS)
    for kind, rows in found.items():
        say(f"{kind}:")
        width = max((len(name) for name in rows), default=0)
        for name, title in rows.items():
            say(f"  {name:<{width}}  {title}".rstrip())
    return int(ExitCode.PASS)


def plan(scenario: str, design: str, seed: int, options: Options, as_json: bool) -> int:
    """The timeline, for people or as JSON."""
    (made,) = plans([Request(scenario, design, seed)], catalogue_of(options), options)
    if as_json:
        dump(plan_facts(made))
        return int(ExitCode.PASS)
    say(f"{made.scenario.name}: {made.scenario.title}")
    count = len(made.operations)
    say(f"design {made.design.name}, seed {made.seed}, {count} operations, {made.population.source}")
    events = [(phase.start_s, f"phase {phase.name} begins") for phase in made.phases]
    events += [(step.at_s, f"{step.action} {step.fault} {step.kind} on {step.target}") for step in made.steps]
    for t, text in sorted(events, key=lambda event: event[0]):
        say(f"  {t:8.3f} s  {text}")
    say(f"  {made.phases[-1].end_s:8.3f} s  end at the latest")
    return int(ExitCode.PASS)


def check(path: Path, as_json: bool) -> int:
    """Judge again and render again; the exit code is the run's."""
    folder = RunFolder(path)
    analysis = judge(folder)
    render(folder)
    if as_json:
        say(folder.analysis_path.read_text(encoding="utf-8"))
    else:
        for text in run_lines(load_run_report(path), colour=sys.stdout.isatty()):
            say(text)
    return int(exit_code(analysis.verdict, analysis.vetoed))


def report(path: Path) -> int:
    """Render again without judging again."""
    for written in render(RunFolder(path)):
        say(str(written))
    return int(ExitCode.PASS)


def doctor(as_json: bool) -> int:
    """0 when everything that is needed is there."""
    findings = doctor_findings.examine()
    if as_json:
        dump([{name: getattr(finding, name) for name in finding.__slots__} for finding in findings])
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else ("MISS" if finding.needed else "no  ")
            say(f"{mark} {finding.name:<16} {finding.found}")
            if not finding.ok and finding.mend:
                say(f"     {'':<16} -> {finding.mend}")
    missing = any(finding.needed and not finding.ok for finding in findings)
    return int(ExitCode.INVALID if missing else ExitCode.PASS)


def clean(as_json: bool) -> int:
    """What was found and removed; 5 when something is left."""
    swept = sweep(INSTANCES, sweep_containers)
    unjournaled = sweep_unjournaled_containers()
    swept = Swept((*swept.done, *unjournaled.done), (*swept.failed, *unjournaled.failed))
    if as_json:
        dump(swept)
    else:
        for text in swept.lines() or ["nothing was left behind"]:
            say(text)
    return int(ExitCode.CLEANUP_INCOMPLETE if swept.failed else ExitCode.PASS)


def sweep_leftovers() -> None:
    """Every command that starts a system first removes what a killed one left, and says so."""
    for text in sweep(INSTANCES, sweep_containers).lines():
        tell(text)
