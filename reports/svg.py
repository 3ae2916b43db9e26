"""Plots as inline SVG: colours that follow the page, unique ids, no prologue, a text alternative.

Plots are drawn in stand-in colours; each is replaced by a CSS variable with a fallback, so that one drawing
serves light, dark and print, and a file opened by itself still shows.
"""

from __future__ import annotations

import re
from html import escape

# stand-in in the drawing -> (CSS variable, fallback). The hues are Okabe and Ito's colour-blind-safe set.
INK = "#010203"
MUTED = "#010204"
GRID = "#010205"
PAPER = "#010206"
FAULT = "#010207"
BLUE = "#010301"
ORANGE = "#010302"
GREEN = "#010303"
VERMILLION = "#010304"
PURPLE = "#010305"
SKY = "#010306"
YELLOW = "#010307"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW, INK)

_COLOURS = {
    INK: ("--ink", "#1c2430"),
    MUTED: ("--muted", "#5b6675"),
    GRID: ("--grid", "#dfe4ea"),
    PAPER: ("--paper", "#ffffff"),
    FAULT: ("--fault", "#d55e00"),
    BLUE: ("--blue", "#0072b2"),
    ORANGE: ("--orange", "#c77f00"),
    GREEN: ("--green", "#00845f"),
    VERMILLION: ("--vermillion", "#d55e00"),
    PURPLE: ("--purple", "#b0568b"),
    SKY: ("--sky", "#3a9bd0"),
    YELLOW: ("--yellow", "#9c8f00"),
}
_STAND_IN = re.compile("|".join(_COLOURS))
_IDS = re.compile(r'(\bid="|url\(#|xlink:href="#)')
_HEAD = re.compile(r"^.*?<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_GROUP_IDS = re.compile(r'<g id="[^"]*">')


def inline(drawn: str, name: str, alt: str) -> str:
    """A drawing as an element for a page. `name` makes its ids unique, `alt` is its text."""
    match = _HEAD.match(drawn)
    if match is None:
        raise ValueError("a drawing without an <svg> element; expected SVG with a viewBox")
    body = _METADATA.sub("", drawn[match.end() :]).strip()
    body = _GROUP_IDS.sub("<g>", body)
    body = _IDS.sub(lambda found: f"{found.group(1)}{name}-", body)
    body = _STAND_IN.sub(lambda found: "var({}, {})".format(*_COLOURS[found.group(0)]), body)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="plot" '
        f'viewBox="{match.group(1)}" role="img" aria-label="{escape(alt, quote=True)}">'
    )
    return f"{head}\n{body}\n"
