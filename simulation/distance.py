"""How far simulated runs are from live ones of the same plans: quantity by quantity, good or bad.

Runs of one scenario and design with several seeds are pooled, so that a tail can be judged which one run has
too few operations for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import polars as pl
from scipy.stats import gamma

from experiment.history import History
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.properties.bounded_staleness import LARGEST_LAG
from measurement.statistics import CONFIDENCE, Estimate, mean_estimate, proportion
from simulation.closeness import Gap, Tolerance, judged
from simulation.engine.randomness import Array

P50_WITHIN, P99_WITHIN, RATE_WITHIN, COUNT_WITHIN, LAG_WITHIN = 0.10, 0.20, 0.10, 0.20, 0.20
BINOMIAL = Tolerance("inside the binomial 95% interval", inside=True)
TAIL = (1 - CONFIDENCE) / 2
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
UNKNOWN = ("inconclusive", "aborted", "invalid")  # verdicts that say nothing about the system

Outcome = Literal["close", "apart", "not known"]


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
    """Compare pairs of one scenario and design."""
    gaps = [
        *_latencies(pairs),
        *_goodput(pairs),
        *_counters(pairs),
        *_recovery(pairs),
        *_safety(pairs),
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
    """`not judged` where a scenario asks for nothing that both sides can be judged by."""
    if analysis.verdict is Verdict.INCONCLUSIVE and not analysis.expectations:
        return "not judged" if not any(check.judged for check in analysis.checks) else "inconclusive"
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
                quantity = f"{journey} {{}} {phase}, s"
                yield from _percentiles(quantity, ours, theirs, levels, len(pairs), rng)


def _percentiles(
    quantity: str,
    ours: Array,
    theirs: Array,
    levels: Sequence[Percentile],
    runs: int,
    rng: np.random.Generator,
) -> Iterator[Gap]:
    counts = len(ours), len(theirs)
    for name, level, within in levels:
        what, tolerance = quantity.format(name), Tolerance(f"within {within:.0%}", within)
        if min(counts) < ENOUGH[name]:
            note = f"too few: {counts[0]} live and {counts[1]} simulated, {ENOUGH[name]} needed"
            if min(counts):
                note += f"; about {ceil(runs * ENOUGH[name] / min(counts))} runs would do"
            yield Gap(quantity=what, rule=tolerance.words, counts=counts, note=note)
            continue
        yield judged(what, _quantile(ours, level, rng), _quantile(theirs, level, rng), tolerance, runs)


def _quantile(sample: Array, level: float, rng: np.random.Generator) -> Estimate:
    """With its interval from a bootstrap over operations."""
    value = float(np.quantile(sample, level))
    draws = np.quantile(rng.choice(sample, (RESAMPLES, len(sample))), level, axis=1)
    low, high = (float(x) for x in np.quantile(draws, [0.025, 0.975]))
    return Estimate(value, min(low, value), max(high, value), len(sample), "bootstrap over operations")


def _goodput(pairs: Sequence[Pair]) -> Iterator[Gap]:
    def counted(analyses: Sequence[Analysis]) -> Mapping[tuple[str, str], tuple[int, int]]:
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for row in (row for analysis in analyses for row in analysis.journeys):
            good, offered = found.get((row.journey, row.phase), (0, 0))
            found[row.journey, row.phase] = good + row.good, offered + row.offered
        return found

    tolerance = Tolerance("within 10% or the binomial 95% interval", RATE_WITHIN, inside=True)
    theirs = counted([pair.twin_analysis for pair in pairs])
    for (journey, phase), ours in counted([pair.live_analysis for pair in pairs]).items():
        if (journey, phase) in theirs and phase in PHASES and ours[1]:
            quantity = f"{journey} goodput {phase}, share of offered"
            yield _shares(quantity, ours, theirs[journey, phase], tolerance, len(pairs))


def _shares(
    quantity: str, live: tuple[int, int], twin: tuple[int, int], tolerance: Tolerance, runs: int
) -> Gap:
    """(events, of how many) on both sides, with the exact binomial intervals."""
    if not live[1] or not twin[1]:
        note = "nothing to take a share of"
        return Gap(quantity=quantity, rule=tolerance.words, counts=(live[1], twin[1]), note=note)
    ours, theirs = (
        Estimate(events / total, *proportion(events, total), total, "binomial")
        for events, total in (live, twin)
    )
    return judged(quantity, ours, theirs, tolerance, runs)


def _total(history: History, name: str) -> float:
    """The sum over all links of a counter's last reading."""
    last = {(s.source, s.about): s.value for s in history.samples if s.name == name and s.about}
    return sum(last.values())


