"""The drawing board of every plot; the only file that imports matplotlib.

The same drawing gives the same text: no dates, no random ids. Colours follow the page, see `svg`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from experiment.plain_text import clean
from reports import svg
from reports.wording import duration

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "code-blue",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": svg.INK,
    "axes.labelcolor": svg.MUTED,
    "axes.edgecolor": svg.GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": svg.GRID,
    "grid.linewidth": 0.6,
    "xtick.color": svg.MUTED,
    "ytick.color": svg.MUTED,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
}
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
WIDTH_IN = 9.6


@dataclass(slots=True)
class Board:
    """One figure to draw on; `svg` holds its text once the `with` block has ended."""

    figure: Figure
    svg: str = field(default="", init=False)


@contextmanager
def board(height_in: float, name: str, alt: str) -> Iterator[Board]:
    """A figure of the pages' common width. `name` makes its ids unique, `alt` says what is seen."""
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        drawn = Board(Figure(figsize=(WIDTH_IN, height_in)))
        yield drawn
        text = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(drawn.figure).print_svg(text, metadata=metadata)  # type: ignore[no-untyped-call]
        drawn.svg = svg.inline(clean(text.getvalue()), name, clean(alt))


def log_durations(axis: Any, low: float, high: float) -> None:
    """Makes the vertical axis a logarithmic one of durations from `low` to `high` seconds, over a decade at
    least, so that noise does not look like a wave."""
    stretch = max(1.3, (10 * low / high) ** 0.5)
    axis.set_yscale("log")
    axis.set_ylim(low / stretch, high * stretch)
    subs = (1.0,) if high / low > 1e3 else (1.0, 3.0) if high / low > 30 else (1.0, 2.0, 5.0)
    axis.yaxis.set_major_locator(LogLocator(subs=subs))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.yaxis.set_minor_locator(NullLocator())


def tile(axis: Any, x: float, y: float, share: float | None, text: str, hatched: bool) -> None:
    """A unit square in the colour of a share (0..1; None: empty), with a text in its middle."""
    face = "none" if share is None else matplotlib.colors.to_hex(matplotlib.colormaps["cividis"](share))
    hatch = "///" if hatched else None
    axis.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor=svg.PAPER, linewidth=2, hatch=hatch))
    ink = svg.INK if share is None else ("#fefefe" if share < 0.55 else "#111111")
    behind = {"facecolor": face, "edgecolor": "none", "pad": 2} if hatched else None
    axis.text(x + 0.5, y + 0.5, text, ha="center", va="center", color=ink, bbox=behind)
