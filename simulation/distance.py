"""How far simulated runs are from live ones of the same plans: quantity by quantity, good or bad.

Runs of one scenario and design with several seeds are pooled, so that a tail can be judged which one run has
too few operations for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy.stats import beta
from scipy.stats import t as student

from experiment.history import History
from measurement.analysis import Analysis
from simulation.randomness import Array

P50_WITHIN, P99_WITHIN, RATE_WITHIN, LAG_WITHIN = 0.10, 0.20, 0.10, 0.20
CONFIDENCE = 0.95
RESAMPLES = 400
ENOUGH = {"p50": 20, "p95": 100, "p99": 400}  # operations that a percentile needs on each side
Percentile = tuple[str, float, float]
PERCENTILES: tuple[Percentile, ...] = (
    ("p50", 0.5, P50_WITHIN),
    ("p95", 0.95, P99_WITHIN),
    ("p99", 0.99, P99_WITHIN),
)
PHASES = ("baseline", "fault", "recovery")
EVERY = "all journeys"
COUNTERS = ("retries", "breaker_openings")
# What the staleness check counts, and of what; the rest of its measures are lags.
SHARES = {
    "stale_reads": "reads",
    "unlabelled_stale_reads": "reads",
    "beyond_bound": "reads",
    "labels_that_understate": "reads",
    "copies_behind_after_settling": "copies_after_settling",
}
UNKNOWN = ("inconclusive", "invalid")  # verdicts that say nothing about the system

Outcome = Literal["close", "apart", "not known"]


@dataclass(frozen=True, slots=True)
class Gap:
    """One quantity: the live figure with its 95% interval, the simulated one, and whether they agree.

    `close` is None where either side has too little to say, and `note` says what is missing; `rule` is the
    tolerance in words; `counts` are the events behind the live and the simulated figure.
    """

    quantity: str
    live: float | None
    low: float | None
    high: float | None
    simulated: float | None
    close: bool | None
    rule: str
    counts: tuple[int, int] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """A live run and a simulated one of the same plan."""

    live: History
    live_analysis: Analysis
    twin: History
    twin_analysis: Analysis


@dataclass(frozen=True, slots=True)
class Distance:
    """All gaps of one scenario and design; `verdicts` are the live and the simulated one of each seed."""

    scenario: str
    design: str
    seeds: tuple[int, ...]
    verdicts: tuple[tuple[str, str], ...]
    gaps: tuple[Gap, ...]

    @property
    def same_verdict(self) -> bool:
        return all(live == simulated for live, simulated in self.verdicts)

    @property
    def apart(self) -> tuple[Gap, ...]:
        """The gaps that are too wide."""
        return tuple(gap for gap in self.gaps if gap.close is False)

    @property
    def outcome(self) -> Outcome:
        """Not known where a verdict says nothing about the system, or where no quantity could be judged."""
        if any(verdict in UNKNOWN for pair in self.verdicts for verdict in pair):
            return "not known"
        if self.apart or not self.same_verdict:
            return "apart"
        return "close" if any(gap.close for gap in self.gaps) else "not known"


def distance(pairs: Sequence[Pair]) -> Distance:
    """Compare pairs of one scenario and design. The intervals are those of the live runs."""
    gaps = [
        *_latencies(pairs),
        *_goodput(pairs),
        *_counters(pairs),
        _recovery(pairs),
        _duplicates(pairs),
        *_staleness(pairs),
    ]
    header = pairs[0].live.header
    return Distance(
        header.scenario,
        header.design,
        tuple(pair.live.header.seed for pair in pairs),
        tuple((_verdict(pair.live_analysis), _verdict(pair.twin_analysis)) for pair in pairs),
        tuple(gaps),
    )


def _verdict(analysis: Analysis) -> str:
    return analysis.verdict.name.lower()


def _sample(history: History, journey: str, phase: str) -> Array:
    """Latencies in seconds from the intended start, of operations that got an answer."""
    found = history.phase(phase)
    if found is None or found.end is None:
        return np.empty(0)
    rows = history.operations.filter(
        pl.col("intended").is_between(found.start, found.end, closed="left") & pl.col("status").is_not_null()
    )
    if journey != EVERY:
        rows = rows.filter(pl.col("journey") == journey)
    return np.asarray((rows["ended"] - rows["intended"]).to_numpy())


def _latencies(pairs: Sequence[Pair]) -> Iterator[Gap]:
    rng = np.random.default_rng(pairs[0].live.header.seed)
    journeys = dict.fromkeys(row.journey for pair in pairs for row in pair.live_analysis.journeys)
    for phase in PHASES:
        for journey in (*journeys, EVERY):
            ours = np.concatenate([_sample(pair.live, journey, phase) for pair in pairs])
            theirs = np.concatenate([_sample(pair.twin, journey, phase) for pair in pairs])
            if len(ours) or len(theirs):
                # The median over journeys of different lengths lies between them and says nothing.
                levels = PERCENTILES[1:] if journey == EVERY else PERCENTILES
                yield from _percentiles(f"{journey} {{}} {phase}, s", ours, theirs, levels, rng)


def _percentiles(
    quantity: str, ours: Array, theirs: Array, levels: Sequence[Percentile], rng: np.random.Generator
) -> Iterator[Gap]:
    counts = len(ours), len(theirs)
    for name, level, within in levels:
        what, rule = quantity.format(name), f"within {within:.0%}"
        if min(counts) < ENOUGH[name]:
            note = f"too few: {counts[0]} live and {counts[1]} simulated, {ENOUGH[name]} needed"
            yield Gap(what, None, None, None, None, None, rule, counts, note)
            continue
        value, simulated = float(np.quantile(ours, level)), float(np.quantile(theirs, level))
        draws = np.quantile(rng.choice(ours, (RESAMPLES, len(ours))), level, axis=1)
        low, high = (float(x) for x in np.quantile(draws, [0.025, 0.975]))
        yield Gap(what, value, low, high, simulated, abs(simulated - value) <= within * value, rule, counts)


def _goodput(pairs: Sequence[Pair]) -> Iterator[Gap]:
    def counted(analyses: Sequence[Analysis]) -> Mapping[tuple[str, str], tuple[int, int]]:
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for row in (row for analysis in analyses for row in analysis.journeys):
            good, offered = found.get((row.journey, row.phase), (0, 0))
            found[row.journey, row.phase] = good + row.good, offered + row.offered
        return found

    theirs = counted([pair.twin_analysis for pair in pairs])
    for (journey, phase), (good, offered) in counted([pair.live_analysis for pair in pairs]).items():
        other = theirs.get((journey, phase))
        if other is None or phase not in PHASES or not offered:
            continue
        low, high = binomial_interval(good, offered)
        share, simulated = good / offered, other[0] / max(1, other[1])
        close = low <= simulated <= high or abs(simulated - share) <= RATE_WITHIN * share
        quantity = f"{journey} goodput {phase}, share of offered"
        rule = "within 10% or the binomial 95% interval"
        yield Gap(quantity, share, low, high, simulated, close, rule, (offered, other[1]))


def binomial_interval(count: int, total: int) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a share."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(1 - tail, count + 1, total - count))
    return low, high


def mean_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Student's interval of the mean of independent runs; None and None of fewer than two."""
    if len(values) < 2:
        return None, None
    half = float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1))
    mean = float(np.mean(values))
    return mean - half / len(values) ** 0.5, mean + half / len(values) ** 0.5


