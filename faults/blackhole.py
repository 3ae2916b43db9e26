"""Blackhole: a link that takes everything and answers nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Blackhole as Vanish
from experiment.controls import Controls, Direction, Effect
from faults.link_measures import (
    QUIET_DEADLINE_S,
    RoundTrips,
    answered_again,
    answers,
    figures,
    measure_link,
    shown,
    touch,
)
from faults.on_links import OnLink


@dataclass(frozen=True, slots=True)
class Blackhole(OnLink):
    """Connections are accepted and stay open; bytes vanish in the direction named. Healing closes them."""

    kind: ClassVar[str] = "blackhole"
    requires: ClassVar[str] = "blackhole"
    fault_class: ClassVar[str] = "cut"

    direction: Direction = "both"
    """The way on which bytes vanish."""

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Vanish(self.direction))

    def measure(self, controls: Controls, target: str) -> RoundTrips:
        return measure_link(controls, target, QUIET_DEADLINE_S)

    def judge(self, before: object, during: object) -> Effect:
        """A fresh connection is accepted and gets no answer; it was answered before."""
        assert isinstance(before, RoundTrips)
        assert isinstance(during, RoundTrips)
        fresh, existing = during.fresh[-1], during.existing[-1]
        seen = answers(before) and fresh.connected and fresh.seconds is None and not fresh.error
        touched = touch(before, existing.seconds is None)
        statement = (
            f"round trip {shown(before.fresh, before.deadline_s)} -> accepted, "
            f"{shown(during.fresh, during.deadline_s)}"
        )
        return Effect(seen, statement, figures(before, during), touched)

    def gone(self, before: object, after: object) -> Effect:
        """Both kinds of connection are answered again."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        return answered_again(before, after)
