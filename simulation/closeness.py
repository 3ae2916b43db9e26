"""When a live figure and a simulated one are close, when they are apart, and when neither can be said.

Both figures are samples. They are close when they differ by no more than the tolerance. They are apart when
the whole 95% interval of what they differ by is beyond it, the noise of both taken into account. In between
nothing is known, however far the points lie from each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, hypot

from measurement.statistics import Estimate

MOST_RUNS = 1000  # more than that nobody plays to narrow an interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One quantity: the live and the simulated figure with their 95% intervals, and whether they agree.

    `close` is None where too little is known to say, and `note` says what is missing; `rule` is the tolerance
    in words; `counts` are the events behind the live and the simulated figure.
    """

    quantity: str
    rule: str
    close: bool | None = None
    live: float | None = None
    low: float | None = None
    high: float | None = None
    simulated: float | None = None
    simulated_low: float | None = None
    simulated_high: float | None = None
    counts: tuple[int, int] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The simulated figure may be off by `share` of the live one and by `extra` in its unit; where `inside`
    is set it may also be anywhere inside the live figure's 95% interval. `words` say it."""

    words: str
    share: float = 0.0
    extra: float = 0.0
    inside: bool = False


def judged(quantity: str, live: Estimate, twin: Estimate, tolerance: Tolerance, runs: int) -> Gap:
    """The gap between two figures of 0 or more, over that many runs of each side."""
    off = twin.mean - live.mean
    excess = abs(off) - tolerance.share * live.mean - tolerance.extra
    inside = live.bounds is not None and live.bounds[0] <= twin.mean <= live.bounds[1]
    close: bool | None = None
    note = ""
    if excess <= 0 or (tolerance.inside and inside):
        close = True
    else:
        noise = _noise(live, twin, 1 + tolerance.share if off > 0 else 1 - tolerance.share)
        if noise is None:
            note = "one run has no interval: several would tell"
        elif noise < excess:
            close = False
        else:
            needed = max(runs + 1, ceil(min(runs * (noise / excess) ** 2, MOST_RUNS + 1)))
            would = f"about {needed}" if needed <= MOST_RUNS else f"more than {MOST_RUNS}"
            note = f"the intervals are too wide to say; {would} runs would tell"
    return Gap(
        quantity=quantity,
        rule=tolerance.words,
        close=close,
        live=live.mean,
        low=live.low,
        high=live.high,
        simulated=twin.mean,
        simulated_low=twin.low,
        simulated_high=twin.high,
        counts=(live.n, twin.n),
        note=note,
    )


def _noise(live: Estimate, twin: Estimate, factor: float) -> float | None:
    """How far `twin - factor * live` may be from its true value, on the side of 0, at 95%.

    The two intervals are combined as Zou and Donner (2008) do for any two figures, taken as independent.
    """
    if live.bounds is None or twin.bounds is None:
        return None
    (live_low, live_high), (twin_low, twin_high) = live.bounds, twin.bounds
    if twin.mean > live.mean:
        return hypot(twin.mean - twin_low, factor * (live_high - live.mean))
    return hypot(twin_high - twin.mean, factor * (live.mean - live_low))