def _total(history: History, name: str) -> float:
    """The sum over all links of a counter's last reading."""
    last = {(s.source, s.about): s.value for s in history.samples if s.name == name and s.about}
    return sum(last.values())


def _counters(pairs: Sequence[Pair]) -> Iterator[Gap]:
    for name in COUNTERS:
        total = sum(_total(pair.live, name) for pair in pairs)
        simulated = sum(_total(pair.twin, name) for pair in pairs)
        # A count of independent events varies by its square root.
        slack = 1.96 * max(1.0, total) ** 0.5
        close = abs(simulated - total) <= slack + 0.2 * total
        low, high = max(0.0, total - slack), total + slack
        yield Gap(name.replace("_", " "), total, low, high, simulated, close, "within 20% and its noise")


def _recovery(pairs: Sequence[Pair]) -> Gap:
    quantity, rule = "time to recover, s", "within 20% and one second"
    both = [
        (pair.live_analysis.recovery, pair.twin_analysis.recovery)
        for pair in pairs
        if pair.live_analysis.recovery is not None and pair.twin_analysis.recovery is not None
    ]
    if not both:
        return Gap(quantity, None, None, None, None, None, rule, (0, 0), "no run had a fault to recover from")
    ours = [live.seconds for live, _ in both if live.seconds is not None]
    theirs = [twin.seconds for _, twin in both if twin.seconds is not None]
    value, simulated = (float(np.mean(times)) if times else None for times in (ours, theirs))
    close = len(ours) == len(theirs)
    if close and value is not None and simulated is not None:
        close = abs(value - simulated) <= 1.0 + 0.2 * value
    never = (len(both) - len(ours), len(both) - len(theirs))
    note = f"never recovered: {never[0]} live, {never[1]} simulated" if any(never) else ""
    low, high = mean_interval(ours)
    return Gap(quantity, value, low, high, simulated, close, rule, (len(ours), len(theirs)), note)


