"""`validate`: every mistake of files, before anything uses them."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, tell


@click.command(cls=Pasteable, epilog="Example: codeblue validate scenarios/smoke/*.yaml")
@click.argument("files", nargs=-1, type=FILE)
@system_option
@json_option
def validate(files: tuple[Path, ...], system: Path | None, as_json: bool) -> int:
    """Starts nothing. Without FILES it checks all that the system has. Warns of what a scenario leaves
    unjudged. Exit 64 when there is a mistake.
    """
    from dataclasses import asdict

    from execution.catalogue import default_catalogue
    from execution.envelope import mistake, mistakes_of
    from execution.runs.preflight import validate_file, warnings_in
    from experiment.errors import CodeBlueError, ExitCode, Problem
    from experiment.scenario_warnings import told
    from experiment.units import noun

    chosen = files or default_catalogue(system).files()
    errors: list[CodeBlueError] = []
    warnings: list[Problem] = []
    for path in chosen:
        catalogue = default_catalogue(system, [str(path)])
        error = validate_file(path, catalogue)
        if error is not None:
            errors.append(error)
        else:
            warnings += warnings_in(path, catalogue)
    if as_json:
        mistakes = [asdict(one) for error in errors for one in mistakes_of(error)]
        warned = [asdict(mistake(one)) for one in warnings]
        dump(
            {"files": len(chosen), "valid": len(chosen) - len(errors), "errors": mistakes, "warnings": warned}
        )
    else:
        for text in (*map(str, errors), *map(told, warnings)):
            tell(text)
        valid, wrong = len(chosen) - len(errors), len(errors)
        told_warnings = f", {noun(len(warnings), 'warning')}" if warnings else ""
        say(f"{noun(len(chosen), 'file')}, {valid} valid, {wrong} with mistakes{told_warnings}")
    return int(ExitCode.BAD_CONFIGURATION if errors else ExitCode.PASS)
