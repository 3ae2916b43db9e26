"""Quantities with their units, parsed once at the edge; inside, all is seconds, per second, bytes or a share.

The annotated types tell the YAML decoder which unit a field takes; after decoding they are plain floats.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

LARGEST_SEED = 2**32 - 1  # every source of randomness and every store can hold it


@dataclass(frozen=True, slots=True)
class Unit:
    """A kind of quantity: factors turn a suffix into the base unit."""

    name: str
    factors: tuple[tuple[str, float], ...]
    example: str
    most: float = math.inf  # in the base unit

    @property
    def suffixes(self) -> str:
        return ", ".join(suffix for suffix, _ in self.factors)

    def pattern(self) -> str:
        """A regular expression for editors (JSON Schema)."""
        alternatives = "|".join(re.escape(suffix) for suffix, _ in self.factors)
        return rf"^[0-9]+(\.[0-9]+)?\s*({alternatives})$"


DURATION = Unit("duration", (("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0)), "250ms")
RATE = Unit("rate", (("/s", 1.0), ("/min", 1 / 60)), "8/s")
SHARE = Unit("share", (("%", 0.01),), "20%", most=1.0)
BANDWIDTH = Unit("bandwidth", (("B/s", 1.0), ("KB/s", 1e3), ("MB/s", 1e6)), "100KB/s")
SIZE = Unit("size", (("B", 1.0), ("KB", 1e3)), "40B")
GROWTH = Unit("share", (("%", 0.01),), "5%", most=10.0)  # of a figure of the baseline that may be added to it

Duration = Annotated[float, DURATION]  # seconds
Rate = Annotated[float, RATE]  # per second
Share = Annotated[float, SHARE]  # 0..1
Bandwidth = Annotated[float, BANDWIDTH]  # bytes per second
Size = Annotated[float, SIZE]  # bytes

_QUANTITY = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*([^\s0-9.].*?)\s*$")
_BARE = re.compile(r"^\s*-?[0-9]+(\.[0-9]+)?\s*$")


def parse_quantity(text: str, unit: Unit) -> float:
    """The number in base units. Raises ValueError whose message says what was expected."""
    if _BARE.match(text):
        raise ValueError(f"a {unit.name} with its unit ({unit.suffixes}), such as {unit.example}")
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"a {unit.name} such as {unit.example}")
    for suffix, factor in unit.factors:
        if match.group(2) == suffix:
            value = float(match.group(1)) * factor
            if value > unit.most * (1 + 1e-9):
                most = unit.most / factor
                raise ValueError(f"a {unit.name} of at most {most:g}{suffix}, such as {unit.example}")
            if math.isinf(value):
                raise ValueError(f"a {unit.name} that is a number, such as {unit.example}")
            return min(value, unit.most)
    raise ValueError(f"a {unit.name} in one of {unit.suffixes}, such as {unit.example}")


def quantity_text(value: float, unit: Unit) -> str:
    """As a file gives it, in the largest unit that makes a whole number: 90s, 20ms, 95%."""
    for suffix, factor in reversed(unit.factors):
        if value and abs(value / factor - round(value / factor)) < 1e-9:
            return f"{round(value / factor)}{suffix}"
    suffix, factor = next(((s, f) for s, f in unit.factors if f == 1.0), unit.factors[0])
    return f"{value / factor:g}{suffix}"


def format_duration(seconds: float) -> str:
    """Seconds for people: 250 ms, 3.2 s, 5 min."""
    if seconds == 0:
        return "0 s"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.4g} ms"
    if seconds < 120:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min"


def noun(count: int, singular: str, plural: str = "") -> str:
    """`1 order`, `2 orders`, with thousands set apart."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def signed(points: float) -> str:
    """`+1.5`, `-0.3`, with one digit; what rounds to nothing is `+0.0`, never less than nothing."""
    return f"{round(points, 1) + 0.0:+.1f}"


