"""How far a simulated run is from a live one of the same plan: quantity by quantity, good or bad."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import beta

from experiment.history import History
from measurement.analysis import Analysis, JourneyPhase
from simulation.randomness import Array

P50_WITHIN, P99_WITHIN, RATE_WITHIN = 0.10, 0.20, 0.10
CONFIDENCE = 0.95
RESAMPLES = 400
ENOUGH = {"p50": 20, "p95": 100, "p99": 400}  # operations that a percentile needs on each side
PERCENTILES = (("p50", 0.5, P50_WITHIN), ("p95", 0.95, P99_WITHIN), ("p99", 0.99, P99_WITHIN))
COUNTERS = ("retries", "breaker_openings")


@dataclass(frozen=True, slots=True)
class Gap:
    """One quantity: the live figure with its 95% interval, the simulated one, and whether they agree.

    `close` is None where either side has too little to say; `rule` is the tolerance in words.
    """

    quantity: str
    live: float | None
    low: float | None
    high: float | None
    simulated: float | None
    close: bool | None
    rule: str


@dataclass(frozen=True, slots=True)
class Distance:
    """All gaps of one pair of runs; `verdicts` are the live and the simulated one."""

    scenario: str
    design: str
    seed: int
    verdicts: tuple[str, str]
    gaps: tuple[Gap, ...]

    @property
    def same_verdict(self) -> bool:
        return self.verdicts[0] == self.verdicts[1]

    @property
    def apart(self) -> tuple[Gap, ...]:
        """The gaps that are too wide."""
        return tuple(gap for gap in self.gaps if gap.close is False)


def distance(live: History, live_analysis: Analysis, twin: History, twin_analysis: Analysis) -> Distance:
    """Compare two histories of one plan. The intervals are the live run's own, within this run."""
    gaps = [
        *_latencies(live, live_analysis, twin),
        *_goodput(live_analysis, twin_analysis),
        *_counters(live, twin),
        _recovery(live_analysis, twin_analysis),
        _duplicates(live, twin),
        *_staleness(live_analysis, twin_analysis),
    ]
    header = live.header
    verdicts = (live_analysis.verdict.name.lower(), twin_analysis.verdict.name.lower())
    return Distance(header.scenario, header.design, header.seed, verdicts, tuple(gaps))


def _sample(history: History, journey: str, phase: str) -> Array:
    """Latencies in seconds from the intended start, of operations that got an answer."""
    found = history.phase(phase)
    if found is None or found.end is None:
        return np.empty(0)
    rows = history.operations.filter(
        (pl.col("journey") == journey)
        & pl.col("intended").is_between(found.start, found.end, closed="left")
        & pl.col("status").is_not_null()
    )
    return np.asarray((rows["ended"] - rows["intended"]).to_numpy())


def _latencies(live: History, analysis: Analysis, twin: History) -> Iterator[Gap]:
    rng = np.random.default_rng(live.header.seed)
    for row in analysis.journeys:
        if row.phase not in ("baseline", "fault", "recovery"):
            continue
        ours, theirs = _sample(live, row.journey, row.phase), _sample(twin, row.journey, row.phase)
        for name, level, within in PERCENTILES:
            quantity = f"{row.journey} {name} {row.phase}, s"
            rule = f"within {within:.0%}"
            if min(len(ours), len(theirs)) < ENOUGH[name]:
                continue
            value, simulated = float(np.quantile(ours, level)), float(np.quantile(theirs, level))
            draws = np.quantile(rng.choice(ours, (RESAMPLES, len(ours))), level, axis=1)
            low, high = (float(x) for x in np.quantile(draws, [0.025, 0.975]))
            yield Gap(quantity, value, low, high, simulated, abs(simulated - value) <= within * value, rule)


def _goodput(live: Analysis, twin: Analysis) -> Iterator[Gap]:
    theirs: Mapping[tuple[str, str], JourneyPhase] = {(r.journey, r.phase): r for r in twin.journeys}
    for row in live.journeys:
        other = theirs.get((row.journey, row.phase))
        if other is None or row.phase not in ("baseline", "fault", "recovery") or not row.offered:
            continue
        low, high = binomial_interval(row.good, row.offered)
        share, simulated = row.good / row.offered, other.good / max(1, other.offered)
        close = low <= simulated <= high or abs(simulated - share) <= RATE_WITHIN * share
        quantity = f"{row.journey} goodput {row.phase}, share of offered"
        yield Gap(quantity, share, low, high, simulated, close, "within 10% or the binomial 95% interval")


def binomial_interval(count: int, total: int) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a share."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(1 - tail, count + 1, total - count))
    return low, high


def _last(history: History, name: str) -> dict[str, float]:
    """The last reading of a counter on each link."""
    return {f"{s.source} -> {s.about}": s.value for s in history.samples if s.name == name and s.about}


def _counters(live: History, twin: History) -> Iterator[Gap]:
    for name in COUNTERS:
        ours, theirs = _last(live, name), _last(twin, name)
        total, simulated = sum(ours.values()), sum(theirs.get(link, 0.0) for link in ours)
        # A count of independent events varies by its square root.
        slack = 1.96 * max(1.0, total) ** 0.5
        close = abs(simulated - total) <= slack + 0.2 * total
        low, high = max(0.0, total - slack), total + slack
        yield Gap(name.replace("_", " "), total, low, high, simulated, close, "within 20% and its noise")


def _recovery(live: Analysis, twin: Analysis) -> Gap:
    ours = live.recovery.seconds if live.recovery is not None else None
    theirs = twin.recovery.seconds if twin.recovery is not None else None
    close = None
    if live.recovery is not None and twin.recovery is not None:
        close = live.recovery.censored == twin.recovery.censored
        if close and ours is not None and theirs is not None:
            close = abs(ours - theirs) <= 1.0 + 0.2 * ours
    return Gap("time to recover, s", ours, None, None, theirs, close, "within 20% and one second")


def _charges(history: History) -> tuple[int, int]:
    """(invoices charged more than once, invoices charged)."""
    charges = history.records.filter((pl.col("store") == "payments") & (pl.col("kind") == "charge"))
    counts = charges.group_by("key").len()
    return int((counts["len"] > 1).sum()), len(counts)


def _duplicates(live: History, twin: History) -> Gap:
    count, total = _charges(live)
    simulated, charged = _charges(twin)
    low, high = binomial_interval(count, total) if total else (0.0, 1.0)
    share = simulated / charged if charged else None
    close = None if share is None or not total else low <= share <= high
    value = count / total if total else None
    rule = "inside the binomial 95% interval"
    return Gap("duplicate charges, share of invoices", value, low, high, share, close, rule)


def _staleness(live: Analysis, twin: Analysis) -> Iterator[Gap]:
    ours = {check.checker: check for check in live.checks}
    for check in twin.checks:
        other = ours.get(check.checker)
        if check.checker != "bounded_staleness" or other is None:
            continue
        for name, simulated in check.measures.items():
            value = other.measures.get(name)
            if isinstance(value, (int, float)) and isinstance(simulated, (int, float)):
                close = abs(simulated - value) <= 0.2 * abs(value) + 0.1
                quantity = f"staleness {name}"
                yield Gap(quantity, float(value), None, None, float(simulated), close, "within 20%")