def _charges(histories: Sequence[History]) -> tuple[int, int]:
    """(invoices charged more than once, invoices charged)."""
    duplicates = charged = 0
    for history in histories:
        charges = history.records.filter((pl.col("store") == "payments") & (pl.col("kind") == "charge"))
        counts = charges.group_by("key").len()
        duplicates += int((counts["len"] > 1).sum())
        charged += len(counts)
    return duplicates, charged


def _duplicates(pairs: Sequence[Pair]) -> Gap:
    return _share(
        "duplicate charges, share of invoices",
        _charges([pair.live for pair in pairs]),
        _charges([pair.twin for pair in pairs]),
    )


def _share(quantity: str, live: tuple[int, int], twin: tuple[int, int]) -> Gap:
    """(events, of how many) on both sides."""
    rule = "inside the binomial 95% interval"
    value, simulated = (count / total if total else None for count, total in (live, twin))
    counts = live[1], twin[1]
    if value is None or simulated is None:
        return Gap(quantity, value, None, None, simulated, None, rule, counts, "nothing to take a share of")
    low, high = binomial_interval(*live)
    return Gap(quantity, value, low, high, simulated, low <= simulated <= high, rule, counts)


def _staleness(pairs: Sequence[Pair]) -> Iterator[Gap]:
    def measured(side: Callable[[Pair], Analysis]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for pair in pairs:
            for check in side(pair).checks:
                if check.checker == "bounded_staleness":
                    for name, value in check.measures.items():
                        if isinstance(value, (int, float)):
                            found.setdefault(name, []).append(float(value))
        return found

    ours, theirs = measured(lambda pair: pair.live_analysis), measured(lambda pair: pair.twin_analysis)
    for name, of in SHARES.items():
        if name in ours and name in theirs:
            counts = [(int(sum(side[name])), int(sum(side[of]))) for side in (ours, theirs)]
            yield _share(f"staleness {name}, share of {of}", *counts)
    for name in ours:
        if name in theirs and name not in SHARES and name not in SHARES.values():
            value, simulated = float(np.mean(ours[name])), float(np.mean(theirs[name]))
            close = abs(simulated - value) <= LAG_WITHIN * abs(value) + 0.1
            low, high = mean_interval(ours[name])
            counted = (len(ours[name]), len(theirs[name]))
            yield Gap(f"staleness {name}", value, low, high, simulated, close, "within 20% and 0.1", counted)
