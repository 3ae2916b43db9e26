"""The player against a real server: intended starts, waiting, failing, stopping."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent
import pytest

from experiment.history import History, load_history
from experiment.requests import PlannedOperation
from experiment.rows import Operation
from load.account import LoadSummary, SecondReport, Totals
from load.player import Player
from tests.load.local_system import Heard, LocalSystem, Respond, Say, local_system, well
from tests.load.plans import operation, script, started_history

LEAD_S = 0.05


class Played:
    """What one play left behind: rows by operation id, the reports, the history as it loads, what was
    heard."""

    def __init__(
        self,
        system: LocalSystem,
        rows: Sequence[Operation],
        reports: Sequence[SecondReport],
        history: History,
        zero: float,
    ) -> None:
        self.system = system
        self.rows = {row.id: row for row in rows}
        self.reports = reports
        self.history = history
        self.zero = zero

    def row(self, number: int) -> Operation:
        return self.rows[number]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Played]:
    def run(
        operations: Sequence[PlannedOperation],
        respond: Respond = well,
        patience: float = 2.0,
        stop_after: float | None = None,
        late_by: float = 0.0,
    ) -> Played:
        rows: list[Operation] = []
        reports: list[SecondReport] = []
        with local_system(respond) as system:
            made = script(system.base, started_history(tmp_path / "h.jsonl"), operations, patience)
            player = Player(made, 0, reports.append, rows.append)
            zero = time.monotonic() + LEAD_S - late_by
            playing = gevent.spawn(player.play, zero)
            if stop_after is not None:
                gevent.sleep(stop_after)
                player.stop()
            playing.get(timeout=20)
        return Played(system, rows, reports, load_history(tmp_path / "h.jsonl"), zero)

    return run


def test_every_operation_is_sent_at_its_intended_start(play: Callable[..., Played]) -> None:
    """None before its time, all within the run, in the order of the plan."""
    played = play([operation(n, "check_in", n * 0.03, visit=n) for n in range(10)])
    assert [row.outcome for row in played.rows.values()] == ["acknowledged"] * 10
    assert all(row.sent is not None and row.sent >= row.intended for row in played.rows.values())
    assert [heard.headers["idempotency-key"] for heard in played.system.heard] == [
        f"enc-abc123-{n:06d}" for n in range(10)
    ]


def test_the_history_holds_what_was_seen(play: Callable[..., Played]) -> None:
    """The loaded row has the outcome, status, version, value, trace and the version that was expected."""
    played = play([operation(0, "prescribe", 0.0), operation(1, "change_dose", 0.1, needs=0)])
    frame = played.history.operations
    assert frame["outcome"].to_list() == ["acknowledged", "acknowledged"]
    assert frame["version"].to_list() == [1, 2]
    assert frame["expected_version"].to_list() == [None, 1]
    assert frame["value"].to_list() == ["5 mg", "5 mg"]
    sent_traces = [heard.headers["traceparent"].split("-")[1] for heard in played.system.heard]
    assert frame["trace"].to_list() == sent_traces


def test_a_stalled_server_does_not_slow_the_schedule_and_its_queue_shows_in_the_latencies(
    play: Callable[..., Played],
) -> None:
    """Coordinated omission: while the server stalls for a second, the load goes on arriving, and each
    operation that arrived in the stall is as late as the rest of the stall."""
    stall_ends = 0.0

    def stalling(heard: Heard) -> Say:
        nonlocal stall_ends
        stall_ends = stall_ends or heard.at + 1.0
        return Say(201, {}, after_s=max(0.0, stall_ends - time.monotonic()))

    played = play([operation(n, "claim", n * 0.05, visit=n) for n in range(20)], stalling)
    during = [heard for heard in played.system.heard if heard.at < stall_ends]
    assert len(during) >= 15, "the schedule was held up by the stall"
    latencies = [played.row(n).ended - played.row(n).intended for n in range(20)]
    for number, latency in enumerate(latencies):
        assert latency >= 1.0 - number * 0.05 - 0.02, (number, latency)
    assert sum(latencies) > 8.0, "the queue is missing from the latencies"


def test_a_step_waits_for_what_it_needs_and_its_latency_counts_from_its_intended_start(
    play: Callable[..., Played],
) -> None:
    """The claim takes 0.5 s; the payment planned at 0.1 s is sent after it, and is 0.4 s late for its
    user."""

    def slow_claim(heard: Heard) -> Say:
        return Say(201, {}, after_s=0.5) if heard.path == "/claims" else well(heard)

    played = play([operation(0, "claim", 0.0), operation(1, "pay", 0.1, needs=0)], slow_claim)
    claim, pay = played.row(0), played.row(1)
    assert pay.sent is not None
    assert pay.sent >= claim.ended
    assert pay.intended == 0.1
    assert pay.ended - pay.intended >= 0.4
    assert [lag for report in played.reports for lag in report.lags if lag > 0.3] == []


def test_a_step_whose_need_failed_is_not_sent(play: Callable[..., Played]) -> None:
    """It is rejected as a prerequisite that is missing, and so is what needs it in turn."""
    steps = [
        operation(0, "prescribe", 0.0),
        operation(1, "change_dose", 0.05, needs=0),
        operation(2, "dispense", 0.1, needs=1),
    ]
    played = play(steps, lambda _: Say(500))
    assert len(played.system.heard) == 1
    assert played.row(0).outcome == "indeterminate"
    for number in (1, 2):
        row = played.row(number)
        assert (row.outcome, row.error, row.sent, row.trace) == ("rejected", "prerequisite", None, None)


def test_a_dose_change_names_the_version_that_the_visit_last_saw(play: Callable[..., Played]) -> None:
    """The second change is conditional on the version that the first one made."""
    steps = [
        operation(0, "prescribe", 0.0),
        operation(1, "change_dose", 0.1, needs=0, dose_mg=2.5),
        operation(2, "change_dose", 0.2, needs=0, dose_mg=10.0),
    ]
    played = play(steps)
    assert [heard.headers.get("if-match") for heard in played.system.heard] == [None, 'W/"1"', 'W/"2"']
    assert played.row(2).version == 3


def test_an_unanswered_write_keeps_the_value_that_it_may_have_written(play: Callable[..., Played]) -> None:
    """A register check needs the dose of a change whose fate is unknown."""
    played = play([operation(0, "prescribe", 0.0, dose_mg=7.5)], lambda _: Say(how="close"))
    row = played.row(0)
    assert (row.outcome, row.error, row.value, row.version) == ("indeterminate", "closed", "7.5 mg", None)


def test_a_read_without_answer_is_rejected(play: Callable[..., Played]) -> None:
    """A view that hangs is given up after the user's patience, and had no effect."""
    played = play([operation(0, "view_dose", 0.0)], lambda _: Say(how="hang"), patience=0.3)
    row = played.row(0)
    assert (row.outcome, row.error) == ("rejected", "timeout")
    assert row.ended - row.intended >= 0.3


