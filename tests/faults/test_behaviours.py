"""Faults inside a callee are judged by the callee's own count of the requests it touched."""

from __future__ import annotations

import pytest

from experiment.controls import BehaviourProbe, Fault, Look
from experiment.controls import LostResponse as LoseResponses
from experiment.controls import Redelivery as Redeliver
from faults.error_share import ErrorShare
from faults.lost_response import LostResponse
from faults.redelivery import Redelivery
from faults.slow_processing import SlowProcessing
from faults.slow_tail import SlowTail, Tail

BEHAVIOURS: list[Fault] = [
    LostResponse(0.2),
    SlowProcessing(0.3, 0.1),
    SlowTail(2.0, 0.5),
    ErrorShare(0.3, 429),
]
ON = LoseResponses(0.2)
BEFORE = BehaviourProbe(None, 0, 100)


def kind(fault: object) -> str:
    return str(fault.kind)  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", BEHAVIOURS, ids=kind)
def test_touched_requests_are_the_effect(fault: Fault) -> None:
    """The statement has how many were touched of how many received."""
    effect = fault.judge(BEFORE, BehaviourProbe(ON, 3, 120))
    assert effect.seen
    assert effect.statement.startswith("3 requests ")
    assert effect.statement.endswith(", 20 received since")


@pytest.mark.parametrize("fault", BEHAVIOURS, ids=kind)
def test_without_touched_requests_there_is_no_effect(fault: Fault) -> None:
    """No traffic, or none that was drawn: nothing was seen, so nothing is claimed."""
    assert not fault.judge(BEFORE, BehaviourProbe(ON, 0, 100)).seen
    assert not fault.judge(BEFORE, BehaviourProbe(ON, 0, 130)).seen


@pytest.mark.parametrize("fault", BEHAVIOURS, ids=kind)
def test_a_behaviour_that_is_off_has_no_effect(fault: Fault) -> None:
    """A callee that forgot it, after a crash, does not misbehave."""
    effect = fault.judge(BEFORE, BehaviourProbe(None, 5, 130))
    assert not effect.seen
    assert effect.statement == "it is not switched on"


@pytest.mark.parametrize("fault", BEHAVIOURS, ids=kind)
def test_gone_means_that_the_callee_says_so(fault: Fault) -> None:
    """Parameters that are still set are named."""
    assert fault.gone(BEFORE, BehaviourProbe(None, 0, 150)).seen
    still = fault.gone(BEFORE, BehaviourProbe(ON, 9, 150))
    assert not still.seen
    assert still.statement == "still on: LostResponse(share=0.2)"


def test_impossible_parameters_are_refused() -> None:
    """The message has what was found and what was expected."""
    with pytest.raises(ValueError, match="expected more than 0% and at most 100%"):
        LostResponse(0.0)
    with pytest.raises(ValueError, match="expected more than 0% and at most 100%"):
        ErrorShare(1.5)
    with pytest.raises(ValueError, match="expected an error status, 400 to 599"):
        ErrorShare(0.5, 200)
    with pytest.raises(ValueError, match="expected more than 0% and at most 100%"):
        Redelivery(0.0, 1.0)
    with pytest.raises(ValueError, match="expected a time that lies between the two"):
        Redelivery(0.5, 0.0)
    with pytest.raises(ValueError, match="expected a delay above 0 and a jitter that is not longer"):
        SlowProcessing(0.1, 0.2)
    with pytest.raises(ValueError, match="expected a time above 0"):
        SlowTail(0.0, 0.5)
    with pytest.raises(ValueError, match="expected more than 0 and at most 3"):
        SlowTail(2.0, 9.0)
    with pytest.raises(ValueError, match="expected more than 0% and at most 100%"):
        Tail(0.0, 30.0, 0.6)


def test_events_that_come_again_are_the_effect() -> None:
    """The consumer counts them; it has no callers whose requests could be counted."""
    fault = Redelivery(0.5, 1.5, "missed")
    assert fault.behaviour == Redeliver(0.5, 1.5, True)
    before = BehaviourProbe(None, 0, None)
    effect = fault.judge(before, BehaviourProbe(fault.behaviour, 3, None))
    assert (effect.seen, effect.statement) == (True, "3 events delivered again")
    assert not fault.judge(before, BehaviourProbe(fault.behaviour, 0, None)).seen
    assert fault.gone(before, BehaviourProbe(None, 3, None)).seen
    start, now = Look(requests=None, touched=0), Look(requests=None, touched=1)
    assert fault.met("a -> bus", start, now).statement == "a -> bus: 1 event delivered again"
    assert not fault.met("a -> bus", start, start).seen
