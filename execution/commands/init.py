"""`init`: the first files of a system that somebody else wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, shown, tell

if TYPE_CHECKING:
    from execution.campaigns.first_system import Written

EXAMPLES = """Examples: codeblue init my_system
          codeblue init --compose compose.yaml --into resilience
          codeblue init --attach shop
          codeblue init --attach web=127.0.0.1:8080 --attach api=127.0.0.1:8081"""


@click.command(cls=Pasteable, epilog=EXAMPLES)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]")
@click.option("--compose", type=FILE, metavar="FILE", help="The compose file of the system.")
@click.option(
    "--processes", type=FILE, metavar="FILE", help="Its Procfile, with `.env` beside it: local processes."
)
@click.option(
    "--attach",
    multiple=True,
    metavar="TARGET",
    help="It runs already: its compose project, or NAME=HOST:PORT of every part.",
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
@click.option("--locust", type=FILE, metavar="FILE", help="A locustfile whose tasks are journeys.")
@click.option("--entry", default="", metavar="NAME", help="Service where users come in. [default: guessed]")
@json_option
def init(
    folder: Path | None,
    compose: Path | None,
    processes: Path | None,
    attach: tuple[str, ...],
    into: Path | None,
    name: str | None,
    profiles: tuple[str, ...],
    openapi: str,
    locust: Path | None,
    entry: str,
    as_json: bool,
) -> int:
    """Writes system.yaml, designs, scenarios and a suite. DIR is a folder with a compose file or a Procfile:
    services, ports, health checks and links are those that the file and its variables name; lines with
    FILL IN are for you. Nothing is started, the file stays as it is, and no value of a variable is copied
    but the addresses of services. A system that runs already (--attach) gets an allow file beside them, which
    allows nothing yet. A DIR that is empty, or not there yet, gets a small system that runs, to
    go on from.
    """
    from execution.campaigns.first_system import (
        Wanted,
        write_first_attached,
        write_first_processes,
        write_first_system,
    )
    from execution.campaigns.starter import source_in, write_starter
    from experiment.errors import ExitCode, UsageError
    from experiment.units import noun

    sources = {"DIR": folder, "--compose": compose, "--processes": processes, "--attach": attach or None}
    named = _one_of(sources)
    home = folder or Path()
    if not named or folder:
        compose, processes = source_in(home)
    if profiles and not compose:
        raise UsageError("found --profile without a compose file, expected it with one")
    _one_of({"--locust": locust, "--openapi": openapi or None})
    wanted = Wanted(name or "", profiles, openapi, entry, locust)
    file = compose or processes
    beside = file.parent if file is not None else Path()
    place = into or (beside / "resilience" if file is not None or attach else home)
    if attach:
        written = write_first_attached(attach, place, wanted)
    elif file is None:
        written = write_starter(place, wanted)
    else:
        written = (write_first_system if compose else write_first_processes)(file, place, wanted)
    if as_json:
        dump(_for_programs(written))
        return int(ExitCode.PASS)
    for path in written.files:
        say(f"wrote {shown(path)}")
    counted = f"{noun(len(written.services), 'service')}, {noun(len(written.links), 'link')}"
    say(counted if not (file or attach) else f"{counted}; {noun(written.to_fill_in, 'line')} to fill in")
    for text in written.remarks:
        tell(text)
    say(f"next: codeblue {_next(bool(compose or attach), processes)} {shown(place)}")
    return int(ExitCode.PASS)


def _for_programs(written: Written) -> dict[str, object]:
    return {
        "files": [str(path) for path in written.files],
        "services": written.services,
        "links": written.links,
        "to_fill_in": written.to_fill_in,
        "remarks": written.remarks,
    }


def _one_of(options: Mapping[str, object]) -> list[str]:
    """The options that are given. Raises UsageError for two that say the same."""
    from experiment.errors import UsageError

    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"found {' and '.join(given)}, expected one of them")
    return given


def _next(wiring: bool, processes: Path | None) -> str:
    """What is to be typed before the new folder; `wiring`: its links were found in texts of others."""
    if wiring:
        return "check-wiring"
    return "try" if processes else "suite first --system"
