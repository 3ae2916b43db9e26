"""What a command says: results to stdout, everything else to stderr. Nothing else writes to either."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.commands.terminal import SCREEN, fitted, quiet, rewrites, safe
from execution.program import as_started_here, pasteable
from experiment.errors import OutputError
from experiment.plain_text import Ours, block, json_text

if TYPE_CHECKING:
    from experiment.suite import Suite
    from experiment.tables import Table

MOST_LINES_SAID = 20_000  # a table of a large comparison


def say(text: str) -> None:
    """To stdout; text that others wrote does not act on the terminal or the pipeline that shows it."""
    SCREEN.clear()
    _out(_harmless(text))


def _out(text: str) -> None:
    """Raises OutputError where standard output takes no more; a reader who has left is click's to end."""
    try:
        click.echo(text)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError, ValueError):  # what is left in the buffer would be tried again at the end
            os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        found = f"standard output: found no room for what was to be said ({error.strerror})"
        raise OutputError(f"{found}, expected some: free it, or send the output elsewhere") from None


def tell(text: str) -> None:
    """To stderr: what is not a result. Commands in it can be pasted."""
    SCREEN.clear()
    with suppress(OSError):  # nobody can be told that; the exit code stays what it is
        click.echo(as_started_here(_harmless(text)), err=True)


def tell_progress(text: str) -> None:
    """A line on how far the work is, unless --quiet asked for none."""
    if not quiet():
        tell(text)


def show_progress(text: str) -> None:
    """How far the work is: on a terminal in place of what was shown before, elsewhere a line."""
    if rewrites():
        SCREEN.show(safe(text))
    else:
        tell_progress(text)


def say_table(table: Table) -> None:
    """Fitted to a terminal; elsewhere every row is one line."""
    if sys.stdout.isatty():
        say(fitted(table))
        return
    for text in table.lines():
        say(text)


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


def dump(plain: Any) -> None:
    """What a command found, as JSON."""
    import json

    say_json(json.dumps(plain, indent=1, default=str))


def say_json(text: str) -> None:
    """JSON as it stands, in the envelope that every command has: whole, and harmless in a terminal and in the
    log of a pipeline."""
    import json

    from execution.envelope import VERSION

    kind = json.dumps(_command())
    _echo_json(f'{{"version": {VERSION}, "kind": {kind}, "result": {text.strip()}}}')


def say_failure(message: str, code: int, error: Exception | None = None) -> None:
    """Why there is no result, as JSON."""
    import json
    from dataclasses import asdict

    from execution.envelope import failure

    _echo_json(json.dumps(asdict(failure(message, code, error)), indent=1))


def _echo_json(text: str) -> None:
    SCREEN.clear()
    _out(json_text(text))


def _command() -> str:
    """`run`, `selfcheck gate`: the command that is being carried out."""
    context = click.get_current_context(silent=True)
    names: list[str] = []
    while context is not None and (context.parent is not None or not names):
        names.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(names)


def shown(path: Path) -> str:
    """A path as a person would type it here."""
    return pasteable(path)


def say_results(lines: Iterable[str | Table], page: Path, as_json: bool) -> None:
    """What a command found: in words and where the page is, or the JSON that lies beside the page."""
    if as_json:
        say_json(page.with_suffix(".json").read_text(encoding="utf-8"))
        return
    for told in lines:
        if isinstance(told, str):
            say(told)
        else:
            say_table(told)
    say(f"report: {shown(page)}")
