"""Groups of commands that answer an unknown name with the nearest, or import what is asked for alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from inspect import cleandoc
from typing import Any

import click

from execution.program import as_started_here
from experiment.errors import nearest

FEED = re.compile(r"--(?P<name>[a-z0-9][a-z0-9_-]*)-feed(?:=(?P<folder>.+))?")


def _without_colours(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked:
        context.color = False


class _Lines(click.HelpFormatter):
    """Commands begin as the tool was started here before lines are broken, so that none is too long."""

    def write_text(self, text: str) -> None:
        super().write_text(as_started_here(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(name, as_started_here(text)) for name, text in rows], col_max, col_spacing)


class _Context(click.Context):
    formatter_class = _Lines


class Pasteable(click.Command):
    """The examples in its help can be pasted: each is one line, and begins as the tool was started here. It
    takes `--no-color`, as every command does."""

    context_class = _Context

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.params.append(
            click.Option(
                ["--no-color"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_without_colours,
                help="Write without colours, as with NO_COLOR=1.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any(parameter.name == "feeds" for parameter in self.params):
            args = with_feeds_named(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write(as_started_here(f"\n{self.epilog}\n"))


def with_feeds_named(args: list[str]) -> list[str]:
    """`--x-feed DIR` and `--x-feed=DIR` as `--feed x=DIR`: how feeds are called the system's file says, which
    is not read yet."""
    found: list[str] = []
    rest = iter(args)
    for word in rest:
        short = FEED.fullmatch(word)
        if word == "--":
            return [*found, word, *rest]
        if short is None:
            found.append(word)
        elif short["folder"] is not None:
            found += ["--feed", f"{short['name']}={short['folder']}"]
        else:
            found += ["--feed", f"{short['name']}={next(rest, '')}"]
    return found


class NamingGroup(Pasteable, click.Group):
    """Looks among all names it lists; click itself knows only commands that were added by then."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        looks_like_a_name = not name.startswith("-") and not ctx.resilient_parsing
        if looks_like_a_name and self.get_command(ctx, name) is None:
            raise click.UsageError(f"No such command '{name}': {nearest(name, self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(NamingGroup):
    """Imports a command when it is asked for, and lists all without any import, so that each starts quickly.

    `summaries` maps a command's name to one sentence, with which its own help begins. The command `name` is
    the value of that name in `execution.commands.name` (`list_` of `list`, `check_wiring` of `check-wiring`).
    """

    def __init__(self, *arguments: Any, summaries: Mapping[str, str], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        name = cmd_name.replace("-", "_")
        module = import_module(f"execution.commands.{name}")
        command = getattr(module, name, None) or getattr(module, f"{name}_")
        assert isinstance(command, click.Command)
        if command.short_help is None:
            command.short_help = self._summaries[cmd_name]
            command.help = f"{command.short_help}\n\n{cleandoc(command.help or '')}"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