class Limit:
    """What latencies are held against: a Bound, or a RelativeBound. A type of its own, since what reads
    values back from a run folder takes no union of two dataclasses."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Bound(Limit):
    """A one-sided objective such as `>= 99%` or `<= 2s`; `limit` is in base units."""

    at_least: bool
    limit: float
    text: str

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class RelativeBound(Limit):
    """An objective beside the baseline's own figure: `<= baseline + 5%`, or `baseline +- 10%`, which holds
    downwards too. `share` of the baseline's figure and `extra` seconds are what may be added."""

    share: float
    extra: float
    downwards: bool
    text: str

    def limits(self, baseline: float) -> tuple[float, float]:
        """The least and the most that is allowed, in seconds, where the baseline's figure is `baseline`."""
        bounded = self.downwards and self.share < 1
        least = max(0.0, (1 - self.share) * baseline - self.extra) if bounded else 0.0
        return least, (1 + self.share) * baseline + self.extra


if TYPE_CHECKING:
    LatencyLimit = Bound | RelativeBound
else:
    LatencyLimit = Limit
ShareBound = Annotated[Bound, SHARE]
LatencyBound = Annotated[LatencyLimit, DURATION]


def parse_bound(text: str, unit: Unit) -> Bound:
    """`>= 99%` or `<= 250ms`. Raises ValueError whose message says what was expected."""
    for sign, at_least in ((">=", True), ("<=", False)):
        if text.strip().startswith(sign):
            return Bound(at_least, parse_quantity(text.strip()[2:], unit), text.strip())
    raise ValueError(f'a bound such as ">= {unit.example}" or "<= {unit.example}"')


_RELATIVE = re.compile(r"^\s*(<=\s*)?baseline\s*(\+-|\+)(.*)$", re.DOTALL)
RELATIVE_FORMS = ("<= baseline + 5%", "<= baseline + 5% + 20ms", "baseline +- 10%")


def parse_latency_bound(text: str) -> LatencyLimit:
    """`<= 250ms`, or one of RELATIVE_FORMS. Raises ValueError whose message says what was expected."""
    if "baseline" not in text:
        return parse_bound(text, DURATION)
    match = _RELATIVE.match(text)
    mixed = match is not None and match.group(2) == "+-" and "+" in match.group(3).replace("+-", "")
    if match is None or mixed or bool(match.group(1)) is (match.group(2) == "+-"):
        raise ValueError(f"a bound beside the baseline such as {_quoted(RELATIVE_FORMS)}")
    found: dict[Unit, float] = {}
    for part in match.group(3).split(match.group(2)):
        unit = GROWTH if "%" in part else DURATION
        value = parse_quantity(part, unit)
        if unit in found or (unit is GROWTH and DURATION in found):
            raise ValueError(f"one share and then one duration at most, such as {_quoted(RELATIVE_FORMS)}")
        found[unit] = value
    if not any(found.values()):
        raise ValueError(f"a bound that can be met, such as {_quoted(RELATIVE_FORMS)}")
    downwards = match.group(2) == "+-"
    return RelativeBound(found.get(GROWTH, 0.0), found.get(DURATION, 0.0), downwards, text.strip())


def latency_bound_pattern() -> str:
    """The texts that `parse_latency_bound` takes, as a regular expression for editors (JSON Schema)."""
    plain, share = (unit.pattern().strip("^$") for unit in (DURATION, GROWTH))
    ways = []
    for sign, sides in ((r"\+", r"<=\s*"), (r"\+-", "")):
        after = rf"({share}(\s*{sign}\s*{plain})?|{plain})"
        ways.append(rf"{sides}baseline\s*{sign}\s*{after}")
    return rf"^\s*((>=|<=)\s*{plain}|{'|'.join(ways)})\s*$"


def _quoted(texts: tuple[str, ...]) -> str:
    return " or ".join(f'"{text}"' for text in texts)
