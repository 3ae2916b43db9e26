"""Driving the faults of a plan against real controls: on time, each with proof of its effect and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from experiment.controls import Controls, Effect
from experiment.history import FaultEvent, Row
from experiment.plan import FaultStep, Plan

MEASURE_AHEAD_S = 0.35  # the "before" measurement is taken this long before the injection
POLL_S = 0.1
GONE_WITHIN_S = 10.0  # after this a fault that still acts is reported as not healed


@dataclass(slots=True)
class Activation:
    """One injection and its heal."""

    inject: FaultStep
    heal: FaultStep
    injected: bool = False
    done: threading.Event = field(default_factory=threading.Event)


def activations(plan: Plan) -> list[Activation]:
    heals = {step.fault: step for step in plan.steps if step.action == "heal"}
    return [Activation(step, heals[step.fault]) for step in plan.steps if step.action == "inject"]


class FaultTimeline:
    """One thread an activation, since a control call may block while another fault is due.

    `abandon` ends everything at once: what is injected is healed, what is due is not injected.
    """

    def __init__(self, plan: Plan, controls: Controls, zero: float, record: Callable[[Row], None]) -> None:
        self._controls = controls
        self._zero = zero
        self._record = record
        self._stop = threading.Event()
        self.activations = activations(plan)
        self._threads = [
            threading.Thread(
                target=self._drive, args=(activation,), daemon=True, name=activation.inject.fault
            )
            for activation in self.activations
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def abandon(self) -> None:
        self._stop.set()

    def join(self, deadline_s: float) -> bool:
        """Whether every activation has come to its end within the deadline."""
        until = time.monotonic() + deadline_s
        for thread in self._threads:
            if thread.ident is not None:  # a run that was interrupted early has not started them
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def active(self) -> list[str]:
        """What is injected now, for the progress line."""
        return [
            f"{a.inject.kind} on {a.inject.target}"
            for a in self.activations
            if a.injected and not a.done.is_set()
        ]

    def _now(self) -> float:
        return time.monotonic() - self._zero

    def _wait_until(self, t: float) -> bool:
        """False when the run was abandoned while waiting."""
        return not self._stop.wait(max(0.0, t - self._now()))

    def _drive(self, activation: Activation) -> None:
        step = activation.inject
        try:
            if not self._wait_until(step.at_s - MEASURE_AHEAD_S):
                return
            before = step.effect.measure(self._controls, step.target)
            if not self._wait_until(step.at_s):
                return
            self._event(step, "inject", self._now())
            activation.injected = True
            try:
                step.effect.inject(self._controls, step.target, step.fault)
                self._prove(activation, before)
                self._wait_until(activation.heal.at_s)
            finally:
                self._heal(activation, before)
        except Exception as error:  # noqa: BLE001 - whatever a control raises ends in the history, not in a thread
            self._event(step, "failed", self._now(), statement=f"{type(error).__name__}: {error}")
        finally:
            activation.done.set()

    def _prove(self, activation: Activation, before: object) -> None:
        step = activation.inject
        effect: Effect | None = None
        while self._now() < activation.heal.at_s and not self._stop.is_set():
            effect = step.effect.effect(before, step.effect.measure(self._controls, step.target))
            if effect.seen:
                self._event(step, "active", self._now(), effect)
                return
            self._stop.wait(POLL_S)
        self._event(step, "no_effect", self._now(), effect)

    def _heal(self, activation: Activation, before: object) -> None:
        step = activation.heal
        self._event(step, "heal", self._now())
        step.effect.heal(self._controls, step.target, step.fault)
        deadline = time.monotonic() + GONE_WITHIN_S
        while True:
            effect = step.effect.gone(before, step.effect.measure(self._controls, step.target))
            if effect.seen or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        self._event(step, "healed" if effect.seen else "not_healed", self._now(), effect)

    def _event(
        self,
        step: FaultStep,
        event: str,
        t: float,
        effect: Effect | None = None,
        statement: str = "",
    ) -> None:
        self._record(
            FaultEvent(
                fault=step.fault,
                kind=step.kind,
                target=step.target,
                event=event,  # type: ignore[arg-type]
                t=round(t, 6),
                planned=step.at_s,
                statement=effect.statement if effect else statement,
                existing_connections=effect.existing_connections if effect else "",
                measured=dict(effect.measured) if effect else {},
            )
        )
