"""Converged: backlogs drained, what readers see back in its bound, copies current after settling."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from experiment.findings import Finding, no_operations
from experiment.history import History
from experiment.verdict import Verdict
from measurement.convergence import Convergence, convergence
from tests.measurement.histories import PHASES, history, op, sample, scenario

CURRENT = Finding(Verdict.PASS, "", 1)


def converged(seen: History, staleness: Finding = CURRENT, settle: float = 5.0) -> Convergence:
    return convergence(seen, scenario(phases=replace(PHASES, settle=settle)), [staleness], 21.0, 36.0)


def drained_at(t: float) -> History:
    levels = [(5.0, 2.0), (21.2, 90.0), (t, 0.0), (t + 0.1, 0.0)]
    stale = op(7, "view_dose", "rx-1", 24.0)
    return history(stale, *(sample(at, "billing", "backlog", value, "outbox") for at, value in levels))


def test_the_budget_is_the_planned_one() -> None:
    """From the heal at 21 s to the planned end of settling at 56 s, however soon the run had settled."""
    assert converged(drained_at(37.0), settle=20.0) == Convergence(16.0, True, 35.0, {})


@pytest.mark.parametrize(("heal", "budget"), [(40.9, 0.1), (41.0, 0.0), (50.0, 0.0)])
def test_a_heal_after_settling_leaves_no_time(heal: float, budget: float) -> None:
    """A run that healed too late has less than nothing left, which is nothing."""
    found = convergence(history(), scenario(), [CURRENT], heal, 36.0)
    assert found.budget == pytest.approx(budget)


def test_copies_behind_after_settling_never_converged() -> None:
    """Backlogs are empty, and what they carried is lost."""
    behind = replace(CURRENT, measures={"copies_behind_after_settling": 59})
    found = converged(drained_at(22.0), behind)
    assert (found.seconds, found.observed, found.behind) == (None, True, {"copies behind": 59.0})


@pytest.mark.parametrize(("wrong", "seconds"), [(pl.Series("id", [7]), 3.05), (no_operations(), 1.0)])
def test_a_stale_read_after_the_heal_is_not_converged_yet(wrong: pl.Series, seconds: float) -> None:
    """Drained after 1 s; the last read beyond the bound ended 3.05 s after the heal."""
    assert converged(drained_at(22.0), replace(CURRENT, wrong=wrong)).seconds == pytest.approx(seconds)


def test_nobody_looked() -> None:
    """No backlog was sampled: nothing is known."""
    assert converged(history()) == Convergence(None, False, 20.0, {})
