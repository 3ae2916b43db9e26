"""Refusal: nobody listens at the other end of a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from experiment.controls import Controls, Effect, Refuse
from faults.link_measures import (
    QUIET_DEADLINE_S,
    RoundTrips,
    answered_again,
    answers,
    change,
    figures,
    measure_link,
    touch,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """New connections are refused at once, existing ones are closed."""

    kind: ClassVar[str] = "refusal"
    target_kind: ClassVar[Literal["link"]] = "link"
    requires: ClassVar[str] = "refuse"
    fault_class: ClassVar[str] = "cut"

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Refuse())

    def heal(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).restore(fault)

    def measure(self, controls: Controls, target: str) -> RoundTrips:
        return measure_link(controls, target, QUIET_DEADLINE_S)

    def judge(self, before: object, during: object) -> Effect:
        """A fresh connection is not made; it was made and answered before."""
        assert isinstance(before, RoundTrips)
        assert isinstance(during, RoundTrips)
        seen = answers(before) and not during.fresh[-1].connected
        touched = touch(before, not during.existing[-1].connected)
        statement = change(before, during)
        return Effect(seen, statement, figures(before, during), touched)

    def gone(self, before: object, after: object) -> Effect:
        """Connections are made and answered again."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        return answered_again(before, after)
