"""The proof of a fault, step by step, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from experiment.controls import Controls, Effect
from experiment.fault_proof import Abandoned, FaultProof
from experiment.plan import Activation
from experiment.rows import FaultEvent
from tests.execution.builders import Board, ScriptedFault

NO_CONTROLS = cast(Controls, None)


@dataclass(frozen=True)
class Watched(ScriptedFault):
    """A fault whose measurement takes a while, and whose effect is seen when the clock says so."""

    clock: list[float] = field(default_factory=list)
    seen: Callable[[float], bool] = bool
    takes_s: float = 0.0

    def measure(self, controls: Controls, target: str) -> object:
        self.clock[0] += self.takes_s
        return self.clock[0]

    def judge(self, before: object, during: object) -> Effect:
        return Effect(self.seen(self.clock[0]), f"measured at {self.clock[0]:g}", {})


def driven(
    seen: Callable[[float], bool], takes_s: float = 0.0, abandon_at: float | None = None
) -> list[FaultEvent]:
    """The events of a fault from 10 s to 20 s."""
    clock: list[float] = [0.0]
    rows: list[Any] = []
    acting = Activation("f1", Watched(Board(), clock=clock, seen=seen, takes_s=takes_s), "a -> b", 10.0, 20.0)
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


def test_the_effect_is_measured_at_the_begin_and_at_the_end() -> None:
    """Two statements: when it was first seen, and shortly before the heal."""
    events = driven(lambda t: t >= 10.15)
    assert told(events) == [
        ("inject", 10.0),
        ("active", 10.2),
        ("still_active", 19.95),
        ("heal", 20.0),
        ("healed", 20.0),
    ]
    assert [event.statement for event in events[1:3]] == ["measured at 10.2", "measured at 19.95"]


def test_an_effect_that_is_gone_before_the_end_says_so() -> None:
    """Somebody restarted the service: the fault did not act for as long as it was to."""
    assert ("faded", 19.95) in told(driven(lambda t: t < 15.0))


def test_a_slow_measurement_does_not_delay_the_heal() -> None:
    """It begins as much earlier as the one before took."""
    events = driven(lambda _: True, takes_s=2.0)
    assert told(events)[2:4] == [("still_active", 19.95), ("heal", 20.0)]


def test_a_fault_too_short_for_a_second_measurement_has_one() -> None:
    """What cannot be measured in time is not claimed."""
    events = driven(lambda _: True, takes_s=6.0)
    assert [event.event for event in events] == ["inject", "active", "heal", "healed"]


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
    events = driven(lambda _: seen, abandon_at=15.0)
    assert [event.event for event in events] == ["inject", said, "heal", "healed"]
    assert events[-1].t == 15.0
