"""Small drawings of our own: shapes and escaped text with every colour as an attribute; see `svg`."""

from __future__ import annotations

from html import escape

from experiment.plain_text import clean
from reports import svg


class Drawing:
    """Shapes in the order in which they were put, in units of the drawing's own frame."""

    def __init__(self, width: float) -> None:
        self.width = width
        self._shapes: list[str] = []

    def text(
        self, x: float, y: float, text: str, colour: str = svg.INK, *, size: float = 12,
        anchor: str = "start", bold: bool = False,
    ) -> None:  # fmt: skip
        """Text whose baseline is at y; `anchor`: start, middle or end."""
        weight = ' font-weight="600"' if bold else ""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"'
            f"{weight}>{escape(clean(text))}</text>"
        )

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, *, opacity: float = 1,
        stroke: str = "none", thickness: float = 1,
    ) -> None:  # fmt: skip
        """A rectangle with rounded corners, at least two units wide, so that it is seen."""
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 2):.1f}" height="{height:.1f}" rx="2" '
            f'fill="{fill}" fill-opacity="{opacity:g}" stroke="{stroke}" stroke-width="{thickness:g}"/>'
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = svg.GRID, *, thickness: float = 1,
        dashes: str = "",
    ) -> None:  # fmt: skip
        """A straight line."""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._shapes.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{thickness:g}"{dashed}/>'
        )

    def path(
        self, points: str, colour: str, *, thickness: float = 1, fill: str = "none", dashes: str = ""
    ) -> None:
        """`points` in the language of SVG paths."""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._shapes.append(
            f'<path d="{points}" fill="{fill}" stroke="{colour}" stroke-width="{thickness:g}"{dashed}/>'
        )

    def circle(self, x: float, y: float, radius: float, fill: str, stroke: str = "none") -> None:
        """A dot."""
        self._shapes.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" stroke="{stroke}"/>'
        )

    def svg(self, height: float, alt: str) -> str:
        """The drawing as an element for a page; `alt` is its text."""
        return f"{svg.head(f'0 0 {self.width:g} {height:g}', clean(alt))}{''.join(self._shapes)}</svg>\n"
