"""Driving the faults of a plan in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from experiment.fault_proof import Abandoned, FaultProof, look_at
from experiment.plan import Activation
from experiment.rows import Row
from simulation.engine.clock import Clock
from simulation.model.controls import SimulatedControls


class DrivenFault:
    """One activation on the clock."""

    def __init__(
        self, clock: Clock, controls: SimulatedControls, acting: Activation, record: Callable[[Row], None]
    ) -> None:
        self._clock = clock
        aside = partial(controls.aside, acting.target)
        zero = look_at(acting.fault, controls, acting.target, acting.id)
        self._proof = FaultProof(acting, controls, lambda: clock.now, record, aside, zero)
        self._steps = self._proof.steps()
        self._until = next(self._steps, None)
        # At one instant the clock does first what was put on it first: these times are known from the start.
        for t in (self._proof.due_s, acting.start_s, acting.end_s):
            clock.call_at(t, self._wake)

    def abandon(self) -> None:
        """The run ends early: what acts is healed now."""
        if self._proof.acting:
            try:
                self._until = self._steps.throw(Abandoned())
            except StopIteration:
                self._until = None
            if self._until is not None:
                self._clock.call_at(max(self._until, self._clock.now), self._wake)

    def _wake(self) -> None:
        if self._until is None or self._clock.now < self._until:
            return
        while self._until is not None and self._until <= self._clock.now:
            self._until = next(self._steps, None)
        acting = self._proof.activation
        if self._until is not None and self._until not in (acting.start_s, acting.end_s):
            self._clock.call_at(self._until, self._wake)
