"""Repeated runs of a suite in words: every figure with its interval."""

from __future__ import annotations

from collections.abc import Callable

from experiment.units import noun
from measurement.statistics import Estimate, MedianTime, proportion
from reports.report import RepeatedEntry
from reports.wording import duration, percent, signed_duration

REPEATED_HEAD = (
    *(
        "scenario",
        "design",
        "runs",
        "as expected",
        "score (95%)",
        "vetoes (95%)",
        "invalid",
        "recovered in (95%)",
    ),
    *("baseline p95 (95%)", "p95 under load (95%)"),
)


def repeated_row(entry: RepeatedEntry) -> list[str]:
    """The figures as text, in the order of REPEATED_HEAD."""
    return [
        entry.scenario,
        entry.design,
        str(entry.runs),
        f"{entry.met} of {entry.runs}",
        score_text(entry.score),
        rate_text(entry.vetoes, entry.runs),
        str(entry.invalid),
        recovery_text(entry.recovery),
        time_text(entry.baseline_p95),
        time_text(entry.load_p95),
    ]


def score_text(estimate: Estimate | None, level: str = "") -> str:
    """`91 (88 to 94)`, with the level before the interval: `91 (95%: 88 to 94)`."""
    return _interval_text(estimate, lambda value: f"{value:.0f}", level=level)


def time_text(estimate: Estimate | None, signed: bool = False) -> str:
    """`52 ms (48 ms to 57 ms)`; a difference has a sign, `+4 ms (-1 ms to +9 ms)`."""
    return _interval_text(estimate, signed_duration if signed else duration)


def mean_text(estimate: Estimate | None, unit: str = "", digits: int = 1) -> str:
    """`2.41 (2.30 to 2.52)`."""
    return _interval_text(estimate, lambda value: f"{value:.{digits}f}", unit)


def _interval_text(
    estimate: Estimate | None, form: Callable[[float], str], unit: str = "", level: str = ""
) -> str:
    """The mean in its unit and its interval; where runs are alike, that takes the place of the interval."""
    if estimate is None:
        return "–"
    text = form(estimate.mean) + unit
    if estimate.alike:
        return f"{text} (all {estimate.n} alike)"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({level}{form(estimate.low)} to {form(estimate.high)})"


def share_text(events: int, runs: int, level: str = "") -> str:
    """`2 of 5 runs (5.3% to 85.3%)`, with the exact interval of the share."""
    low, high = proportion(events, runs)
    return f"{events} of {noun(runs, 'run')} ({level}{percent(low)} to {percent(high)})"


def rate_text(events: int, runs: int) -> str:
    """`0 (0% to 52.2%)`: the share's exact interval."""
    if not runs:
        return "–"
    low, high = proportion(events, runs)
    return f"{events} ({percent(low)} to {percent(high)})"


def recovery_text(recovery: MedianTime | None) -> str:
    """`1.5 s (1 s to open), 2 of 5 never`: the median, its interval (open where the sample leaves it so), and
    the censored ones."""
    if recovery is None:
        return "–"
    text = "never" if recovery.median is None else duration(recovery.median)
    if recovery.low is not None or recovery.high is not None:
        ends = ["open" if end is None else duration(end) for end in (recovery.low, recovery.high)]
        text += f" ({ends[0]} to {ends[1]})"
    return f"{text}, {recovery.censored} of {recovery.n} never" if recovery.censored else text
