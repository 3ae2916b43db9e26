"""I16: after the heal the system comes back by itself: Q at 95% of the baseline within 30 s, under load.

A scenario's `recovery` may set its own time, share and hold.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Recovery, Scenario
from experiment.topology import System
from experiment.units import format_duration
from experiment.verdict import Verdict
from measurement.analysis import RecoveryResult
from measurement.checkers import (
    bounded_staleness,
    no_duplicate_charge,
    no_lost_checkin,
    no_lost_prescription_change,
    no_superseded_dispense,
    sagas_terminal,
)
from measurement.checkers.findings import Finding, saw_nothing
from measurement.quality import grade
from measurement.resilience import quality_of, time_to_recover

JUDGE_RIGHTNESS = (
    bounded_staleness.find,
    no_duplicate_charge.find,
    no_lost_checkin.find,
    no_lost_prescription_change.find,
    no_superseded_dispense.find,
    sagas_terminal.find,
)


def find(history: History, scenario: Scenario, system: System) -> Finding:
    """Exposed is the one recovery; a run without a fault has none."""
    wrong = pl.concat([judge(history, scenario, system).wrong for judge in JUDGE_RIGHTNESS]).unique()
    quality = quality_of(history, scenario, system, grade(history, scenario, system, wrong))
    asked = scenario.expect.recovery or Recovery()
    return of_recovery(time_to_recover(quality, asked))


def of_recovery(result: RecoveryResult | None) -> Finding:
    """The same judgement from a recovery that was measured already."""
    if result is None:
        return saw_nothing("no fault was injected, so nothing recovered")
    measures = {"seconds": result.seconds, "budget_s": result.budget}
    if not result.under_load:
        return saw_nothing(result.statement, measures)
    if result.seconds is None:
        return Finding(Verdict.FAIL, result.statement, 1, (), 1, measures)
    late = result.seconds > result.budget
    statement = f"{result.statement}; allowed {format_duration(result.budget)}"
    return Finding(Verdict.FAIL if late else Verdict.PASS, statement, 1, (), int(late), measures)
