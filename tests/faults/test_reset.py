"""A reset is a connection that breaks; silence is not."""

from __future__ import annotations

import pytest

from experiment.controls import Reach
from faults.reset import Reset
from tests.faults.link_probes import BROKEN, CLOSED, QUICK, SILENT, answered, trips


@pytest.mark.parametrize("reach", [BROKEN, CLOSED], ids=["when used", "when opened"])
def test_a_connection_that_breaks_is_the_effect(reach: Reach) -> None:
    """Whether it breaks with the first byte or before."""
    effect = Reset().judge(QUICK, trips(reach, existing=CLOSED))
    assert effect.seen
    assert effect.existing_connections == "affected"
    assert reach.error in effect.statement


@pytest.mark.parametrize("reach", [answered(0.002), SILENT], ids=["answered", "silent"])
def test_an_answer_or_silence_is_no_reset(reach: Reach) -> None:
    """A caller that only waits has not been told that its connection is gone."""
    assert not Reset().judge(QUICK, trips(reach)).seen


def test_gone_means_answered_again() -> None:
    """A connection that still breaks is not healed."""
    assert Reset().gone(QUICK, QUICK).seen
    assert not Reset().gone(QUICK, trips(BROKEN)).seen