def _counters(pairs: Sequence[Pair]) -> Iterator[Gap]:
    tolerance = Tolerance("within 20% or its 95% interval", COUNT_WITHIN, inside=True)
    for name in COUNTERS:
        ours, theirs = ([_total(side, name) for side in sides] for sides in _sides(pairs))
        if not any(sample.name == name for pair in pairs for sample in pair.live.samples):
            note = "the services do not count them"
            yield Gap(quantity=name.replace("_", " "), rule=tolerance.words, note=note)
            continue
        yield judged(name.replace("_", " "), _count(ours), _count(theirs), tolerance, len(pairs))


def _sides(pairs: Sequence[Pair]) -> tuple[list[History], list[History]]:
    return [pair.live for pair in pairs], [pair.twin for pair in pairs]


def _count(of_runs: Sequence[float]) -> Estimate:
    """The sum over runs of what was counted, with Garwood's exact interval for independent events."""
    total = sum(of_runs)
    low = float(gamma.ppf(TAIL, total)) if total else 0.0
    return Estimate(total, low, float(gamma.ppf(1 - TAIL, total + 1)), round(total), "Poisson")


def _recovery(pairs: Sequence[Pair]) -> Iterator[Gap]:
    both = [
        (pair.live_analysis.recovery, pair.twin_analysis.recovery)
        for pair in pairs
        if pair.live_analysis.recovery is not None and pair.twin_analysis.recovery is not None
    ]
    quantity, tolerance = "time to recover, s", Tolerance("within 20% and one second", LAG_WITHIN, 1.0)
    if not both:
        note = "no run had a fault to recover from"
        yield Gap(quantity=quantity, rule=tolerance.words, counts=(0, 0), note=note)
        return
    ours = [one.seconds for one, _ in both if one.seconds is not None]
    theirs = [one.seconds for _, one in both if one.seconds is not None]
    counts = len(ours), len(theirs)
    if min(counts):
        yield judged(quantity, mean_estimate(ours), mean_estimate(theirs), tolerance, len(pairs))
    else:
        note = f"recovered: {counts[0]} live and {counts[1]} simulated of {len(both)}"
        yield Gap(quantity=quantity, rule=tolerance.words, counts=counts, note=note)
    live, twin = ((count, len(both)) for count in counts)
    yield _shares("recovered, share of runs", live, twin, BINOMIAL, len(pairs))


def _safety(pairs: Sequence[Pair]) -> Iterator[Gap]:
    """Of every safety property how many of what was exposed violated it."""

    def counted(analyses: Sequence[Analysis]) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for check in (check for analysis in analyses for check in analysis.checks if check.safety):
            violated, exposed = found.get(check.checker, (0, 0))
            # One thing that was exposed may break a property more than once.
            mine = min(check.violation_count, check.exposed)
            found[check.checker] = violated + mine, exposed + check.exposed
        return found

    theirs = counted([pair.twin_analysis for pair in pairs])
    for name, live in counted([pair.live_analysis for pair in pairs]).items():
        twin = theirs.get(name, (0, 0))
        if live[1] or twin[1]:
            yield _shares(f"{name}, violations of what was exposed", live, twin, BINOMIAL, len(pairs))


def _staleness(pairs: Sequence[Pair]) -> Iterator[Gap]:
    def measured(side: Callable[[Pair], Analysis]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for pair in pairs:
            for check in side(pair).checks:
                if LARGEST_LAG in check.measures:
                    for name, value in check.measures.items():
                        if isinstance(value, (int, float)):
                            found.setdefault(name, []).append(float(value))
        return found

    ours, theirs = measured(lambda pair: pair.live_analysis), measured(lambda pair: pair.twin_analysis)
    for name, of in SHARES.items():
        if name in ours and name in theirs:
            stale, simulated = ((int(sum(side[name])), int(sum(side[of]))) for side in (ours, theirs))
            yield _shares(f"staleness {name}, share of {of}", stale, simulated, BINOMIAL, len(pairs))
    tolerance = Tolerance("within 20% and 0.1", LAG_WITHIN, 0.1)
    for name in ours:
        if name in theirs and name not in SHARES and name not in SHARES.values():
            live, twin = mean_estimate(ours[name]), mean_estimate(theirs[name])
            yield judged(f"staleness {name}", live, twin, tolerance, len(pairs))
