"""Links that carried nothing are named: where they are said to be used, and where a fault was healed."""

from __future__ import annotations

from typing import Any, cast

from execution.runs.travelled import Travelled
from experiment.controls import Controls, Traffic
from experiment.errors import UnsupportedError
from tests.execution.builders import Board, plan

LINK = "front -> back"


class Links:
    """Controls of links that carry what a test says."""

    def __init__(self) -> None:
        self.sent: int | None = 0

    def link(self, name: str) -> Any:
        if self.sent is None:
            raise UnsupportedError(f"{name} cannot be read")
        return self

    def traffic(self) -> Traffic:
        assert self.sent is not None
        return Traffic(to_callee=self.sent)


def test_a_link_that_carries_nothing_is_named_by_phase() -> None:
    """One that is said to be used, in the baseline; one with a fault, once it is healed."""
    links = Links()
    travelled = Travelled(plan(Board()), cast(Controls, links))
    travelled.begin("baseline")
    assert travelled.missed("baseline") == f"{LINK} carried nothing in the baseline"
    travelled.begin("baseline")
    links.sent = 10
    assert travelled.missed("baseline") == ""
    travelled.begin("fault")
    assert travelled.missed("fault") == ""
    travelled.begin("recovery")
    assert travelled.missed("recovery") == f"{LINK} carried nothing after the heal, until the load ended"


def test_what_cannot_be_read_is_not_said_to_carry_nothing() -> None:
    """Whoever needs it says so."""
    links = Links()
    links.sent = None
    travelled = Travelled(plan(Board()), cast(Controls, links))
    travelled.begin("baseline")
    assert travelled.missed("baseline") == ""
