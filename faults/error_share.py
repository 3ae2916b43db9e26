"""Error share: the callee refuses some requests before it does anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Behaviour, BehaviourProbe, Controls, Effect
from experiment.controls import ErrorShare as RefuseShare
from experiment.units import Share
from faults.behaviour_measures import require_share, switched_off, touched
from faults.in_callees import InCallee


@dataclass(frozen=True, slots=True)
class ErrorShare(InCallee):
    """A `share` of this caller's requests is answered with `status` before any effect."""

    kind: ClassVar[str] = "error_share"
    requires: ClassVar[str] = "error_share"
    fault_class: ClassVar[str] = "error reply"
    done: ClassVar[str] = "refused"

    share: Share
    """The part of requests that are answered with an error."""
    status: int = 503
    """The HTTP status of the error."""

    def __post_init__(self) -> None:
        require_share(self.share)
        if not 400 <= self.status <= 599:
            raise ValueError(f"the status {self.status}; expected an error status, 400 to 599")

    @property
    def behaviour(self) -> Behaviour:
        return RefuseShare(self.share, self.status)

    def measure(self, controls: Controls, target: str) -> BehaviourProbe:
        """What the callee says of itself."""
        return controls.behaviour(target).probe(RefuseShare)

    def judge(self, before: object, during: object) -> Effect:
        """The callee counted requests that it touched."""
        return touched(before, during, self.done)

    def gone(self, before: object, after: object) -> Effect:
        """The callee says that it is off."""
        return switched_off(before, after)
