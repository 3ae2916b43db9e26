"""The proof of a fault, step by step, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from experiment.controls import Controls, Effect, Look, Traffic
from experiment.errors import UnsupportedError
from experiment.fault_proof import Abandoned, FaultProof
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


@dataclass(frozen=True)
class Watched(ScriptedFault):
    """A fault whose measurement takes a while, and whose effect is seen when the clock says so."""

    watch: Watch = field(default_factory=lambda: Watch([0.0], bool))

    def measure(self, controls: Controls, target: str) -> object:
        self.watch.clock[0] += self.watch.takes_s
        return self.watch.clock[0]

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


def driven(seen: Callable[[float], bool], abandon_at: float | None = None, **more: Any) -> list[FaultEvent]:
    """The events of a fault from 10 s to 20 s, on a link whose caller sends a byte a second. `more` goes to
    the `Watch`."""
    clock: list[float] = [0.0]
    rows: list[Any] = []
    fault = Watched(Board(), watch=Watch(clock, seen, **more))
    acting = Activation("f1", fault, "a -> b", 10.0, 20.0)
    proof = FaultProof(acting, NO_CONTROLS, lambda: clock[0], rows.append)
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
    """Twice a second from when it was first seen, the last time shortly before the heal; what the caller's
    traffic met grows from look to look."""
    events = driven(lambda t: t >= 10.15)
    begin, end = told(events)[:2], told(events)[-2:]
    assert begin == [("inject", 10.0), ("active", 10.2)]
    assert looked(events) == [*(10.7 + 0.5 * n for n in range(19)), 19.95]
    assert end == [("heal", 20.0), ("healed", 20.0)]
    assert {event.event for event in events[2:-2]} == {"still_active"}
    assert [event.measured["met"] for event in events[2:6]] == [0, 1, 1, 2]
    assert events[-3].statement == "met 9"


def test_an_injection_says_with_what_and_what_came_before() -> None:
    """The parameters of the fault as they were set, and what the link carried until then."""
    (inject, *_) = driven(lambda _: True)
    assert inject.parameters is not None
    assert inject.parameters["kind"] == "scripted"
    assert inject.measured == {"carried": 10}


def test_an_effect_that_vanishes_half_a_second_later_says_so() -> None:
    """Somebody took it away: the next look finds it out, and so does every later one."""
    events = driven(lambda t: t < 10.4)
    assert told(events)[:3] == [("inject", 10.0), ("active", 10.0), ("faded", 10.5)]
    assert {event.event for event in events[2:-2]} == {"faded"}
    assert events[2].statement == "it is gone"


def test_an_effect_that_was_away_in_between_says_so() -> None:
    """One look in the middle is enough."""
    faded = [event.t for event in driven(lambda t: not 14.9 < t < 15.1) if event.event == "faded"]
    assert [round(t, 3) for t in faded] == [15.0]


def test_a_slow_measurement_does_not_delay_the_heal() -> None:
    """The last one begins as much earlier as the one before took."""
    events = driven(lambda _: True, takes_s=2.0)
    assert told(events)[-3:-1] == [("still_active", 19.95), ("heal", 20.0)]


def test_a_fault_too_short_for_a_second_measurement_is_looked_at_all_the_same() -> None:
    """A look takes next to nothing; what cannot be measured in time is not said."""
    events = driven(lambda _: True, takes_s=6.0)
    assert told(events)[1] == ("active", 16.0 - 0.35 + 6.0)
    assert looked(events)


def test_looks_that_take_long_come_less_often() -> None:
    """A tenth of the time at most, but one every second and a half at least."""
    assert looked(driven(lambda _: True, look_takes_s=0.1))[:3] == pytest.approx([10.8, 11.9, 13.0], abs=0.15)
    slow = looked(driven(lambda _: True, look_takes_s=0.5))
    assert {round(later - earlier, 3) for earlier, later in pairwise(slow[:-1])} == {2.0}


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
