"""`schema`: the JSON Schema of a kind of file, with which editors complete and check."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say


@click.command(cls=Pasteable, epilog="Example: codeblue schema design --system examples/shop")
@click.argument("kind", type=click.Choice(["system", "design", "scenario", "suite"]))
@system_option
@json_option
def schema(kind: str, system: Path | None, as_json: bool) -> int:
    """Starts nothing. That of a design knows the system's links, services and switches. With --json it is
    the `result` in the envelope of all commands.
    """
    from execution.catalogue import default_catalogue
    from execution.schemas import of_files, text_of
    from experiment.errors import ExitCode

    found = of_files(default_catalogue(system).system())[kind]
    if as_json:
        dump(found)
    else:
        say(text_of(found).rstrip())
    return int(ExitCode.PASS)
