"""Commands that start nothing: they read scenario files and finished runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from execution.catalogue import Catalogue, default_catalogue, unique_scenarios
from execution.commands.listing import contents, finished_runs
from execution.commands.saying import dump, say, tell
from execution.options import Options
from execution.runs.judging import judge, render
from execution.runs.preflight import Request, plans, validate_file
from execution.runs.run_folder import RunFolder, plan_facts
from experiment.errors import ExitCode
from experiment.units import noun
from experiment.verdict import exit_code
from reports.console import run_lines
from reports.loading import load_run_report


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
        say(f"{noun(len(chosen), 'file')}, {len(chosen) - len(errors)} valid, {len(errors)} with mistakes")
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
    (made,) = plans([Request(scenario, design, seed)], default_catalogue(options.system), options)
    if as_json:
        dump(plan_facts(made))
        return int(ExitCode.PASS)
    say(f"{made.scenario.name}: {made.scenario.title}")
    count = len(made.operations)
    say(f"design {made.design.name}, seed {made.seed}, {noun(count, 'operation')}, {made.population.source}")
    events = [(phase.start_s, f"phase {phase.name} begins") for phase in made.phases]
    for acting in made.activations:
        events += [
            (acting.end_s, f"heal {acting.id} {acting}"),
            (acting.start_s, f"inject {acting.id} {acting}"),
        ]
    for t, text in sorted(events, key=lambda event: event[0]):
        say(f"  {t:8.3f} s  {text}")
    say(f"  {made.phases[-1].end_s:8.3f} s  end at the latest")
    return int(ExitCode.PASS)


def check(path: Path, as_json: bool) -> int:
    """Judge again and render again; the exit code is the run's."""
    folder = RunFolder(path)
    history = folder.history()
    analysis = judge(folder, history)
    render(folder, history)
    if as_json:
        say(folder.analysis_path.read_text(encoding="utf-8"))
    else:
        for text in run_lines(load_run_report(path), colour=sys.stdout.isatty()):
            say(text)
    return int(exit_code(analysis.verdict, analysis.vetoed, history.end))


def report(path: Path) -> int:
    """Render again without judging again."""
    for written in render(RunFolder(path)):
        say(str(written))
    return int(ExitCode.PASS)
