"""Rows that cannot be are told, with how many there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from experiment.history import build
from experiment.rows import (
    End,
    FaultEvent,
    LoadReport,
    Note,
    Obeyed,
    Operation,
    PhaseEvent,
    Record,
    Row,
    Sample,
)
from experiment.services import Service
from measurement.possible_rows import impossible, possible
from tests.measurement.histories import HEADER, SYSTEM, frame, op, record, sample

WHOLE: list[Row] = [
    *frame(),
    op(1, "pay", "inv-1", 5.0),
    op(2, "pay", "inv-2", 6.0, outcome="rejected"),
    op(3, "view_dose", "rx-1", 6.0),
    op(4, "final_read", "inv-1", 40.0, status=404, value="absent"),
    record("payments", "charge", "inv-1", t=5.0, amount=1.0, version=1),
    sample(40.0, "payments", "records_read", 1.0),
    Note(3.0, "info", "said"),
    Obeyed(0.0, "billing", "1"),
]  # fmt: skip


def told(rows: Iterable[Row]) -> list[str]:
    return list(impossible(build(rows), SYSTEM))


def with_changed(kind: type, number: int = 0, **changes: Any) -> list[Row]:
    """The row of that type and number says something else."""
    found = [row for row in WHOLE if isinstance(row, kind)][number]
    return [replace(row, **changes) if row is found else row for row in WHOLE]


def test_what_is_possible_is_not_objected_to() -> None:
    """Refusals, reads of things that are gone, notes and readings."""
    assert told(WHOLE) == []


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (Operation, {"ended": inf}, "with a time that is not a number"),
        (Operation, {"ended": 4.0}, "1 operation ended before they were sent"),
        (Operation, {"sent": 4.8, "ended": 4.85}, "1 operation ended before they were due"),
        (Operation, {"sent": 4.8}, "1 operation sent before they were due"),
        (Operation, {"intended": -1.0}, "1 operation due before the run"),
        (Operation, {"ended": 101.1}, "1 operation ended long after the run"),
        (Operation, {"sent": None}, "1 operation answered without being sent"),
        (Operation, {"status": 99}, "1 operation with a status that HTTP does not have"),
        (Operation, {"status": 600}, "1 operation with a status that HTTP does not have"),
        (Operation, {"status": 300}, "1 operation acknowledged by an answer that refuses"),
        (Operation, {"status": None}, "1 operation acknowledged by an answer that refuses"),
        (Operation, {"version": -1}, "1 operation with a version or an age that cannot be"),
        (Operation, {"expected_version": -1}, "1 operation with a version or an age that cannot be"),
        (Operation, {"age": 1e300}, "1 operation with a version or an age that cannot be"),
        (Operation, {"age": -0.1}, "1 operation with a version or an age that cannot be"),
        (Operation, {"outcome": "indeterminate"}, "1 operation with an outcome that its answer does"),
        (Operation, {"error": "timeout"}, "1 operation with an outcome that its answer does"),
        (Operation, {"id": 2}, "1 operation with an id that another one has"),
        (Operation, {"intended": 5.0, "journey": "final_read"}, "1 final read from before the load"),
        (Record, {"t": nan}, "1 record with a figure that is not a number"),
        (Record, {"amount": inf}, "1 record with a figure that is not a number"),
        (Record, {"t": 2e7}, "1 record at a time that cannot be"),
        (Record, {"version": -1}, "1 record with a negative version"),
        (PhaseEvent, {"name": "holiday"}, "the unknown phase holiday"),
        (PhaseEvent, {"name": "fault"}, "the phase fault came 2 times"),
        (PhaseEvent, {"end": 1.5}, "the phase baseline began before warm_up had ended"),
        (PhaseEvent, {"end": -0.5}, "the phase warm_up ended before it began, or after the run"),
        (FaultEvent, {"t": -0.1}, "1 fault event at a time that the run does not have"),
        (FaultEvent, {"t": 41.1}, "1 fault event at a time that the run does not have"),
        (FaultEvent, {"t": 11.2}, "f1: active is told before what goes before it"),
        (Sample, {"value": nan}, "1 sample that are not numbers, lag_p99 first"),
        (Sample, {"t": 41.1}, "1 sample at a time that the run does not have, lag_p99 first"),
        (LoadReport, {"t": 101.1}, "an account of the load with a time that is not one"),
        (LoadReport, {"lag_p50": 0.1}, "an account of the load with a time that is not one"),
        (LoadReport, {"lag_max": inf}, "an account of the load with a time that is not one"),
        (LoadReport, {"lag_p50": -0.1}, "an account of the load with a time that is not one"),
        (Note, {"t": 101.1}, "1 note at a time that the run does not have"),
        (Obeyed, {"t": 41.1}, "1 reading of a design at a time that the run does not have"),
        (End, {"signal": "SIGTERM"}, "a completed run that a signal interrupted"),
        (End, {"t": -1.0}, "an end at a time that cannot be"),
        (End, {"t": 2e7}, "an end at a time that cannot be"),
        (End, {"t": 1e7 + 0.5}, "an end at a time that cannot be"),
        (Record, {"t": 1e7 + 0.5}, "1 record at a time that cannot be"),
        (End, {"t": 39.0}, "the phase settle ended before it began, or after the run"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_is_told(kind: type, changes: dict[str, Any], said: str) -> None:
    """One changed row among good ones."""
    found = told(with_changed(kind, **changes))
    assert any(said in text for text in found), found


def test_an_answer_is_held_against_the_table_of_outcomes() -> None:
    """A read that was refused is rejected where a write is in doubt; a success is never rejected."""
    assert told(with_changed(Operation, 1, status=500, error="server_error", outcome="rejected")) == [
        "1 operation with an outcome that its answer does not have"
    ]
    assert told(with_changed(Operation, 2, status=500, error="server_error", outcome="rejected")) == []
    assert told(with_changed(Operation, 1, status=None, error="timeout", outcome="indeterminate")) == []
    assert told(with_changed(Operation, 1, status=409, error="in_progress", outcome="indeterminate")) == []
    assert told(with_changed(Operation, 3, status=500)) != []


def test_a_record_of_a_kind_that_its_store_does_not_keep_is_told() -> None:
    """Where the store says which kinds it keeps."""
    services = {**SYSTEM.services, "payments": Service(module="payments", records=("refund",))}
    system = replace(SYSTEM, services=services)
    assert list(impossible(build(WHOLE), system)) == ["1 record of payments of the unknown kind charge"]


def test_a_record_that_was_read_twice_is_told() -> None:
    """By its identity and its time; without them two effects may look alike, and one more is another one."""
    charge = record("payments", "charge", "inv-2", id="c-1", t=6.0)
    assert told([*WHOLE, charge, charge, charge]) == ["2 records that stand there twice"]
    assert told([*WHOLE, charge, replace(charge, id="c-2")]) == []
    assert told([*WHOLE, charge, replace(charge, t=6.5)]) == []
    for unknown in (replace(charge, t=None), replace(charge, id=None)):
        assert told([*WHOLE, unknown, unknown]) == []


def test_what_may_stand_once_is_told_twice() -> None:
    """The number of records that a store gave, and a second of the load."""
    twice = [*WHOLE, sample(40.5, "payments", "records_read", 1.0), LoadReport(1.0, 0, 1, 1, 0.0, 0.0, 0.0)]
    assert told(twice) == [
        "the records of payments were counted 2 times",
        "two accounts of the load for the same second",
    ]


def test_a_header_says_twice_when_the_run_began() -> None:
    """A second apart at most; a run that nobody kept has no second time."""
    for changes, found in (
        ({"zero_wall": HEADER.zero_wall + 1.5}, ["a header with two times of its start"]),
        ({"zero_wall": HEADER.zero_wall + 0.5}, []),
        ({"zero_wall": 0.0}, []),
        ({"started_at": "noon"}, ['a start at "noon", which is not a time']),
    ):
        rows = [replace(HEADER, **changes) if row is HEADER else row for row in WHOLE]
        assert told(rows) == found


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Operation, {"ended": 5.0}),
        (Operation, {"sent": 4.95, "ended": 5.0}),
        (Operation, {"intended": 0.0, "sent": 0.0}),
        (Operation, {"ended": 100.9}),
        (Operation, {"status": 299}),
        (Operation, {"version": 0, "expected_version": 0}),
        (Operation, {"age": 0.0}),
        (Record, {"t": -30.0}),
        (Record, {"version": 0}),
        (Record, {"amount": -5.0}),
        (Sample, {"t": -59.0}),
        (Sample, {"t": 41.0}),
        (FaultEvent, {"t": 0.0}),
        (LoadReport, {"t": 100.9}),
        (LoadReport, {"lag_p50": 0.0, "lag_p99": 0.0, "lag_max": 0.0}),
        (LoadReport, {"t": 0.0}),
        (LoadReport, {"lag_p99": 0.003}),
        (Note, {"t": 100.9}),
        (Note, {"t": -59.0}),
        (Obeyed, {"t": -59.0}),
        (Obeyed, {"t": 41.0}),
        (PhaseEvent, {"end": None}),
        (PhaseEvent, {"end": 0.0}),
    ],
)  # fmt: skip
def test_a_row_at_the_border_can_be(kind: type, changes: dict[str, Any]) -> None:
    """Sent and ended at once, a moment early by another clock, told a minute around the run, zero."""
    assert told(with_changed(kind, **changes)) == []


def test_fault_events_stand_in_their_order_by_fault() -> None:
    """Looks lie between injection and heal, and the events of another fault say nothing of this one's."""

    def of(fault: str, *times: tuple[str, float]) -> list[Row]:
        return [FaultEvent(fault, "crash", "a", name, t, t) for name, t in times]  # type: ignore[arg-type]

    rest = [row for row in WHOLE if not isinstance(row, FaultEvent)]
    good = of("f1", ("inject", 5.0), ("active", 6.0), ("still_active", 7.0), ("heal", 8.0), ("healed", 9.0))
    other = of("f2", ("inject", 2.0), ("active", 3.0), ("still_active", 4.0), ("heal", 20.0))
    assert told([*rest, *good, *other]) == []
    for wrong, said in (
        (("still_active", 4.0), "f1: a look is told from before its injection or after its heal"),
        (("faded", 8.1), "f1: a look is told from before its injection or after its heal"),
        (("heal", 5.5), "f1: heal is told before what goes before it"),
        (("healed", 7.9), "f1: healed is told before what goes before it"),
        (("inject", 5.2), None),
    ):
        found = told([*rest, *good, *other, *of("f1", wrong)])
        assert found == ([] if said is None else [said])
    early = of("f1", ("still_active", 7.0), ("heal", 8.0))
    assert told([*rest, *early]) == []


