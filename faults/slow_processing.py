"""Slow processing: the callee needs longer for its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Behaviour, BehaviourProbe, Controls, Effect
from experiment.controls import SlowProcessing as ProcessSlowly
from experiment.units import Duration
from faults.behaviour_measures import switched_off, touched
from faults.in_callees import InCallee


@dataclass(frozen=True, slots=True)
class SlowProcessing(InCallee):
    """Each request of this caller takes `delay` longer (give or take `jitter`) before its work is
    committed."""

    kind: ClassVar[str] = "slow_processing"
    requires: ClassVar[str] = "slow_processing"
    fault_class: ClassVar[str] = "slow"
    done: ClassVar[str] = "slowed down"
    # What came while it lasted is carried out when its own time has passed, be that after the heal.
    unbounded: ClassVar[tuple[str, ...]] = ("delay", "jitter")

    delay: Duration
    """How much longer a request takes before its work is committed."""
    jitter: Duration = 0.0
    """How much the delay varies, up and down."""

    def __post_init__(self) -> None:
        if self.delay <= 0 or self.jitter > self.delay:
            raise ValueError(
                f"a delay of {self.delay:g} s with a jitter of {self.jitter:g} s; "
                "expected a delay above 0 and a jitter that is not longer"
            )

    @property
    def behaviour(self) -> Behaviour:
        return ProcessSlowly(self.delay, self.jitter)

    def measure(self, controls: Controls, target: str) -> BehaviourProbe:
        """What the callee says of itself."""
        return controls.behaviour(target).probe(ProcessSlowly)

    def judge(self, before: object, during: object) -> Effect:
        """The callee counted requests that it touched."""
        return touched(before, during, self.done)

    def gone(self, before: object, after: object) -> Effect:
        """The callee says that it is off."""
        return switched_off(before, after)