def test_nobody_waits_longer_than_his_patience_after_the_end_of_the_load(
    play: Callable[..., Played],
) -> None:
    """The payment is sent late, since its claim was slow, but its user leaves with everybody else: 2 s after
    the end of the load, not 2 s after sending."""

    def slow_then_silent(heard: Heard) -> Say:
        return Say(201, {}, after_s=1.8) if heard.path == "/claims" else Say(how="hang")

    steps = [operation(0, "claim", 0.0), operation(1, "pay", 0.2, needs=0)]
    pay = play(steps, slow_then_silent, patience=2.0).row(1)
    assert pay.sent is not None
    assert (pay.error, pay.sent >= 1.8) == ("timeout", True)
    assert pay.ended < 3.5


def test_a_step_whose_need_never_ends_is_given_up(play: Callable[..., Played]) -> None:
    """It is not sent when the claim before it hangs until the user's patience is over."""
    steps = [operation(0, "claim", 0.0), operation(1, "pay", 0.1, needs=0)]
    played = play(steps, lambda _: Say(how="hang"), patience=0.4)
    assert played.row(0).error == "timeout"
    assert (played.row(1).error, played.row(1).sent) == ("prerequisite", None)


def test_a_held_answer_keeps_its_label_and_age(play: Callable[..., Played]) -> None:
    """What an answer says of itself is in the row, the age in seconds."""
    headers = {"x-label": "stale", "x-age-ms": "1500"}
    played = play(
        [operation(0, "view_dose", 0.0)], lambda _: Say(200, {"version": 2, "dose": "5 mg"}, headers)
    )
    row = played.row(0)
    assert (row.outcome, row.version, row.label, row.age) == ("acknowledged", 2, "stale", 1.5)


