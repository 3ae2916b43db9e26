"""`init`: the first files of a system that somebody else wrote."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, shown, tell

EXAMPLES = """Examples: codeblue init my_system
          codeblue init --compose compose.yaml --into resilience"""


@click.command(cls=Pasteable, epilog=EXAMPLES)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]")
@click.option("--compose", type=FILE, metavar="FILE", help="The compose file of the system.")
@click.option(
    "--processes", type=FILE, metavar="FILE", help="Its Procfile, with `.env` beside it: local processes."
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the files; what is there is never overwritten. [default: `resilience` beside FILE; DIR]",
)
@click.option("--name", help="Name of the system. [default: that of the folder of FILE]")
@click.option("--profile", "profiles", multiple=True, help="Profile whose services belong to it, too.")
@click.option(
    "--openapi", default="", metavar="FILE", help="Description of its API (or its URL), for journeys."
)
@click.option("--entry", default="", metavar="NAME", help="Service where users come in. [default: guessed]")
@json_option
def init(
    folder: Path | None,
    compose: Path | None,
    processes: Path | None,
    into: Path | None,
    name: str | None,
    profiles: tuple[str, ...],
    openapi: str,
    entry: str,
    as_json: bool,
) -> int:
    """Writes system.yaml, designs, scenarios and a suite. DIR is a folder with a compose file or a Procfile:
    services, ports, health checks and links are those that the file and its variables name; lines with
    FILL IN are for you. Nothing is started, the file stays as it is, and no value of a variable is copied
    but the addresses of services. A DIR that is empty, or not there yet, gets a small system that runs, to
    go on from.
    """
    from execution.campaigns.first_system import Wanted, write_first_processes, write_first_system
    from execution.campaigns.starter import source_in, write_starter
    from experiment.errors import ExitCode, UsageError
    from experiment.units import noun

    given = {"DIR": folder, "--compose": compose, "--processes": processes}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UsageError(f"found {' and '.join(named)}, expected one of them")
    home = folder or Path()
    if not (compose or processes):
        compose, processes = source_in(home)
    if processes and profiles:
        raise UsageError("found --profile for a Procfile, expected it for a compose file")
    wanted = Wanted(name or "", profiles, openapi, entry)
    file = compose or processes
    place = into or (file.parent / "resilience" if file is not None else home)
    if file is None:
        written = write_starter(place, wanted)
    else:
        written = (write_first_system if compose else write_first_processes)(file, place, wanted)
    if as_json:
        dump(
            {
                "files": [str(path) for path in written.files],
                "services": written.services,
                "links": written.links,
                "to_fill_in": written.to_fill_in,
                "remarks": written.remarks,
            }
        )
        return int(ExitCode.PASS)
    for path in written.files:
        say(f"wrote {shown(path)}")
    counted = f"{noun(len(written.services), 'service')}, {noun(len(written.links), 'link')}"
    say(counted if file is None else f"{counted}; {noun(written.to_fill_in, 'line')} to fill in")
    for text in written.remarks:
        tell(text)
    say(f"next: codeblue {_next(compose, processes)} {shown(place)}")
    return int(ExitCode.PASS)


def _next(compose: Path | None, processes: Path | None) -> str:
    """What is to be typed before the new folder."""
    if compose:
        return "check-wiring"
    return "try" if processes else "suite first --system"
