"""Commands that decide about releases: compare designs, gate a candidate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from comparison.compare import ComparisonOrder, comparison_exit_code
from comparison.formats import lines as comparison_lines
from execution.campaigns.campaign import Hooks
from execution.campaigns.comparison import run_comparison
from execution.campaigns.gate import run_gate
from execution.campaigns.trials import trial_runs, trials_of
from execution.commands.live import catalogue_of, say_run, started, watchers
from execution.commands.saying import dump, say, say_results, tell
from execution.commands.session import live_session, suite_of, typed
from execution.options import Options
from experiment.errors import ExitCode, UsageError, nearest
from gate.formats import lines as gate_lines
from gate.formats import render_markdown, workflow_commands
from gate.play import GateOrder
from gate.report import GateReport, gate_exit_code
from gate.selfcheck import GateTrials, figures
from gate.selfcheck_report import render_markdown as render_figures
from measurement.run_records import RunRecord


def _hooks(as_json: bool) -> Hooks:
    def finished(_record: RunRecord, folder: Path) -> None:
        if not as_json:
            say_run(folder)

    return Hooks(watchers(as_json), started, finished)


def compare(
    suite: str,
    seed: int | None,
    designs: Sequence[str],
    order: ComparisonOrder,
    options: Options,
    as_json: bool,
) -> int:
    """Designs side by side; 0 when all runs were scored, 2 when a cell has no score, 5 after incomplete
    clean-up."""
    catalogue = catalogue_of(options)
    loaded = suite_of(suite, seed, catalogue)
    order = replace(order, designs=tuple(dict.fromkeys(designs)), command=typed())
    with live_session(options.runtime) as interruption:
        report, folder = run_comparison(loaded, catalogue, options, order, _hooks(as_json), interruption.stop)
    say_results(comparison_lines(report), folder / "comparison.html", as_json)
    return int(interruption.exit_code or comparison_exit_code(report))


def gate(suite: str, seed: int | None, order: GateOrder, options: Options, as_json: bool) -> int:
    """Whether the candidate may be released."""
    catalogue = catalogue_of(options)
    loaded = suite_of(suite, seed, catalogue)
    with live_session(options.runtime) as interruption:
        report, folder = run_gate(
            loaded, catalogue, options, replace(order, command=typed()), _hooks(as_json), interruption.stop
        )
    say_results(gate_lines(report), folder / "gate.md", as_json)
    tell_pipeline(report, as_json)
    return int(interruption.exit_code or gate_exit_code(report))


def tell_pipeline(report: GateReport, as_json: bool) -> None:
    """On GitHub: annotations beside the files, and the summary of the job."""
    if os.environ.get("GITHUB_ACTIONS") == "true" and not as_json:
        for command in workflow_commands(report):
            say(command)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(render_markdown(report))


def selfcheck_gate(
    scenarios: Sequence[str], trials: GateTrials, options: Options, out: Path | None, as_json: bool
) -> int:
    """What the gate is worth; 1 when it misses its own bars."""
    catalogue = catalogue_of(options)
    same, bugs = trials_of(catalogue, scenarios, options.runtime)
    for name in trials.only:
        if name not in (known := [bug.name for bug in bugs]):
            raise UsageError(f'found no seeded bug "{name}", expected one: {nearest(name, known)}')
    if trials.only:
        bugs = tuple(bug for bug in bugs if bug.name in trials.only)
    with (
        live_session(options.runtime) as interruption,
        trial_runs(catalogue, options, interruption.stop, tell) as runs,
    ):
        found = figures(runs, same, bugs, trials, interruption.stop, tell)
    found = replace(found, source=options.runtime, command=typed())
    if out is not None:
        out.write_text(render_figures(found), encoding="utf-8")
    if as_json:
        dump(msgspec.to_builtins(found))
    else:
        say(render_figures(found))
    for text in found.missed:
        tell(f"missed: {text}")
    return int(interruption.exit_code or (ExitCode.FAIL if found.missed else ExitCode.PASS))
