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


# Colours of a score from 0 to 100, by verdict: what passed never looks like what failed, whatever its score.
RAMPS: dict[str, tuple[str, str]] = {
    "pass": ("#d8e8f5", "#0b5c96"),
    "fail": ("#a33f00", "#f3c9a8"),
    "aborted": ("#a33f00", "#f3c9a8"),
    "inconclusive": ("#d9dde3", "#aab2bd"),
    "invalid": ("#d9dde3", "#aab2bd"),
    "": ("#fff3c4", "#5a4a00"),  # a score that stands for no verdict
}


def shade(share: float, verdict: str) -> str:
    """The colour of a share (0..1) of that verdict, as #rrggbb."""
    low, high = (matplotlib.colors.to_rgb(end) for end in RAMPS[verdict])
    red, green, blue = (a + share * (b - a) for a, b in zip(low, high, strict=True))
    return str(matplotlib.colors.to_hex((red, green, blue)))


def ink_on(face: str) -> str:
    """Black or white, whichever has more contrast on that colour (WCAG's relative luminance)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(face)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#fefefe" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#111111"


def tile(
    axis: Any, x: float, y: float, share: float | None, text: str, hatched: bool, verdict: str = ""
) -> None:
    """A unit square in the colour of a share (0..1; None: empty) and a verdict, with a text in its middle."""
    face = "none" if share is None else shade(share, verdict)
    hatch = "///" if hatched else None
    axis.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor=svg.PAPER, linewidth=2, hatch=hatch))
    ink = svg.INK if share is None else ink_on(face)
    behind = {"facecolor": face, "edgecolor": "none", "pad": 2} if hatched else None
    axis.text(x + 0.5, y + 0.5, text, ha="center", va="center", color=ink, bbox=behind)
