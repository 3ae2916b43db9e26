"""The proof of a fault, step by step, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from experiment.controls import Controls, Effect, Look, Traffic
from experiment.errors import UnsupportedError
from experiment.fault_proof import MEASURE_AHEAD_S, Abandoned, FaultProof, at_once
from experiment.plan import Activation
from experiment.rows import FaultEvent
from tests.execution.builders import Board, ScriptedFault

NO_CONTROLS = cast(Controls, None)


@dataclass(init=False)
class Watch:
    """When an effect is seen, and how long it takes to find out. It has no fields, so that a fault that holds
    one can be written down as its parameters."""

    def __init__(self, clock: list[float], seen: Callable[[float], bool], **more: Any) -> None:
        self.clock, self.seen = clock, seen
        self.takes_s: float = more.get("takes_s", 0.0)
        self.look_takes_s: float = more.get("look_takes_s", 0.0)
        self.unreadable: bool = more.get("unreadable", False)
        self.ready_from_s: float = more.get("ready_from_s", 0.0)


@dataclass(frozen=True)
class Watched(ScriptedFault):
    """A fault whose measurement takes a while, and whose effect is seen when the clock says so."""

    watch: Watch = field(default_factory=lambda: Watch([0.0], bool))

    def measure(self, controls: Controls, target: str) -> object:
        self.watch.clock[0] += self.watch.takes_s
        return self.watch.clock[0]

    def ready(self, before: object) -> bool:
        return cast(float, before) >= self.watch.ready_from_s

    def judge(self, before: object, during: object) -> Effect:
        now = self.watch.clock[0]
        return Effect(self.watch.seen(now), f"measured at {now:g}", {})

    def look(self, controls: Controls, target: str, fault: str) -> Look:
        watch = self.watch
        watch.clock[0] += watch.look_takes_s
        if watch.unreadable:
            raise UnsupportedError("nobody answers")
        now = watch.clock[0]
        return Look("" if watch.seen(now) else "it is gone", Traffic(to_callee=int(now)))


@dataclass
class Later:
    """A measurement that is made beside: done when the clock says so."""

    clock: list[float]
    done_s: float
    measure: Callable[[], object]

    def done(self) -> bool:
        return self.clock[0] >= self.done_s

    def result(self) -> object:
        return self.measure()


def driven(
    seen: Callable[[float], bool],
    abandon_at: float | None = None,
    beside_s: float | None = None,
    last_takes_s: float | None = None,
    ahead_s: float = MEASURE_AHEAD_S,
    **more: Any,
) -> list[FaultEvent]:
    """The events of a fault from 10 s to 20 s, on a link whose caller sends a byte a second. `beside_s`: how
    long each measurement takes that is made beside (`last_takes_s`: those from 15 s to 20 s). `more` goes to
    the `Watch`."""
    clock: list[float] = [0.0]
    rows: list[Any] = []
    fault = Watched(Board(), watch=Watch(clock, seen, **more))
    acting = Activation("f1", fault, "a -> b", 10.0, 20.0)

    def begin(measure: Callable[[], object]) -> Later:
        late = last_takes_s is not None and 15.0 < clock[0] < 20.0
        takes_s = last_takes_s if late else beside_s if 10.0 <= clock[0] < 20.0 else 0.0
        return Later(clock, clock[0] + (takes_s or 0.0), measure)

    how = at_once if beside_s is None else begin
    proof = FaultProof(acting, NO_CONTROLS, lambda: clock[0], rows.append, begin=how, ahead_s=ahead_s)
    steps = proof.steps()
    try:
        until = next(steps)
        while True:
            if abandon_at is not None and until > abandon_at:
                clock[0], abandon_at = abandon_at, None
                until = steps.throw(Abandoned())
            clock[0] = max(clock[0], until)
            until = next(steps)
    except StopIteration:
        assert not proof.acting
        return rows


def told(events: list[FaultEvent]) -> list[tuple[str, float]]:
    return [(event.event, round(event.t, 3)) for event in events]


def looked(events: list[FaultEvent]) -> list[float]:
    """When it was looked at while it lasted."""
    return [round(event.t, 3) for event in events if event.event in ("still_active", "faded")]


def test_the_effect_is_measured_at_the_begin_and_looked_at_until_the_end() -> None:
    """More than twice a second from the injection on, the last time shortly before the heal; what the
    caller's traffic met grows from look to look. The heal says how many looks there were."""
    events = driven(lambda t: t >= 10.15)
    begin, end = told(events)[:2], told(events)[-2:]
    assert begin == [("inject", 10.0), ("active", 10.2)]
    assert looked(events) == pytest.approx([*(10.4 + 0.4 * n for n in range(24)), 19.95])
    assert end == [("heal", 20.0), ("healed", 20.0)]
    assert {event.event for event in events[2:-2]} == {"still_active"}
    assert [event.measured["met"] for event in events[2:6]] == [0, 0, 1, 1]
    assert events[-3].statement == "met 9"
    assert [event.measured["looks"] for event in events[2:-1]] == [*range(1, 26), 25]


