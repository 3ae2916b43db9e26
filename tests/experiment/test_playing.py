"""One operation from its turn to its row, driven by hand: no thread, no clock, no socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from experiment.answers import Answered
from experiment.errors import Location
from experiment.playing import Exchange, Heard, Prepared, Stopped, Turn, Users
from experiment.requests import Known, PlannedOperation
from experiment.rows import Operation
from experiment.workload import WorkloadFault


@dataclass(frozen=True)
class Terms:
    patience: float = 2.0
    writes: bool = True


class Play:
    """Users at a time that is set by hand."""

    def __init__(
        self, fault: WorkloadFault | None = None, operations: Sequence[PlannedOperation] | None = None
    ) -> None:
        self.now = 0.0
        self.known: list[Known] = []
        self.lags: list[float | None] = []
        self.faults: list[str] = []
        self._fault = fault
        self.users = Users(
            {"order": Terms(), "look": Terms(writes=False)},
            10.0,
            lambda: self.now,
            self._prepare,
            operations=operations,
            day="2026-02-03",
            started=self.lags.append,
            object_to=self.faults.append,
        )

    def _prepare(self, op: PlannedOperation, known: Known) -> Prepared:
        self.known.append(known)
        if self._fault is not None:
            raise self._fault
        return Prepared("request", known.version, "trace")

    def row(self, op: PlannedOperation, heard: Heard, took_s: float = 0.5) -> Operation:
        """An operation whose turn has come, answered at once."""
        work = self.users.operate(op)
        step = next(work)
        assert isinstance(step, Exchange)
        self.now += took_s
        return ended(work, heard)


def operation(number: int, journey: str = "order", needs: int | None = None) -> PlannedOperation:
    return PlannedOperation(number, journey, 1.0, "ord-a-1", 0, needs, {}, "meant")


def ended(work: object, sent: object) -> Operation:
    """What the generator returns when it is sent the last result."""
    with pytest.raises(StopIteration) as end:
        work.send(sent)  # type: ignore[attr-defined]
    row = end.value.value
    assert isinstance(row, Operation)
    return row


def test_an_operation_is_sent_and_its_answer_becomes_its_row() -> None:
    """Times, outcome, trace, and what the answer said."""
    play = Play()
    play.now = 1.25
    row = play.row(operation(3), Heard("2xx", 201, Answered(4, "new", "held", 0.5)))
    assert row == Operation(
        3,
        "order",
        "ord-a-1",
        1.0,
        1.25,
        1.75,
        "acknowledged",
        201,
        None,
        "trace",
        4,
        None,
        "new",
        "held",
        0.5,
    )
    assert (play.lags, play.known) == ([0.25], [Known(None, "2026-02-03")])


def test_a_later_request_builds_on_the_version_last_acknowledged() -> None:
    """Of its own key; a read teaches nothing, and an older version neither."""
    play = Play()
    for journey, version in (("order", 4), ("order", 3), ("look", 9)):
        play.row(operation(1, journey), Heard("2xx", 200, Answered(version)))
    row = play.row(operation(2), Heard("timeout"))
    assert (play.known[-1].version, row.expected_version) == (4, 4)
    assert (row.outcome, row.error, row.value) == ("indeterminate", "timeout", "meant")


def test_an_operation_waits_for_the_one_that_it_needs() -> None:
    """Only as long as its user would, and its lag is not the generator's."""
    play = Play()
    play.now = 1.0
    waiting = play.users.operate(operation(2, needs=1))
    assert next(waiting) == Turn(1, 11.0)
    play.row(operation(1), Heard("2xx", 200))
    assert isinstance(waiting.send(True), Exchange)
    assert play.lags == [None, 0.0]
    late = play.users.operate(operation(3, needs=1))
    assert isinstance(next(late), Exchange), "what has ended is not waited for"


@pytest.mark.parametrize("heard", [Heard("500", 500), Heard("refused")])
def test_what_it_needs_and_failed_is_not_built_upon(heard: Heard) -> None:
    """Whether that ended before or while it waited."""
    play = Play()
    waiting = play.users.operate(operation(2, needs=1))
    next(waiting)
    play.row(operation(1), heard)
    row = ended(waiting, False)
    assert (row.outcome, row.error, row.sent, row.trace) == ("rejected", "prerequisite", None, None)
    with pytest.raises(StopIteration) as end:
        next(play.users.operate(operation(3, needs=1)))
    assert end.value.value.error == "prerequisite"


def test_nobody_waits_longer_than_his_patience_after_the_end_of_the_load() -> None:
    """Nor is anything sent when its turn comes much later than that end."""
    play = Play()
    play.now = 9.0
    step = next(play.users.operate(operation(1)))
    assert isinstance(step, Exchange) and step.patience_s == 2.0
    play.now = 10.4
    step = next(play.users.operate(operation(2)))
    assert isinstance(step, Exchange) and step.patience_s == pytest.approx(1.6)
    play.now = 10.6
    with pytest.raises(StopIteration) as end:
        next(play.users.operate(operation(3)))
    assert (end.value.value.error, end.value.value.sent) == ("generator_late", None)


def test_a_stop_tells_what_was_in_flight_from_what_was_not_sent() -> None:
    """Interrupted is unsure, withdrawn is not."""
    play = Play()
    flying, waiting = play.users.operate(operation(1)), play.users.operate(operation(2, needs=1))
    next(flying), next(waiting)
    outcomes = []
    for work in (flying, waiting):
        with pytest.raises(StopIteration) as end:
            work.throw(Stopped())
        outcomes.append((end.value.value.outcome, end.value.value.error, end.value.value.sent))
    assert outcomes == [("indeterminate", "interrupted", 0.0), ("rejected", "interrupted", None)]


def test_a_fault_of_the_workload_is_objected_to() -> None:
    """Before the request: nothing was sent. In the answer: the row has its error."""
    play = Play(WorkloadFault(Location("client.py", 7), "request of order raised KeyError: 'x'", "no error"))
    with pytest.raises(StopIteration) as end:
        next(play.users.operate(operation(1)))
    assert (end.value.value.outcome, end.value.value.error) == ("rejected", "workload_error")
    assert play.faults == ["request of order raised KeyError: 'x' (client.py:7)"]
    other = Play()
    row = other.row(operation(1), Heard("misread", 200, fault="answer of order raised KeyError: 'y'"))
    assert (row.outcome, row.error, other.faults) == (
        "acknowledged",
        "workload_error",
        ["answer of order raised KeyError: 'y'"],
    )


def test_a_long_load_keeps_nothing_of_what_nobody_needs_any_more() -> None:
    """Versions until the last operation on a key, results until the last one that needs them."""
    first, second, third = operation(1), operation(2, needs=1), operation(3, needs=1)
    play = Play(operations=(first, second, third))
    play.row(first, Heard("2xx", 201, Answered(1)))
    play.row(second, Heard("2xx", 200, Answered(2)))
    assert play.row(third, Heard("2xx", 200, Answered(3))).expected_version == 2
    kept = (play.users._succeeded, play.users._versions, play.users._keys, play.users._needs)
    assert not any(kept)


def test_one_that_gave_up_waiting_leaves_nothing_behind() -> None:
    """What it needed ends later, and is not kept for it."""
    first, second = operation(1), operation(2, needs=1)
    play = Play(operations=(first, second))
    waiting = play.users.operate(second)
    next(waiting)
    assert ended(waiting, False).error == "prerequisite"
    play.row(first, Heard("2xx", 201, Answered(1)))
    assert not play.users._succeeded and not play.users._versions
