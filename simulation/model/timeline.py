"""Driving the faults of a plan in virtual time: each with the proof of its effect and of its end."""

from __future__ import annotations

from experiment.controls import Effect
from experiment.plan import Activation
from experiment.rows import FaultEvent, Row
from simulation.model.controls import SimulatedControls
from simulation.model.world import World

MEASURE_AHEAD_S = 0.35  # the "before" measurement is taken this long before the injection
POLL_S = 0.1
GONE_WITHIN_S = 10.0  # after this a fault that still acts is reported as not healed


class DrivenActivation:
    """One injection and its heal, with the proof of both."""

    def __init__(
        self, world: World, controls: SimulatedControls, acting: Activation, rows: list[Row]
    ) -> None:
        self._clock = world.clock
        self._controls = controls
        self._rows = rows
        self._activation = acting
        self._before: object = None
        self._healed_by = 0.0
        self._clock.call_at(max(0.0, acting.start_s - MEASURE_AHEAD_S), self._measure)
        self._clock.call_at(acting.start_s, self._inject)
        self._clock.call_at(acting.end_s, self._end)
        self._proven = False
        self._acting = False

    def abandon(self) -> None:
        """The run ends early: what acts is healed now."""
        if self._acting:
            self._end()

    def _measure(self) -> None:
        self._before = self._activation.fault.measure(self._controls, self._activation.target)

    def _inject(self) -> None:
        acting = self._activation
        self._acting = True
        self._event("inject")
        acting.fault.inject(self._controls, acting.target, acting.id)
        self._prove()

    def _prove(self) -> None:
        acting = self._activation
        if self._clock.now >= self._activation.end_s:
            return
        effect = acting.fault.judge(self._before, acting.fault.measure(self._controls, acting.target))
        if effect.seen:
            self._proven = True
            self._event("active", effect)
        else:
            self._clock.call_after(POLL_S, self._prove)

    def _end(self) -> None:
        acting = self._activation
        self._acting = False
        if not self._proven:
            effect = acting.fault.judge(self._before, acting.fault.measure(self._controls, acting.target))
            self._event("active" if effect.seen else "no_effect", effect)
        self._event("heal")
        acting.fault.heal(self._controls, acting.target, acting.id)
        self._healed_by = self._clock.now + GONE_WITHIN_S
        self._check_gone()

    def _check_gone(self) -> None:
        acting = self._activation
        effect = acting.fault.gone(self._before, acting.fault.measure(self._controls, acting.target))
        if effect.seen or self._clock.now >= self._healed_by:
            self._event("healed" if effect.seen else "not_healed", effect)
        else:
            self._clock.call_after(POLL_S, self._check_gone)

    def _event(self, event: str, effect: Effect | None = None) -> None:
        acting = self._activation
        self._rows.append(
            FaultEvent(
                fault=acting.id,
                kind=acting.fault.kind,
                target=acting.target,
                event=event,  # type: ignore[arg-type]  # one of the names of FaultEvent
                t=round(self._clock.now, 6),
                planned=acting.end_s if event in ("heal", "healed", "not_healed") else acting.start_s,
                statement=effect.statement if effect else "",
                existing_connections=effect.existing_connections if effect else "",
                measured=dict(effect.measured) if effect else {},
            )
        )