def test_immense_times_are_left_out_of_what_is_computed() -> None:
    """Of whatever field; all else stays."""
    for name in ("intended", "sent", "ended"):
        history = build(with_changed(Operation, 0, **{name: 1e300}))
        assert possible(history).operations.height == history.operations.height - 1
    assert possible(build(WHOLE)).operations.height == 4


@pytest.mark.parametrize(
    ("last", "possible_end"), [(0.0, True), (1e7, True), (-0.001, False), (1.001e7, False)]
)
def test_a_run_ends_between_its_begin_and_a_hundred_days(last: float, possible_end: bool) -> None:
    """Both borders included: a run may be ended before anything came."""
    found = told([HEADER, End(last, "completed", True)])
    assert ("an end at a time that cannot be" in found) is not possible_end


@pytest.mark.parametrize(
    ("status", "error", "outcome", "fits"),
    [
        (418, "client_error", "rejected", True),
        (499, "client_error", "rejected", True),
        (400, "client_error", "rejected", True),
        (500, "client_error", "rejected", False),
        (399, "client_error", "rejected", False),
        (599, "server_error", "indeterminate", True),
        (500, "server_error", "indeterminate", True),
        (499, "server_error", "indeterminate", False),
        (299, "unreadable", "acknowledged", True),
        (300, "unreadable", "acknowledged", False),
    ],
)
def test_a_family_of_answers_ends_where_the_next_begins(
    status: int, error: str, outcome: str, fits: bool
) -> None:
    """A row of the table of outcomes for 4xx is one for 400 to 499."""
    found = told(with_changed(Operation, 0, status=status, error=error, outcome=outcome))
    assert ("1 operation with an outcome that its answer does not have" in found) is not fits
