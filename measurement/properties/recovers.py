"""After the heal the system comes back by itself: Q at 95% of the baseline within 30 s, under load.

A scenario's `recovery` may set its own time, share and hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import Finding, no_operations, not_exercised
from experiment.history import History
from experiment.libraries import pl
from experiment.scenario import Recovery, Scenario
from experiment.topology import System
from experiment.units import format_duration
from experiment.verdict import Verdict
from measurement.analysis import RecoveryResult
from measurement.quality import grade
from measurement.resilience import quality_of, time_to_recover


@dataclass(frozen=True, slots=True)
class Recovers:
    """After the heal quality is back at its baseline in time, under load."""

    kind: ClassVar[str] = "recovers"
    safety: ClassVar[bool] = False
    always: ClassVar[bool] = True  # every system has it

    @property
    def sentence(self) -> str:
        return "After the heal quality is back at its baseline in time, under load."

    def find(self, history: History, scenario: Scenario, system: System) -> Finding:
        """Exposed is the one recovery; a run without a fault has none. What the system's other properties
        find wrong is not good."""
        others = [p.binding for p in system.properties.values() if not isinstance(p.binding, Recovers)]
        wrong = [other.find(history, scenario, system).wrong for other in others]
        graded = grade(history, scenario, system, pl.concat([no_operations(), *wrong]).unique())
        quality = quality_of(history, scenario, system, graded)
        return of_recovery(time_to_recover(quality, scenario.expect.recovery or Recovery()))


def of_recovery(result: RecoveryResult | None) -> Finding:
    """The same judgement from a recovery that was measured already."""
    if result is None:
        return not_exercised("no fault was injected, so nothing recovered")
    measures = {"seconds": result.seconds, "budget_s": result.budget}
    if not result.under_load:
        return not_exercised(result.statement, measures)
    if result.seconds is None:
        return Finding(Verdict.FAIL, result.statement, 1, (), 1, measures)
    late = result.seconds > result.budget
    statement = f"{result.statement}; allowed {format_duration(result.budget)}"
    return Finding(Verdict.FAIL if late else Verdict.PASS, statement, 1, (), int(late), measures)
