"""When everything had come together after the last heal: backlogs, what readers see, copies.

Whether ledgers agree is the matter of safety properties, which veto and are never averaged into a score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiment.findings import Finding, no_operations
from experiment.history import History
from experiment.libraries import pl
from experiment.scenario import Scenario, phase_starts
from measurement.counters import backlog_drained
from measurement.properties.bounded_staleness import BEHIND


@dataclass(frozen=True, slots=True)
class Convergence:
    """`seconds` after the last heal until backlogs were drained and what readers saw was back in its bound;
    None when that was not reached or copies were behind after settling (`behind` says what is missing), and
    when nobody looked (not `observed`). `budget` runs from the heal to the planned end of settling."""

    seconds: float | None
    observed: bool
    budget: float
    behind: Mapping[str, float]


def convergence(
    history: History, scenario: Scenario, staleness: Sequence[Finding], heal: float, load_end: float
) -> Convergence:
    """`staleness`: what the properties of bounded staleness found. The budget is the planned one: a run that
    settled sooner has not had less time for it."""
    drained, left = backlog_drained(history, heal, load_end)
    behind = {f"backlog of {name}": value for name, value in left.items()}
    counts = [found.measures.get(BEHIND) for found in staleness]
    if copies := sum(count for count in counts if isinstance(count, int)):
        behind["copies behind"] = float(copies)
    wrong = pl.concat([no_operations(), *(found.wrong for found in staleness)])
    late = pl.col("id").is_in(wrong.implode()) & (pl.col("ended") >= heal)
    stale = history.lazy_operations.filter(late).select("ended").collect()
    times = [] if drained is None else [drained]
    times += [float(t) - heal for t in stale["ended"]]
    settled = phase_starts(scenario.phases)["settle"] + scenario.phases.settle
    seconds = max(times) if times and not behind else None
    return Convergence(seconds, bool(times or behind), max(0.0, settled - heal), behind)