def test_an_injection_says_with_what_and_what_came_before() -> None:
    """The parameters of the fault as they were set, and what the link carried until then."""
    (inject, *_) = driven(lambda _: True)
    assert inject.parameters is not None
    assert inject.parameters["kind"] == "scripted"
    assert inject.measured == {"carried": 10, "to_callee_bytes": 10}


def test_an_effect_that_vanishes_half_a_second_later_says_so() -> None:
    """Somebody took it away: the next look finds it out, and so does every later one."""
    events = driven(lambda t: t < 10.4)
    assert told(events)[:3] == [("inject", 10.0), ("active", 10.0), ("faded", 10.4)]
    assert {event.event for event in events[2:-2]} == {"faded"}
    assert events[2].statement == "it is gone"


def test_an_effect_that_was_away_in_between_says_so() -> None:
    """For half a second, wherever that lies: one look in the middle is enough."""

    def away_at(begin: float) -> Callable[[float], bool]:
        return lambda t: not begin <= t <= begin + 0.5

    for begin in (14.5, 14.6, 14.7, 14.85):
        events = driven(away_at(begin))
        assert 1 <= [event.event for event in events].count("faded") <= 2


def test_a_slow_measurement_does_not_delay_the_heal() -> None:
    """The last one begins as much earlier as the one before took."""
    events = driven(lambda _: True, takes_s=2.0)
    assert told(events)[-3:-1] == [("still_active", 19.95), ("heal", 20.0)]


def test_a_fault_too_short_for_a_second_measurement_is_looked_at_all_the_same() -> None:
    """A look takes next to nothing; what cannot be measured in time is not said."""
    events = driven(lambda _: True, takes_s=6.0)
    assert told(events)[1] == ("active", 16.0 - 0.35 + 6.0)
    assert looked(events)


def test_looks_that_take_long_leave_the_target_some_rest() -> None:
    """One of a tenth of a second comes as often as any other; after a longer one there is a pause."""

    def gaps(takes_s: float) -> set[float]:
        looks = looked(driven(lambda _: True, look_takes_s=takes_s))[:-1]
        return {round(later - earlier, 3) for earlier, later in pairwise(looks)}

    assert gaps(0.1) == {0.4}
    assert gaps(0.5) == {0.6}


@pytest.mark.parametrize("takes_s", [0.5, 1.5, 3.0])
def test_looks_go_on_while_something_is_measured(takes_s: float) -> None:
    """A probe into a black hole takes its whole deadline, at the begin and at the end: that is no reason not
    to look."""
    events = driven(lambda _: True, beside_s=takes_s)
    assert looked(events)[0] == pytest.approx(10.4)
    assert max(later - earlier for earlier, later in pairwise([10.0, *looked(events), 20.0])) < 0.45
    (active,) = [event.t for event in events if event.event == "active"]
    assert active == pytest.approx(10.0 + takes_s, abs=0.03)
    assert told(events)[-2][1] == 20.0


