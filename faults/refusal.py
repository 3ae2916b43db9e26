"""Refusal: nobody listens at the other end of a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect, Look, Refuse
from experiment.units import noun
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
from faults.on_links import OnLink, nothing, traffic_between, traffic_figures


@dataclass(frozen=True, slots=True)
class Refusal(OnLink):
    """New connections are refused at once, existing ones are closed."""

    kind: ClassVar[str] = "refusal"
    requires: ClassVar[str] = "refuse"
    fault_class: ClassVar[str] = "cut"

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Refuse())

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

    def met(self, target: str, start: Look, now: Look) -> Effect:
        """Connections of the caller that were open were cut, or new ones were refused."""
        assert start.traffic is not None
        during, cut = traffic_between(start, now), start.traffic.open
        count = cut + (during.refused or 0)
        measured = {**traffic_figures(during, count), "cut": cut, "refused": during.refused}
        told = f"{target}: {noun(cut, 'connection')} of its caller cut"
        if during.refused is None:
            told += "; attempts to connect could not be counted (that takes root)"
        else:
            told += f", {noun(during.refused, 'attempt')} to connect refused"
        return Effect(count > 0, told if count or during.refused is None else nothing(target), measured)

    def gone(self, before: object, after: object) -> Effect:
        """Connections are made and answered again."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        return answered_again(before, after)
