"""`check-wiring`: how each link was found and where it will lead, without starting anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import system_option
from execution.commands.parameters import FILE, json_option
from execution.commands.saying import dump, say, tell

if TYPE_CHECKING:
    from discovery.wiring import WiredLink


@click.command("check-wiring", cls=Pasteable, epilog="Example: codeblue check-wiring examples/shop")
@click.argument("folder", required=False, type=FILE, metavar="[SYSTEM]")
@system_option
@json_option
def check_wiring(folder: Path | None, system: Path | None, as_json: bool) -> int:
    """SYSTEM is the folder of a system, or its system.yaml. For each link it says which variable or argument
    of the caller names the callee, and to which proxy that leads in a run. Exit 3 when something names a
    service past its proxy, or nothing leads to a proxy: a run would be invalid.
    """
    from dataclasses import asdict

    from discovery.wiring import wiring_of
    from execution.catalogue import default_catalogue
    from experiment.errors import ExitCode
    from experiment.units import noun

    found = wiring_of(default_catalogue(folder or system).system())
    code = ExitCode.INVALID if found.problems else ExitCode.PASS
    if as_json:
        dump({**asdict(found), "problems": found.problems})
        return int(code)
    for one in found.links:
        for text in _lines(one):
            say(text)
    for problem in found.problems:
        tell(f"problem: {problem}")
    say(f"{noun(len(found.links), 'link')}, {noun(len(found.problems), 'problem')}; nothing was started")
    return int(code)


def _lines(one: WiredLink) -> list[str]:
    """The link, each text that leads to it, and where they lead."""
    texts = [f"{mention.where}: {mention.shown}" if mention.shown else mention.where for mention in one.found]
    nothing = (
        ["no text names it: the name stands in the code, or nobody calls"] if one.wired == "name" else []
    )
    return [
        f"{one.link}  ({one.protocol}, wired by {one.wired})",
        *(f"    found    {text}" for text in texts or nothing),
        f"    leads to {one.leads_to}",
    ]