def test_what_vanishes_while_something_is_measured_says_so() -> None:
    """In the middle of the last measurement, which began before."""
    events = driven(lambda t: t < 18.5 or t > 19.0, beside_s=2.0)
    assert [round(event.t, 1) for event in events if event.event == "faded"] == [18.8]


def test_what_is_not_in_force_yet_is_not_faded() -> None:
    """A process that runs out of memory takes a while to: until its effect was seen nothing can fade."""
    events = driven(lambda t: t >= 11.5)
    assert looked(events)[0] == pytest.approx(11.6)
    assert "faded" not in {event.event for event in events}


def test_a_measurement_that_is_not_made_in_time_is_not_waited_for() -> None:
    """The last one takes longer than the first did: the heal comes on time, after a last look."""
    events = driven(lambda _: True, beside_s=1.0, last_takes_s=5.0)
    assert told(events)[-3:-1] == [("still_active", 19.95), ("heal", 20.0)]


@pytest.mark.parametrize(("ready_from_s", "began"), [(8.8, 10.0), (9.2, 10.0), (9.8, 10.0), (99.0, 10.0)])
def test_a_target_is_measured_again_until_it_is_seen_to_work(ready_from_s: float, began: float) -> None:
    """One probe that a busy machine keeps from its answer spoils no run; a target that never works does not
    hold up the injection."""
    board: list[float] = []
    clock: list[float] = [0.0]
    watch = Watch(clock, lambda _: True, ready_from_s=ready_from_s)
    acting = Activation("f1", Watched(Board(), watch=watch), "a -> b", 10.0, 20.0)
    rows: list[Any] = []

    def begin(measure: Callable[[], object]) -> Later:
        board.append(clock[0])
        return Later(clock, clock[0], measure)

    steps = FaultProof(acting, NO_CONTROLS, lambda: clock[0], rows.append, begin=begin, ahead_s=1.2).steps()
    for until in steps:
        clock[0] = max(clock[0], until)
    assert rows[0].t == began
    before = [t for t in board if t < 10.0]
    assert before[0] == 8.8
    assert before[-1] == pytest.approx(min(max(ready_from_s, 8.8), 9.9), abs=0.1)


def test_a_look_that_raises_ends_in_the_history() -> None:
    """And the fault is healed."""
    for beside_s in (None, 0.5):
        events = driven(lambda t: 1 // (t < 12.0) == 1, beside_s=beside_s)
        assert [event.event for event in events[-3:]] == ["heal", "healed", "failed"]
        assert "ZeroDivisionError" in events[-1].statement


def test_a_target_that_cannot_be_looked_at_is_not_disturbed_as_planned() -> None:
    """The service that would say so does not answer: nothing is taken on trust."""
    events = driven(lambda _: True, unreadable=True)
    assert {event.event for event in events[2:-2]} == {"faded"}
    assert events[2].statement == "it could not be read back: nobody answers"


def test_a_fault_without_effect_is_looked_at_until_its_end() -> None:
    """The last look is at the end itself; then it says that nothing was seen, and is healed."""
    events = driven(lambda _: False)
    assert told(events) == [("inject", 10.0), ("no_effect", 20.0), ("heal", 20.0), ("healed", 20.0)]


@pytest.mark.parametrize("at", [9.0, 9.8])
def test_what_is_due_is_not_injected_when_the_run_is_abandoned(at: float) -> None:
    """Before the first measurement, and between it and the injection."""
    assert driven(lambda _: True, abandon_at=at) == []


@pytest.mark.parametrize(("seen", "said"), [(True, "active"), (False, "no_effect")])
def test_what_acts_is_healed_at_once_when_the_run_is_abandoned(seen: bool, said: str) -> None:
    """And seen to be gone."""
    events = [event for event in driven(lambda _: seen, abandon_at=15.0) if event.event != "still_active"]
    assert [event.event for event in events] == ["inject", said, "heal", "healed"]
    assert events[-1].t == 15.0
