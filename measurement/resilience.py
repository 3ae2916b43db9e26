"""Q(t): quality second by second, normalised by the run's own baseline and combined by criticality.

`q_j(t) = good / offered` of journey j in one second; an empty second carries no weight.
`Q_j = min(1, q_j / mean baseline q_j)`; `Q` is their mean weighted by the journeys' declared criticality.
A journey of which nothing was good in the baseline, or nothing was offered, is not left out: its Q_j is q_j.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiment.history import History
from experiment.libraries import np, pl
from experiment.scenario import Recovery, Scenario
from experiment.topology import System
from experiment.units import format_duration
from measurement.analysis import RecoveryResult
from measurement.degradation import mean_quality, seconds_table, series
from measurement.statistics import evidently_below
from measurement.windows import fault_span, load_end, phase_spans

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


SHORTEST_HOLD_S = 3
UNDER_LOAD = 0.8  # share of the seconds of a hold that must have operations


@dataclass(frozen=True, slots=True)
class Quality:
    """Q of one run. Arrays have one entry per second of load; NaN where nothing was offered."""

    table: pl.DataFrame  # see degradation.seconds_table
    baseline: dict[str, float]  # journey to mean q in the baseline
    journeys: dict[str, Floats]  # journey to Q_j(t)
    combined: Floats
    support: Floats  # operations that Q of a second rests on, see _support
    counts: dict[str, tuple[Floats, Floats]]  # journey to operations (offered, good) of each second
    criticality: dict[str, float]
    seconds: int
    baseline_span: tuple[int, int]  # bucket ranges, end exclusive
    fault: tuple[int, int] | None  # from the first injection to the last heal
    recovery: tuple[int, int] | None  # from the last heal to the end of the load
    heal_t: float | None

    def combine(self, names: Iterable[str]) -> Floats:
        """Q over some journeys only."""
        return _weighted({name: self.journeys[name] for name in names}, self.criticality, self.seconds)


def quality_of(history: History, scenario: Scenario, system: System, graded: pl.DataFrame) -> Quality:
    """Q of a run. In a run without faults Q is not normalised: it is good / offered itself, since there the
    whole run is judged and its own baseline would divide a bad run into a good one."""
    spans = phase_spans(history, scenario)
    table = seconds_table(graded)
    end = load_end(history)
    last = int(table["bucket"].max()) + 1 if table.height else 0  # type: ignore[arg-type]
    seconds = max(0, min(last, math.ceil(end - 1e-6)))
    baseline = mean_quality(graded, "baseline")
    span = fault_span(history)
    curves: dict[str, Floats] = {}
    counts: dict[str, tuple[Floats, Floats]] = {}
    for name in sorted(set(table["journey"]) - {"all"}):
        usual = (baseline.get(name) if span else None) or 1.0
        offered, good = counts[name] = series(table, name, seconds)
        with np.errstate(divide="ignore", invalid="ignore"):
            curves[name] = np.minimum(1.0, good / offered / usual)
    criticality = {name: journey.criticality for name, journey in system.journeys.items()}
    begin, finish = spans.get("baseline", (0.0, 0.0))
    fault = recovery = None
    if span is not None:
        heal = min(round(span[1]), seconds)
        fault = (min(round(span[0]), max(0, heal - 1)), heal)
        recovery = (min(math.floor(span[1]), seconds), seconds)
    return Quality(
        table,
        baseline,
        curves,
        _weighted(curves, criticality, seconds),
        _support({name: offered for name, (offered, _) in counts.items()}, criticality, seconds),
        counts,
        criticality,
        seconds,
        (math.ceil(begin - 1e-6), math.floor(finish + 1e-6)),
        fault,
        recovery,
        span[1] if span else None,
    )


def _weighted(curves: dict[str, Floats], criticality: dict[str, float], seconds: int) -> Floats:
    """Mean over the journeys that have operations in a second, by criticality."""
    total, weight = np.zeros(seconds), np.zeros(seconds)
    for name, curve in curves.items():
        seen = ~np.isnan(curve)
        total[seen] += criticality[name] * curve[seen]
        weight[seen] += criticality[name]
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, total / weight, np.nan)


def _support(counts: dict[str, Floats], criticality: dict[str, float], seconds: int) -> Floats:
    """How many equal operations would leave Q as uncertain as those of a second do: Q = sum c_j q_j / C has
    the variance of C^2 / sum(c_j^2 / n_j) operations. 0 in an empty second."""
    spread, weight = np.zeros(seconds), np.zeros(seconds)
    for name, count in counts.items():
        seen = count > 0
        spread[seen] += criticality[name] ** 2 / count[seen]
        weight[seen] += criticality[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, weight**2 / spread, 0.0)


def time_to_recover(quality: Quality, asked: Recovery) -> RecoveryResult | None:
    """Seconds from the last heal to the first second from which Q held under load; None without a fault.

    Held, over `hold`: Q of the first second and the mean of Q are at least `share`, no second is evidently
    below it. A second of a dozen operations falls below 95% with a single failure, so that a bare "every
    second" would measure the rate of the load; `evidently_below` asks what the second's own count can tell.
    Under load: 80% of the seconds of the hold and its last one have operations.

    Where the load ends sooner than `within` + `hold` after the heal, the hold is shortened to what is left
    after `within` (half of the load observed when nothing is left), to 3 s at least. A run in which Q never
    held is censored: it is known only that recovery took longer than was observed. When no hold was under
    load, not even that is known.
    """
    if quality.recovery is None or quality.heal_t is None:
        return None
    start, end = quality.recovery
    observed = end - quality.heal_t
    spare = observed - asked.within if asked.within < observed else observed / 2
    hold = max(SHORTEST_HOLD_S, round(min(asked.hold, spare)))
    under_load = False
    for offset in range(start, end - hold + 1):
        level, support = quality.combined[offset : offset + hold], quality.support[offset : offset + hold]
        if np.count_nonzero(support) < UNDER_LOAD * hold or not support[-1]:
            continue
        under_load = True
        if _held(level, support, asked.share):
            seconds = max(0.0, offset - quality.heal_t)
            when = f"{format_duration(seconds)} after the heal" if seconds else "at once after the heal"
            back = f"good answers were back at {asked.share:.0%} of the baseline {when}"
            held = f"{back}, and stayed there for {hold} s"
            return RecoveryResult(seconds, False, asked.within, held)
    if under_load:
        what = f"good answers did not stay at {asked.share:.0%} of the baseline for {hold} s"
    else:
        what = f"no {hold} s under load were seen, so that nobody can tell whether good answers were back"
    seen = f"within the {max(0.0, observed):.1f} s of load observed after the heal"
    return RecoveryResult(None, True, asked.within, f"{what} {seen}", under_load)


def _held(level: Floats, support: Floats, share: float) -> bool:
    seen = support > 0
    if not seen[0] or level[0] < share or level[seen].mean() < share:
        return False
    return not any(
        evidently_below(round(q * round(n)), round(n), share)
        for q, n in zip(level[seen], support[seen], strict=True)
    )
