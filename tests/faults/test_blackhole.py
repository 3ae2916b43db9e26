"""A blackhole accepts and is silent; anything else is another fault."""

from __future__ import annotations

import pytest

from experiment.controls import Reach
from faults.blackhole import Blackhole
from tests.faults.link_probes import BROKEN, QUICK, REFUSED, SILENT, answered, trips


def test_accepted_and_silent_is_the_effect() -> None:
    """The statement says for how long nothing came."""
    effect = Blackhole().judge(QUICK, trips(SILENT))
    assert effect.seen
    assert effect.statement == "round trip 2.0 ms -> accepted, no answer within 500 ms"
    assert effect.existing_connections == "affected"


@pytest.mark.parametrize("reach", [answered(0.3), REFUSED, BROKEN], ids=["slow", "refused", "reset"])
def test_an_answer_or_a_broken_connection_is_not(reach: Reach) -> None:
    """A slow answer, a refusal and a reset all tell the caller something."""
    assert not Blackhole().judge(QUICK, trips(reach)).seen


def test_a_link_that_was_silent_before_proves_nothing() -> None:
    """Silence before and after is no effect of the fault."""
    assert not Blackhole().judge(trips(SILENT), trips(SILENT)).seen


def test_an_older_connection_that_still_answers_is_said_so() -> None:
    """The fault acts on fresh connections only."""
    effect = Blackhole().judge(QUICK, trips(SILENT, existing=answered(0.002)))
    assert effect.seen
    assert effect.existing_connections == "not affected"


def test_gone_means_answered_again() -> None:
    """Silence after healing is not healed."""
    assert Blackhole().gone(QUICK, QUICK).seen
    assert not Blackhole().gone(QUICK, trips(SILENT)).seen
