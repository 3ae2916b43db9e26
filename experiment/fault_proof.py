"""One activation of a fault with the proof of its effect and of its end: the same on a live system and on the
twin.

    measure -> look -> inject -> measure until the effect is seen -> look again and again
            -> measure and look once more before the end -> heal -> measure until it is gone

A measurement is the harness's own probe: a control. A look reads back that the fault is in force as it was
set, and what the target's callers did meanwhile: the evidence. Time belongs to whoever drives it: a thread,
or a virtual clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

from experiment.controls import Controls, Effect, Fault, Look
from experiment.errors import CodeBlueError
from experiment.plan import Activation
from experiment.rows import FaultEvent, Row
from experiment.values import to_plain

MEASURE_AHEAD_S = 0.35  # the "before" measurement is taken this long before the injection
POLL_S = 0.1
GONE_WITHIN_S = 10.0  # after this a fault that still acts is reported as not healed
LOOK_EVERY_S = 0.5
LOOK_SHARE = 0.1  # of the time that looks may take: one that takes long comes less often
LOOK_AT_LEAST_EVERY_S = 1.5
MARGIN_S = 0.05  # the last measurement ends this long before the heal, which is never late because of it

Waits = Generator[float, None, None]  # yields the seconds since the run's zero until which to wait
Said = Literal[
    "inject", "active", "no_effect", "still_active", "faded", "heal", "healed", "not_healed", "failed"
]


class Abandoned(Exception):
    """Thrown in at a wait: the run ends early. What acts is healed at once, what is due is not injected."""


def look_at(fault: Fault, controls: Controls, target: str, name: str) -> Look:
    """One look. A target that cannot be looked at is not seen to be disturbed as planned."""
    try:
        return fault.look(controls, target, name)
    except CodeBlueError as error:
        return Look(f"it could not be read back: {error}")


class FaultProof:
    """`steps` is driven once, from a moment before `due_s` on. `zero` is a look at the target when the run
    began.

    Measurements after the effect was seen are made inside of `aside`: in the twin, looking then changes
    nothing of what comes after.
    """

    def __init__(
        self,
        activation: Activation,
        controls: Controls,
        now: Callable[[], float],
        record: Callable[[Row], None],
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
        zero: Look | None = None,
    ) -> None:
        self.activation = activation
        self._controls = controls
        self._aside = aside
        self._now = now
        self._record = record
        self._zero = zero or Look()
        self._start = Look()  # right before the injection
        self._looks = 0
        self.acting = False

    @property
    def due_s(self) -> float:
        return max(0.0, self.activation.start_s - MEASURE_AHEAD_S)

    def steps(self) -> Waits:
        try:
            yield self.due_s
            before = self._measure()
            yield self.activation.start_s
            yield from self._act(before)
        except Abandoned:
            return
        except Exception as error:  # noqa: BLE001 - whatever a control raises ends in the history
            self._event("failed", statement=f"{type(error).__name__}: {error}")
        finally:
            self.acting = False

    def _measure(self) -> object:
        return self.activation.fault.measure(self._controls, self.activation.target)

    def _act(self, before: object) -> Waits:
        acting = self.activation
        self._start = self._look()
        carried = self._start.carried_since(self._zero)
        self._event("inject", measured={"carried": carried}, parameters=to_plain(acting.fault))
        self.acting = True
        try:
            acting.fault.inject(self._controls, acting.target, acting.id)
            if (took_s := (yield from self._seen(before))) is not None:
                yield from self._lasting(before, took_s)
            yield acting.end_s
        except Abandoned:
            pass
        finally:
            yield from self._heal(before)

    def _seen(self, before: object) -> Generator[float, None, float | None]:
        """Measure until the effect is seen or the fault is over. Returns how long a measurement took; None
        without an effect."""
        effect: Effect | None = None
        end_s = self.activation.end_s
        while True:
            begun_s = self._now()
            try:
                effect = self.activation.fault.judge(before, self._measure())
                if effect.seen:
                    self._event("active", effect)
                    return self._now() - begun_s
                if self._now() >= end_s:
                    self._event("no_effect", effect)
                    return None
                yield min(end_s, self._now() + POLL_S)
            except Abandoned:
                self._event("no_effect", effect)
                raise

    def _lasting(self, before: object, took_s: float) -> Waits:
        """Look until shortly before the heal; then measure too, where there is time for it."""
        end_s = self.activation.end_s - MARGIN_S
        last_s = end_s - took_s
        measuring = self._now() < last_s
        due_s = self._now() + LOOK_EVERY_S
        while due_s < (last_s if measuring else end_s):
            yield due_s
            begun_s = self._now()
            self._lasts()
            took = self._now() - begun_s
            due_s = self._now() + min(LOOK_AT_LEAST_EVERY_S, max(LOOK_EVERY_S, took / LOOK_SHARE))
        effect = None
        if measuring:
            yield last_s
            with self._aside():
                effect = self.activation.fault.judge(before, self._measure())
        elif self._now() < end_s:
            yield end_s
        self._lasts(effect)

    def _look(self) -> Look:
        acting = self.activation
        return look_at(acting.fault, self._controls, acting.target, acting.id)

    def _lasts(self, probed: Effect | None = None) -> None:
        """One look while the fault acts, into the history: whether it is in force, and what it met so far.
        `probed` is the last measurement of the harness's own."""
        acting, look = self.activation, self._look()
        self._looks += 1
        if look.amiss:
            self._event("faded", Effect(False, look.amiss, {"looks": self._looks}))
            return
        met = acting.fault.met(acting.target, self._start, look)
        measured = {**(probed.measured if probed else {}), **met.measured, "looks": self._looks}
        if probed is not None and not probed.seen:
            self._event("faded", Effect(False, probed.statement, measured))
            return
        self._event("still_active", Effect(True, met.statement, measured))

    def _heal(self, before: object) -> Waits:
        acting = self.activation
        self._event("heal")
        acting.fault.heal(self._controls, acting.target, acting.id)
        deadline_s = self._now() + GONE_WITHIN_S
        while True:
            effect = acting.fault.gone(before, self._measure())
            if effect.seen or self._now() >= deadline_s:
                break
            yield self._now() + POLL_S
        self._event("healed" if effect.seen else "not_healed", effect)

    def _event(
        self,
        event: Said,
        effect: Effect | None = None,
        statement: str = "",
        measured: Mapping[str, object] | None = None,
        parameters: Mapping[str, object] | None = None,
    ) -> None:
        acting = self.activation
        ending = event in ("still_active", "faded", "heal", "healed", "not_healed")
        self._record(
            FaultEvent(
                fault=acting.id,
                kind=acting.fault.kind,
                target=acting.target,
                event=event,
                t=round(self._now(), 6),
                planned=acting.end_s if ending else acting.start_s,
                statement=effect.statement if effect else statement,
                existing_connections=effect.existing_connections if effect else "",
                measured=dict(effect.measured) if effect else dict(measured or {}),
                parameters=parameters,
            )
        )
