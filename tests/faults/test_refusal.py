"""A refusal is seen by connections that are not made."""

from __future__ import annotations

import pytest

from experiment.controls import Reach
from faults.refusal import Refusal
from tests.faults.link_probes import BROKEN, CLOSED, QUICK, REFUSED, SILENT, answered, trips


def test_a_connection_that_is_not_made_is_the_effect() -> None:
    """The older connection was closed with it."""
    effect = Refusal().judge(QUICK, trips(REFUSED, existing=CLOSED))
    assert effect.seen
    assert effect.statement == "round trip 2.0 ms -> Connection refused"
    assert effect.existing_connections == "affected"


def test_an_older_connection_that_stays_is_said_so() -> None:
    """Refusing only the new is half of the fault."""
    effect = Refusal().judge(QUICK, trips(REFUSED, existing=answered(0.002)))
    assert effect.existing_connections == "not affected"


@pytest.mark.parametrize("reach", [answered(0.002), SILENT, BROKEN], ids=["answered", "silent", "reset"])
def test_a_connection_that_is_made_is_no_refusal(reach: Reach) -> None:
    """Whatever becomes of it afterwards."""
    assert not Refusal().judge(QUICK, trips(reach)).seen


def test_a_link_that_refused_before_proves_nothing() -> None:
    """A callee that was down anyway is not the fault's doing."""
    assert not Refusal().judge(trips(REFUSED), trips(REFUSED)).seen


def test_gone_means_answered_again() -> None:
    """A connection that is made and not answered is not healed."""
    assert Refusal().gone(QUICK, QUICK).seen
    assert not Refusal().gone(QUICK, trips(SILENT)).seen
