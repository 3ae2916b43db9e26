"""Redelivery: a bus that gives events again, as all do that deliver at least once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from experiment.controls import Behaviour, BehaviourProbe, Controls, Effect
from experiment.controls import Redelivery as Redeliver
from experiment.units import Duration, Share
from faults.behaviour_measures import require_share, switched_off, touched
from faults.in_callees import InCallee


@dataclass(frozen=True, slots=True)
class Redelivery(InCallee):
    """A `share` of the events that the caller of a link to a bus consumes comes a second time, `after` that
    long; with `first: missed` only then, so that those behind it overtake."""

    kind: ClassVar[str] = "redelivery"
    requires: ClassVar[str] = "redelivery"
    fault_class: ClassVar[str] = "events again"
    protocol: ClassVar[str] = "nats"
    done: ClassVar[str] = "delivered again"
    things: ClassVar[tuple[str, str]] = ("event", "events")

    share: Share
    """The part of events that come again."""
    after: Duration
    """How long after the first time."""
    first: Literal["handled", "missed"] = "handled"
    """`handled`: the event is consumed twice. `missed`: it is consumed the second time only, after events
    that were published later."""

    def __post_init__(self) -> None:
        require_share(self.share)
        if self.after <= 0:
            raise ValueError("after 0 s; expected a time that lies between the two")

    @property
    def behaviour(self) -> Behaviour:
        return Redeliver(self.share, self.after, self.first == "missed")

    def measure(self, controls: Controls, target: str) -> BehaviourProbe:
        """What the consumer says of itself."""
        return controls.behaviour(target).probe(Redeliver)

    def judge(self, before: object, during: object) -> Effect:
        """The consumer counted events that it touched."""
        return touched(before, during, self.done, self.things)

    def gone(self, before: object, after: object) -> Effect:
        """The consumer says that it is off."""
        return switched_off(before, after)
