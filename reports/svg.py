"""Plots as inline SVG: colours that follow the page, unique ids, no prologue, a text alternative.

Plots are drawn in the colours of the light page, as attributes of their elements: so they read as in print
where a server forbids the styles of a page. The page's rules turn each colour into that of its scheme.
"""

from __future__ import annotations

import re
from html import escape

# The light values of the style sheet's variables; the hues are Okabe and Ito's colour-blind-safe set.
INK = "#1c2430"
MUTED = "#566171"
GRID = "#dbe1e8"
PAPER = "#ffffff"
PANEL = "#f6f8fa"
FAULT = "#d55e00"
BLUE = "#0072b2"
ORANGE = "#b87400"
GREEN = "#00795a"
VERMILLION = "#c65300"
PURPLE = "#a84d83"
SKY = "#2f8fc4"
YELLOW = "#857a00"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW, INK)
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--paper",
    PANEL: "--panel",
    FAULT: "--fault",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    VERMILLION: "--vermillion",
    PURPLE: "--purple",
    SKY: "--sky",
    YELLOW: "--yellow",
}
_IDS = re.compile(r'(\bid="|url\(#|xlink:href="#)')
_HEAD = re.compile(r"^.*?<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE_SHEET = re.compile(r"\s*<style[^>]*>.*?</style>", re.DOTALL)
_GROUP_IDS = re.compile(r'<g id="[^"]*">')
_STYLE = re.compile(r' style="([^"]*)"')
_FONT = re.compile(r"(?:(?P<weight>bold|\d{3}) )?(?P<size>[\d.]+)px ")
_PATH = re.compile(r' d="([^"]*)"')
_FRACTION = re.compile(r"(\.\d\d)\d+")
_BETWEEN = re.compile(r">\s*\n\s*<")


def rules() -> str:
    """The style sheet's rules that give each colour of a drawing its value in the scheme of the page."""
    return "\n".join(
        f'svg [{what}="{colour}"] {{ {what}: var({name}); }}'
        for colour, name in VARIABLES.items()
        for what in ("fill", "stroke")
    )


def inline(drawn: str, name: str, alt: str) -> str:
    """A drawing as an element for a page. `name` makes its ids unique, `alt` is its text."""
    match = _HEAD.match(drawn)
    if match is None:
        raise ValueError("a drawing without an <svg> element; expected SVG with a viewBox")
    body = _STYLE_SHEET.sub("", _METADATA.sub("", drawn[match.end() :])).strip()
    body = _GROUP_IDS.sub("<g>", body)
    body = _IDS.sub(lambda found: f"{found.group(1)}{name}-", body)
    body = _PATH.sub(lambda found: f' d="{_short(found.group(1))}"', body)
    body = _STYLE.sub(lambda found: _attributes(found.group(1)), body)
    return f"{head(match.group(1), alt)}{_BETWEEN.sub('><', body)}\n"


def head(view: str, alt: str) -> str:
    """The beginning of a drawing: its frame and its text, and how lines end."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="plot" '
        f'viewBox="{view}" role="img" aria-label="{escape(alt, quote=True)}" font-family="sans-serif" '
        f'stroke-linejoin="round" stroke-linecap="butt">'
    )


def _short(path: str) -> str:
    """A hundredth of a unit is finer than any screen."""
    return _FRACTION.sub(r"\1", " ".join(path.split()))


def _attributes(style: str) -> str:
    """Declarations of a style as attributes; a font as its size and weight, in the family of the page."""
    found: dict[str, str] = {}
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font" and (font := _FONT.match(value)):
            found["font-size"] = font["size"]
            if font["weight"]:
                found["font-weight"] = font["weight"]
        elif name:
            found[name] = value
    return "".join(f' {name}="{value}"' for name, value in found.items())