def test_an_illegible_success_is_acknowledged_for_a_write_and_no_answer_for_a_read(
    play: Callable[..., Played],
) -> None:
    """A 200 with a body that says nothing acknowledges the write, but tells a reader nothing."""
    steps = [operation(0, "dispense", 0.0), operation(1, "view_dose", 0.0)]
    played = play(steps, lambda _: Say(200, b"<html>"))
    assert (played.row(0).outcome, played.row(0).error) == ("acknowledged", "unreadable")
    assert (played.row(1).outcome, played.row(1).error) == ("rejected", "unreadable")


def test_stopping_records_what_was_in_flight_and_sends_no_more(play: Callable[..., Played]) -> None:
    """In flight: interrupted and indeterminate; waiting: withdrawn; not yet due: not recorded."""
    steps = [
        operation(0, "claim", 0.0),
        operation(1, "pay", 0.05, needs=0),
        operation(2, "check_in", 5.0, visit=1),
    ]
    played = play(steps, lambda _: Say(how="hang"), patience=10.0, stop_after=0.5)
    assert sorted(played.rows) == [0, 1]
    assert (played.row(0).outcome, played.row(0).error) == ("indeterminate", "interrupted")
    assert (played.row(1).outcome, played.row(1).error) == ("rejected", "interrupted")
    assert played.row(1).sent is None
    assert played.history.operations.height == 2


def summed(reports: Sequence[SecondReport]) -> LoadSummary:
    totals = Totals()
    for report in reports:
        totals.add(report)
    return totals.summary()


def test_a_generator_that_is_far_behind_does_not_send_after_the_end_of_the_load(
    play: Callable[..., Played],
) -> None:
    """What could not be sent in time is recorded as the generator's failure and missing from the achieved
    ones."""
    played = play([operation(0, "check_in", 0.0)], late_by=5.0)
    row = played.row(0)
    assert (row.outcome, row.error, row.sent) == ("rejected", "generator_late", None)
    total = summed(played.reports)
    assert (total.offered, total.achieved, total.sent) == (1, 0, 0)


def test_each_second_is_accounted_for(play: Callable[..., Played]) -> None:
    """The load rows of the history add up to what was planned and what was done."""
    played = play([operation(n, "check_in", n * 0.05, visit=n) for n in range(30)])
    assert sum(report.offered for report in played.history.load) == 30
    assert sum(report.achieved for report in played.history.load) == 30
    assert played.history.load[0].t == 1.0
    total = summed(played.reports)
    assert (total.offered, total.sent, total.acknowledged) == (30, 30, 30)
    assert played.reports[0].offered == 20


def test_an_unwritable_history_ends_the_load_with_the_reason() -> None:
    """A full disk is an error of the play, not a silence."""
    with local_system() as system:
        made = script(system.base, Path("/dev/full"), [operation(n, "check_in", n * 0.1) for n in range(30)])
        player = Player(made, 0, lambda _: None, lambda _: None)
        with pytest.raises(OSError, match="No space left"):
            gevent.spawn(player.play, time.monotonic()).get(timeout=10)
        assert len(system.heard) < 30
