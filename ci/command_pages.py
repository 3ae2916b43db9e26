"""The page of commands: what each says of itself with --help, on a screen of 100 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click

WIDTH = 100
HEAD = """# Commands

Every command explains itself: `codeblue COMMAND --help`. This page shows the same words.
"""


def page_of(command: click.Command, name: str) -> str:
    """Markdown: each command under its own heading, those of groups after their group."""
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    return HEAD + "".join(
        f"\n## {words}\n\n```text\n{told}\n```\n" for words, told in _helps(command, context)
    )


def _helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _helps(
                    inner, click.Context(inner, parent=context, info_name=name, terminal_width=WIDTH)
                )
