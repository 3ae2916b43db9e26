"""The reference system's binding on hand-written histories."""

from __future__ import annotations

from typing import Any

import pytest

from experiment.rows import Operation
from experiment.scenario import Staleness
from experiment.verdict import Verdict
from tests.measurement.histories import SYSTEM, history, judged_by, op, record, scenario
from tests.measurement.histories import read as stores_read

check = judged_by("bounded_staleness")
WRITES = (
    op(1, "prescribe", "rx-1", 1.0, version=1),
    op(2, "change_dose", "rx-1", 2.0, version=2),
    op(3, "change_dose", "rx-1", 4.0, version=3),
    *stores_read(pharmacy=0, prescriptions=0),  # without this the copies were not seen, and nothing passes
)


def read(number: int, version: int, at: float, **more: Any) -> Operation:
    return op(number, "view_dose", "rx-1", at, version=version, **more)


def test_not_exercised_without_a_read_after_a_write() -> None:
    """A read before the write was acknowledged cannot be stale."""
    result = check(history(*WRITES, read(9, 1, 1.0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_current_reads_pass() -> None:
    """The newest acknowledged version, or one newer than any acknowledged, is current."""
    result = check(history(*WRITES, read(8, 2, 3.0), read(9, 3, 3.0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.exposed == 2
    assert result.measures["time_lag_s_max"] == 0.0


def test_an_unlabelled_stale_read_is_measured_and_shown() -> None:
    """Version 1 at 5 s: superseded since version 2 was acknowledged at 2.05 s, two versions behind."""
    result = check(history(*WRITES, read(9, 1, 5.0)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["time_lag_s_max"] == pytest.approx(2.95)
    assert result.measures["version_lag_max"] == 2
    assert "superseded for 2.95 s" in result.violations[0].statement


@pytest.mark.parametrize("age", [3.0, 2.9, None])
def test_a_label_makes_a_stale_read_honest(age: float | None) -> None:
    """A read that says it is cached may be old, with its age (the clocks differ a little) or without."""
    row = read(8, 1, 5.0, label="cached", age=age)
    result = check(history(*WRITES, row), scenario(), SYSTEM)
    assert result.verdict is Verdict.PASS
    assert result.measures["stale_reads"] == 1
    assert result.measures["unlabelled_stale_reads"] == 0


@pytest.mark.parametrize("bound", [Staleness(), Staleness(age=60.0, versions=9)])
def test_a_label_that_lies_is_a_violation(bound: Staleness) -> None:
    """Superseded for 2.95 s and labelled as one second old: no bound allows a lie."""
    row = read(9, 1, 5.0, label="cached", age=1.0)
    result = check(history(*WRITES, row), scenario(staleness=bound), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert result.measures["labels_that_understate"] == 1
    assert "superseded for 2.95 s, its label said 1 s" in result.violations[0].statement


def test_not_found_is_a_read_of_nothing() -> None:
    """A 404 after the prescription was acknowledged shows version 0; before, it is right."""
    early = op(8, "view_dose", "rx-1", 1.0, outcome="rejected", error="not_found", status=404)
    assert check(history(*WRITES, early), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE
    late = op(9, "view_dose", "rx-1", 1.5, outcome="rejected", error="not_found", status=404)
    result = check(history(*WRITES, late), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "showed nothing while version 1 had been acknowledged" in result.violations[0].statement
    assert check(history(*WRITES, late), scenario(staleness=Staleness(0.5)), SYSTEM).verdict is Verdict.PASS


def test_other_refusals_show_nothing_of_a_copy() -> None:
    """An error is no answer about the prescription."""
    refused = op(9, "view_dose", "rx-1", 5.0, outcome="rejected", error="unavailable", status=503)
    assert check(history(*WRITES, refused), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE


def test_no_copy_at_all_is_a_loss_once_the_pharmacy_was_read() -> None:
    """Without one the pharmacy may not have been read; with its count on record its copies are gone."""
    written = record("prescriptions", "rx_version", "rx-1", version=1)
    assert check(history(written), scenario(), SYSTEM).verdict is Verdict.INCONCLUSIVE
    result = check(history(written, *stores_read(pharmacy=0, prescriptions=1)), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "copy of rx-1 shows nothing" in result.violations[0].statement


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        (Staleness(age=2.0), Verdict.FAIL),
        (Staleness(age=3.0), Verdict.PASS),
        (Staleness(versions=1), Verdict.FAIL),
        (Staleness(versions=2), Verdict.PASS),
    ],
)
def test_the_scenario_sets_the_bounds(bound: Staleness, verdict: Verdict) -> None:
    """2.95 s and two versions behind, against bounds on either side."""
    assert check(history(*WRITES, read(9, 1, 5.0)), scenario(staleness=bound), SYSTEM).verdict is verdict


def test_an_indeterminate_write_supersedes_nothing() -> None:
    """Nobody was told of version 2: showing version 1 is right."""
    rows = [
        op(1, "prescribe", "rx-1", 1.0, version=1),
        op(2, "change_dose", "rx-1", 2.0, outcome="indeterminate"),
        read(3, 1, 3.0),
        *stores_read(pharmacy=0, prescriptions=0),
    ]
    assert check(history(*rows), scenario(), SYSTEM).verdict is Verdict.PASS


def test_a_percentile_needs_its_sample() -> None:
    """99 reads support no p99, 100 do."""
    reads = [read(100 + i, 3, 5.0 + i / 10) for i in range(100)]
    few = check(history(*WRITES, *reads[:99]), scenario(), SYSTEM)
    enough = check(history(*WRITES, *reads), scenario(), SYSTEM)
    assert few.measures["time_lag_s_p99"] is None
    assert enough.measures["time_lag_s_p99"] == 0.0


def test_a_copy_that_is_behind_after_settling_was_lost() -> None:
    """A projection one version behind the system of record at the end of the run is a violation."""
    rows = (
        record("prescriptions", "rx_version", "rx-1", version=1),
        record("prescriptions", "rx_version", "rx-1", version=2),
    )
    behind = check(history(*rows, record("pharmacy", "projection", "rx-1", version=1)), scenario(), SYSTEM)
    assert behind.verdict is Verdict.FAIL
    assert "shows version 1, the system of record version 2" in behind.violations[0].statement
    current = check(history(*rows, record("pharmacy", "projection", "rx-1", version=2)), scenario(), SYSTEM)
    assert current.verdict is Verdict.PASS


def test_a_copy_that_never_came_was_lost() -> None:
    """A prescription that the copy does not know at all is behind too."""
    rows = (
        record("prescriptions", "rx_version", "rx-1", version=1),
        record("prescriptions", "rx_version", "rx-2", version=1),
        record("pharmacy", "projection", "rx-1", version=1),
    )
    result = check(history(*rows), scenario(), SYSTEM)
    assert result.verdict is Verdict.FAIL
    assert "copy of rx-2 shows nothing" in result.violations[0].statement


def test_reads_alone_pass_nothing_where_the_copies_were_not_read() -> None:
    """What was seen is told; a stale read is a violation all the same."""
    writes = [row for row in WRITES if isinstance(row, Operation)]
    current = check(history(*writes, read(9, 3, 5.0)), scenario(), SYSTEM)
    assert current.verdict is Verdict.INCONCLUSIVE
    assert current.statement.startswith(
        "not exercised in full: the records of prescriptions were not read; of what was seen, none of 1 "
    )
    assert check(history(*writes, read(9, 1, 5.0)), scenario(), SYSTEM).verdict is Verdict.FAIL
