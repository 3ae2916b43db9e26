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
    """Starts nothing. Without FILES it checks all that the system has. Exit 64 when there is a mistake."""
    from execution.catalogue import default_catalogue
    from execution.runs.preflight import validate_file
    from experiment.errors import CodeBlueError, ExitCode
    from experiment.units import noun

    chosen = files or default_catalogue(system).files()
    errors: dict[Path, CodeBlueError] = {}
    for path in chosen:
        error = validate_file(path, default_catalogue(system, [str(path)]))
        if error is not None:
            errors[path] = error
    if as_json:
        dump({"files": len(chosen), "errors": {str(path): str(error) for path, error in errors.items()}})
    else:
        for error in errors.values():
            tell(str(error))
        say(f"{noun(len(chosen), 'file')}, {len(chosen) - len(errors)} valid, {len(errors)} with mistakes")
    return int(ExitCode.BAD_CONFIGURATION if errors else ExitCode.PASS)
