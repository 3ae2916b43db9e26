"""Lost response: the work is done, the answer never arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Behaviour, BehaviourProbe, Controls, Effect
from experiment.controls import LostResponse as LoseResponses
from experiment.units import Share
from faults.behaviour_measures import require_share, switched_off, touched
from faults.in_callees import InCallee


@dataclass(frozen=True, slots=True)
class LostResponse(InCallee):
    """The callee finishes and commits a request, then closes the connection without an answer, for a `share`
    of requests."""

    kind: ClassVar[str] = "lost_response"
    requires: ClassVar[str] = "lost_response"
    fault_class: ClassVar[str] = "lost reply"
    done: ClassVar[str] = "answered by silence"

    share: Share
    """The part of requests that are carried out and get no answer."""

    def __post_init__(self) -> None:
        require_share(self.share)

    @property
    def behaviour(self) -> Behaviour:
        return LoseResponses(self.share)

    def measure(self, controls: Controls, target: str) -> BehaviourProbe:
        """What the callee says of itself."""
        return controls.behaviour(target).probe(LoseResponses)

    def judge(self, before: object, during: object) -> Effect:
        """The callee counted requests that it touched."""
        return touched(before, during, self.done)

    def gone(self, before: object, after: object) -> Effect:
        """The callee says that it is off."""
        return switched_off(before, after)
