"""What a command says: results to stdout, everything else to stderr. Nothing else writes to either."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.program import as_started_here, pasteable
from experiment.plain_text import Ours, block, json_text, line

if TYPE_CHECKING:
    from experiment.suite import Suite

MOST_LINES_SAID = 20_000  # a table of a large comparison
WIDTH = 118  # of a line of progress


def say(text: str) -> None:
    """To stdout; text that others wrote does not act on the terminal or the pipeline that shows it."""
    click.echo(_harmless(text))


def tell(text: str) -> None:
    """To stderr: what is not a result. Commands in it can be pasted."""
    click.echo(as_started_here(_harmless(text)), err=True)


def tell_left_out(suite: Suite, runtime: str) -> None:
    """The entries of a suite that this runtime cannot play."""
    for entry in suite.left_out:
        tell(f"left out: {entry.scenario} on {entry.design}, which the runtime {runtime} cannot play")


def show(error: click.ClickException) -> None:
    """A mistake on the command line, which may quote a word of it."""
    said = io.StringIO()
    error.show(said)
    tell(said.getvalue().rstrip())


def _harmless(text: str) -> str:
    return text if isinstance(text, Ours) else block(text, lines=MOST_LINES_SAID)


def rewrite(text: str, done: bool = False) -> None:
    """The line of progress on a terminal, in place of what it held; empty text takes it away."""
    click.echo(f"\r\x1b[2K{line(text, WIDTH)}", err=True, nl=done)


def dump(plain: Any) -> None:
    """As JSON."""
    import json

    say_json(json.dumps(plain, indent=1, default=str))


def say_json(text: str) -> None:
    """JSON as it stands: whole, and harmless in a terminal and in the log of a pipeline."""
    click.echo(json_text(text))


def shown(path: Path) -> str:
    """A path as a person would type it here."""
    return pasteable(path)


def say_results(lines: Iterable[str], page: Path, as_json: bool) -> None:
    """What a command found: in words and where the page is, or the JSON that lies beside the page."""
    if as_json:
        say_json(page.with_suffix(".json").read_text(encoding="utf-8"))
        return
    for text in lines:
        say(text)
    say(f"report: {shown(page)}")
