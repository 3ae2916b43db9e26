"""`init`: the first files of a system that somebody else wrote."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import FILE
from execution.commands.saying import say, shown, tell


@click.command(cls=Pasteable, epilog="Example: codeblue init --compose compose.yaml --into resilience")
@click.option("--compose", type=FILE, metavar="FILE", help="The compose file of the system.")
@click.option(
    "--processes", type=FILE, metavar="FILE", help="Its Procfile, with `.env` beside it: local processes."
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the files; what is there is never overwritten. [default: resilience, beside FILE]",
)
@click.option("--name", help="Name of the system. [default: that of the folder of FILE]")
@click.option("--profile", "profiles", multiple=True, help="Profile whose services belong to it, too.")
@click.option(
    "--openapi", default="", metavar="FILE", help="Description of its API (or its URL), for journeys."
)
@click.option("--entry", default="", metavar="NAME", help="Service where users come in. [default: guessed]")
def init(
    compose: Path | None,
    processes: Path | None,
    into: Path | None,
    name: str | None,
    profiles: tuple[str, ...],
    openapi: str,
    entry: str,
) -> int:
    """Writes system.yaml, a design, two scenarios and a suite. Services, ports, health checks and links are
    those that the file and its variables name; lines with FILL IN are for you. Nothing is started, the file
    stays as it is, and no value of a variable is copied but the addresses of services.
    """
    from execution.campaigns.first_system import Wanted, write_first_processes, write_first_system
    from experiment.errors import ExitCode, UsageError
    from experiment.units import noun

    file = compose or processes
    if file is None or (compose and processes):
        given = "both --compose and --processes" if file else "neither --compose nor --processes"
        raise UsageError(f"found {given}, expected one of them")
    if processes and profiles:
        raise UsageError("found --profile beside --processes, expected it beside --compose")
    folder = into or file.parent / "resilience"
    write = write_first_system if compose else write_first_processes
    written = write(file, folder, Wanted(name or "", profiles, openapi, entry))
    for path in written.files:
        say(f"wrote {shown(path)}")
    found = written.found
    counted = f"{noun(len(found.services), 'service')}, {noun(len(found.links), 'link')}"
    say(f"{counted}; {noun(written.to_fill_in, 'line')} to fill in")
    for text in written.remarks:
        tell(text)
    say(f"next: codeblue {'check-wiring' if compose else 'try'} {shown(folder)}")
    return int(ExitCode.PASS)
