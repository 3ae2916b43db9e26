"""The terminal: what it can show, tables that fit its width, and the lines of it that are rewritten.

rich draws, and is imported when there is something to draw: quick commands and pipelines do not wait for it.
Who writes is `saying`; the texts that come here are made harmless here.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, TextIO

import click

from experiment.plain_text import Ours, line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

    from experiment.tables import Table

DUMB = ("dumb", "unknown")  # values of TERM: lines go one below the other, nothing moves
QUIET = "codeblue.quiet"  # in the context of a command: no progress
NAMES_SHARE = 0.7  # of the width: all columns but the last one stay unbroken, where they take no more
STYLES = {
    "pass": "bold green",
    "fail": "bold red",
    "aborted": "bold red",
    "inconclusive": "bold yellow",
    "invalid": "bold magenta",
}


def coloured(stream: TextIO) -> bool:
    """Whether colours may be written: to a terminal that has them, when neither NO_COLOR nor --no-color asks
    for none."""
    context = click.get_current_context(silent=True)
    forbidden = bool(os.environ.get("NO_COLOR")) or (context is not None and context.color is False)
    return _moves(stream) and not forbidden


def rewrites() -> bool:
    """Whether lines of progress may be rewritten on standard error."""
    return _moves(sys.stderr) and not quiet()


def quiet() -> bool:
    """Whether --quiet asked for results alone."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def _moves(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "").lower() not in DUMB


def console_of(stream: TextIO, file: TextIO | None = None) -> Console:
    """rich's console for what `stream` can show; it writes to `file`, where one is given."""
    from rich.console import Console

    colour = coloured(stream)
    return Console(
        file=file or stream,
        width=shutil.get_terminal_size().columns if file is not None else None,
        force_terminal=colour or None,
        no_color=not colour,
        color_system="auto" if file is None else "standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def fitted(table: Table) -> Ours:
    """A table as wide as the terminal at most: what does not fit is wrapped within its column."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Drawn

    drawn = Drawn(
        box=SIMPLE_HEAD if table.head else None,
        show_header=bool(table.head),
        show_edge=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title=safe(table.title, "bold") if table.title else None,
        title_justify="left",
        header_style="bold",
    )
    width = max(len(table.head), *(len(row) for row in table.rows)) if table.rows else len(table.head)
    wide = [max(map(len, column)) + 2 for column in zip_longest(*table.rows, table.head, fillvalue="")]
    names_fit = sum(wide[:-1]) <= NAMES_SHARE * shutil.get_terminal_size().columns
    for place in range(width):
        head = safe(table.head[place]) if place < len(table.head) else ""
        drawn.add_column(head, overflow="fold", no_wrap=names_fit and place < width - 1)
    for row, verdict in zip(table.rows, table.verdicts or [""] * len(table.rows), strict=True):
        cells = [safe(cell) for cell in row]
        if verdict:
            cells[table.painted].stylize(STYLES.get(verdict, ""))
        drawn.add_row(*cells)
    kept = io.StringIO()
    console_of(sys.stdout, kept).print(drawn)
    return Ours("\n".join(text.rstrip() for text in kept.getvalue().rstrip("\n").split("\n")))


def safe(text: str, style: str = "") -> Text:
    """A text that does not act on the terminal, in a style of ours."""
    from rich.text import Text

    return Text(line(text), style=style)


def labelled(
    title: tuple[str, str], rows: Sequence[tuple[str, str]], warned: Sequence[bool]
) -> RenderableType:
    """Labels and texts, one line each: what does not fit the width is cut, so that the lines stay as many."""
    from rich.table import Table as Drawn

    grid = Drawn.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(*(safe(text, "bold") for text in title))
    for (label, text), warn in zip(rows, warned, strict=True):
        grid.add_row(safe(label, "dim"), safe(text, "red" if warn else ""))
    return grid


class Screen:
    """The lines at the end of the terminal that are rewritten while work goes on."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def show(self, drawn: RenderableType) -> None:
        """In place of what they held. A terminal that is gone ends no work: nobody looks any more."""
        with suppress(OSError):
            self._show(drawn)

    def _show(self, drawn: RenderableType) -> None:
        if self._live is None:
            from rich.live import Live

            console = console_of(sys.stderr)
            self._live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=False,
                redirect_stderr=False, vertical_overflow="crop",
            )  # fmt: skip
            self._live.start()
            console.show_cursor(True)  # whoever ends this process at once leaves a terminal that can be used
        self._live.update(drawn, refresh=True)

    def clear(self) -> None:
        """Take them away; the next `show` begins below what was written meanwhile."""
        if self._live is not None:
            live, self._live = self._live, None
            with suppress(OSError):
                live.stop()


SCREEN = Screen()
