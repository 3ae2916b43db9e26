"""Driving the faults of a plan against real controls: on time, each with proof of its effect and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from experiment.controls import Controls, Effect
from experiment.history import FaultEvent, Row
from experiment.plan import Activation, Plan

MEASURE_AHEAD_S = 0.35  # the "before" measurement is taken this long before the injection
POLL_S = 0.1
GONE_WITHIN_S = 10.0  # after this a fault that still acts is reported as not healed


@dataclass(slots=True)
class _Driven:
    """One activation and how far it is."""

    activation: Activation
    injected: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class FaultTimeline:
    """One thread an activation, since a control call may block while another fault is due.

    `abandon` ends everything at once: what is injected is healed, what is due is not injected.
    """

    def __init__(self, plan: Plan, controls: Controls, zero: float, record: Callable[[Row], None]) -> None:
        self._controls = controls
        self._zero = zero
        self._record = record
        self._stop = threading.Event()
        self.activations = [_Driven(activation) for activation in plan.activations]
        self._threads = [
            threading.Thread(target=self._drive, args=(driven,), daemon=True, name=driven.activation.id)
            for driven in self.activations
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
        return [str(d.activation) for d in self.activations if d.injected and not d.done.is_set()]

    def _now(self) -> float:
        return time.monotonic() - self._zero

    def _wait_until(self, t: float) -> bool:
        """False when the run was abandoned while waiting."""
        return not self._stop.wait(max(0.0, t - self._now()))

    def _drive(self, driven: _Driven) -> None:
        acting = driven.activation
        try:
            if not self._wait_until(acting.start_s - MEASURE_AHEAD_S):
                return
            before = acting.fault.measure(self._controls, acting.target)
            if not self._wait_until(acting.start_s):
                return
            self._event(acting, "inject", self._now())
            driven.injected = True
            try:
                acting.fault.inject(self._controls, acting.target, acting.id)
                self._prove(acting, before)
                self._wait_until(acting.end_s)
            finally:
                self._heal(acting, before)
        except Exception as error:  # noqa: BLE001 - whatever a control raises ends in the history, not in a thread
            self._event(acting, "failed", self._now(), statement=f"{type(error).__name__}: {error}")
        finally:
            driven.done.set()

    def _prove(self, acting: Activation, before: object) -> None:
        effect: Effect | None = None
        while self._now() < acting.end_s and not self._stop.is_set():
            effect = acting.fault.judge(before, acting.fault.measure(self._controls, acting.target))
            if effect.seen:
                self._event(acting, "active", self._now(), effect)
                return
            self._stop.wait(POLL_S)
        self._event(acting, "no_effect", self._now(), effect)

    def _heal(self, acting: Activation, before: object) -> None:
        self._event(acting, "heal", self._now())
        acting.fault.heal(self._controls, acting.target, acting.id)
        deadline = time.monotonic() + GONE_WITHIN_S
        while True:
            effect = acting.fault.gone(before, acting.fault.measure(self._controls, acting.target))
            if effect.seen or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        self._event(acting, "healed" if effect.seen else "not_healed", self._now(), effect)

    def _event(
        self,
        acting: Activation,
        event: str,
        t: float,
        effect: Effect | None = None,
        statement: str = "",
    ) -> None:
        self._record(
            FaultEvent(
                fault=acting.id,
                kind=acting.fault.kind,
                target=acting.target,
                event=event,  # type: ignore[arg-type]
                t=round(t, 6),
                planned=acting.end_s if event in ("heal", "healed", "not_healed") else acting.start_s,
                statement=effect.statement if effect else statement,
                existing_connections=effect.existing_connections if effect else "",
                measured=dict(effect.measured) if effect else {},
            )
        )
