"""Driving the faults of a plan in virtual time: each with the proof of its effect and of its end."""

from __future__ import annotations

from experiment.controls import Effect
from experiment.plan import FaultStep
from experiment.rows import FaultEvent, Row
from simulation.model.controls import SimulatedControls
from simulation.model.world import World

MEASURE_AHEAD_S = 0.35  # the "before" measurement is taken this long before the injection
POLL_S = 0.1
GONE_WITHIN_S = 10.0  # after this a fault that still acts is reported as not healed


class Activation:
    """One injection and its heal, with the proof of both."""

    def __init__(
        self, world: World, controls: SimulatedControls, inject: FaultStep, heal: FaultStep, rows: list[Row]
    ) -> None:
        self._clock = world.clock
        self._controls = controls
        self._heal = heal
        self._rows = rows
        self._step = inject
        self._before: object = None
        self._healed_by = 0.0
        self._clock.call_at(max(0.0, inject.at_s - MEASURE_AHEAD_S), self._measure)
        self._clock.call_at(inject.at_s, self._inject)
        self._clock.call_at(heal.at_s, self._end)
        self._proven = False
        self._acting = False

    def abandon(self) -> None:
        """The run ends early: what acts is healed now."""
        if self._acting:
            self._end()

    def _measure(self) -> None:
        self._before = self._step.effect.measure(self._controls, self._step.target)

    def _inject(self) -> None:
        step = self._step
        self._acting = True
        self._event("inject")
        step.effect.inject(self._controls, step.target, step.fault)
        self._prove()

    def _prove(self) -> None:
        step = self._step
        if self._clock.now >= self._heal.at_s:
            return
        effect = step.effect.effect(self._before, step.effect.measure(self._controls, step.target))
        if effect.seen:
            self._proven = True
            self._event("active", effect)
        else:
            self._clock.call_after(POLL_S, self._prove)

    def _end(self) -> None:
        step = self._step
        self._acting = False
        if not self._proven:
            effect = step.effect.effect(self._before, step.effect.measure(self._controls, step.target))
            self._event("active" if effect.seen else "no_effect", effect)
        self._event("heal")
        step.effect.heal(self._controls, step.target, step.fault)
        self._healed_by = self._clock.now + GONE_WITHIN_S
        self._check_gone()

    def _check_gone(self) -> None:
        step = self._step
        effect = step.effect.gone(self._before, step.effect.measure(self._controls, step.target))
        if effect.seen or self._clock.now >= self._healed_by:
            self._event("healed" if effect.seen else "not_healed", effect)
        else:
            self._clock.call_after(POLL_S, self._check_gone)

    def _event(self, event: str, effect: Effect | None = None) -> None:
        step = self._heal if event in ("heal", "healed", "not_healed") else self._step
        self._rows.append(
            FaultEvent(
                fault=step.fault,
                kind=step.kind,
                target=step.target,
                event=event,  # type: ignore[arg-type]  # one of the names of FaultEvent
                t=round(self._clock.now, 6),
                planned=step.at_s,
                statement=effect.statement if effect else "",
                existing_connections=effect.existing_connections if effect else "",
                measured=dict(effect.measured) if effect else {},
            )
        )
