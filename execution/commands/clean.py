"""`clean`: what an interrupted run left behind, removed."""

from __future__ import annotations

import click

from execution.commands.parameters import json_option
from execution.commands.saying import dump, say
from execution.places import INSTANCES


@click.command()
@json_option
def clean(as_json: bool) -> int:
    """Removes what killed runs left: every command that starts a system does this first, too. Also
    removes images that newer ones replaced. Exit 5 when something could not be removed.
    """
    from execution.runs.runtime_choice import (
        sweep_containers,
        sweep_old_images,
        sweep_unjournaled_containers,
    )
    from experiment.errors import ExitCode
    from runtimes.leftovers import sweep

    swept = sweep(INSTANCES, sweep_containers) + sweep_unjournaled_containers() + sweep_old_images()
    if as_json:
        dump(swept)
    else:
        for text in swept.lines():
            say(text)
        if not swept.done and not swept.failed:
            say("nothing else was found" if swept.passed_over else "nothing was left behind")
    return int(ExitCode.CLEANUP_INCOMPLETE if swept.failed else ExitCode.PASS)
