"""Reset: connections break as soon as they are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect
from experiment.controls import Reset as ResetConnections
from experiment.units import Duration
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
from faults.on_links import OnLink


@dataclass(frozen=True, slots=True)
class Reset(OnLink):
    """A connection is reset `after` its first byte in either direction. One that was opened before the
    fault is closed in the same way, which through Toxiproxy is an ordinary end and no reset."""

    kind: ClassVar[str] = "reset"
    requires: ClassVar[str] = "reset"
    fault_class: ClassVar[str] = "cut"

    after: Duration = 0.0
    """How long after its first byte a connection is reset."""

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, ResetConnections(self.after))

    def measure(self, controls: Controls, target: str) -> RoundTrips:
        return measure_link(controls, target, QUIET_DEADLINE_S + self.after)

    def judge(self, before: object, during: object) -> Effect:
        """A fresh connection breaks before it is answered; silence alone is not a reset."""
        assert isinstance(before, RoundTrips)
        assert isinstance(during, RoundTrips)
        fresh, existing = during.fresh[-1], during.existing[-1]
        seen = answers(before) and fresh.seconds is None and fresh.error != ""
        touched = touch(before, not existing.connected)
        statement = change(before, during)
        return Effect(seen, statement, figures(before, during), touched)

    def gone(self, before: object, after: object) -> Effect:
        """Connections are answered again."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        return answered_again(before, after)
