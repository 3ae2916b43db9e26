"""`completion`: how a shell learns to complete commands, scenarios, designs, suites and kinds of faults."""

from __future__ import annotations

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import json_option
from execution.commands.saying import dump, say, tell
from execution.program import COMPLETES, NAME

LINES = {
    "bash": ("~/.bashrc", f'eval "$({COMPLETES}=bash_source {NAME})"'),
    "zsh": ("~/.zshrc", f'eval "$({COMPLETES}=zsh_source {NAME})"'),
    "fish": ("~/.config/fish/completions/codeblue.fish", f"{COMPLETES}=fish_source {NAME} | source"),
}


@click.command(cls=Pasteable, epilog="Example: codeblue completion bash")
@click.argument("shell", type=click.Choice(list(LINES)))
@json_option
def completion(shell: str, as_json: bool) -> int:
    """Prints the line to paste into the start-up file of a SHELL that finds `codeblue` on its PATH."""
    place, line = LINES[shell]
    if as_json:
        dump({"shell": shell, "file": place, "line": line})
        return 0
    tell(f"put this line into {place}, then start a new shell:")
    say(line)
    return 0
