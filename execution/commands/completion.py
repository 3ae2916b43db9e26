"""`completion`: how a shell learns to complete commands, scenarios, designs, suites and kinds of faults."""

from __future__ import annotations

import click

from execution.commands.lazy import Pasteable
from execution.commands.saying import say, tell
from execution.program import COMPLETES, NAME

LINES = {
    "bash": ("~/.bashrc", f'eval "$({COMPLETES}=bash_source {NAME})"'),
    "zsh": ("~/.zshrc", f'eval "$({COMPLETES}=zsh_source {NAME})"'),
    "fish": ("~/.config/fish/completions/codeblue.fish", f"{COMPLETES}=fish_source {NAME} | source"),
}


@click.command(cls=Pasteable, epilog="Example: codeblue completion bash")
@click.argument("shell", type=click.Choice(list(LINES)))
def completion(shell: str) -> int:
    """Prints the line to paste into the start-up file of a SHELL that finds `codeblue` on its PATH."""
    place, line = LINES[shell]
    tell(f"put this line into {place}, then start a new shell:")
    say(line)
    return 0
