"""One activation of a fault with the proof of its effect and of its end: the same on a live system and on the
twin.

    measure -> look -> inject -> measure until the effect is seen, and once more before the end
                              -> look again and again, whatever is being measured
            -> heal -> measure until it is gone

A measurement is the harness's own probe: a control. It may take its time, such as that of an answer which a
black hole swallows, so it is made beside. A look reads back that the fault is in force as it was set, and
what the target's callers did meanwhile: the evidence. Time belongs to whoever drives it: a thread, or a
virtual clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

from experiment.controls import Controls, Effect, Fault, Look
from experiment.errors import CodeBlueError
from experiment.plan import Activation
from experiment.rows import FaultEvent, Row
from experiment.values import to_plain

MEASURE_AHEAD_S = 0.35  # the "before" measurement is taken this long before the injection, or earlier
POLL_S = 0.1
GONE_WITHIN_S = 10.0  # after this a fault that still acts is reported as not healed
LOOK_EVERY_S = 0.4  # so that what is away for half a second is seen
LOOK_REST_S = 0.1  # between the end of a look that took long and the next one
ANSWER_POLL_S = 0.02  # while a measurement is being made
MARGIN_S = 0.05  # the last look is this long before the heal, which is never late because of it

Waits = Generator[float, None, None]  # yields the seconds since the run's zero until which to wait
Said = Literal[
    "inject", "active", "no_effect", "still_active", "faded", "heal", "healed", "not_healed", "failed"
]


class Pending(Protocol):
    """A measurement that is being made."""

    def done(self) -> bool: ...
    def result(self) -> object: ...


Measure = Callable[[], object]
Begin = Callable[[Measure], Pending]  # begins a measurement and does not wait for it


def at_once(measure: Measure) -> Pending:
    """Where looking takes no time, such as in virtual time."""
    made: Future[object] = Future()
    try:
        made.set_result(measure())
    except Exception as error:  # noqa: BLE001  raised again where the result is wanted
        made.set_exception(error)
    return made


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
    began; `begin` makes a measurement beside the looks. From `ahead_s` before the injection on the target is
    measured until it is seen to work: one probe that a busy machine keeps from its answer would leave nothing
    to compare with.

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
        begin: Begin = at_once,
        ahead_s: float = MEASURE_AHEAD_S,
    ) -> None:
        self.activation = activation
        self._controls = controls
        self._aside = aside
        self._now = now
        self._record = record
        self._zero = zero or Look()
        self._begin = begin
        self._ahead_s = ahead_s
        self._start = Look()  # right before the injection
        self._looks = 0
        self._look_due_s = math.inf  # while the fault acts: when to look again
        self._seen = False
        self.acting = False

    @property
    def due_s(self) -> float:
        return max(0.0, self.activation.start_s - self._ahead_s)

    def steps(self) -> Waits:
        try:
            yield self.due_s
            before = yield from self._measured()
            start_s = self.activation.start_s
            while not self.activation.fault.ready(before) and self._now() < start_s - MARGIN_S:
                yield min(start_s, self._now() + POLL_S)
                before = yield from self._measured()
            yield start_s
            yield from self._act(before)
        except Abandoned:
            return
        except Exception as error:  # noqa: BLE001 - whatever a control raises ends in the history
            self._event("failed", statement=f"{type(error).__name__}: {error}")
        finally:
            self.acting = False

    def _measure(self) -> object:
        return self.activation.fault.measure(self._controls, self.activation.target)

    def _measure_aside(self) -> object:
        with self._aside():
            return self._measure()

    def _measured(self) -> Generator[float, None, object]:
        """What a measurement found; meanwhile the fault is looked at where it acts."""
        pending = self._begin(self._measure)
        while not pending.done():
            yield from self._until(self._now() + ANSWER_POLL_S)
        return pending.result()

    def _until(self, t: float) -> Waits:
        """Wait, and look whenever it is time for it."""
        while self._look_due_s < t:
            yield self._look_due_s
            began_s = self._now()
            self._lasts()
            self._look_due_s = max(began_s + LOOK_EVERY_S, self._now() + LOOK_REST_S)
        yield t

    def _act(self, before: object) -> Waits:
        acting = self.activation
        self._start = self._look()
        measured = self._start.carried_figures(self._zero)
        self._event("inject", measured=measured, parameters=to_plain(acting.fault))
        self.acting = True
        try:
            acting.fault.inject(self._controls, acting.target, acting.id)
            self._look_due_s = self._now() + LOOK_EVERY_S
            if (took_s := (yield from self._until_seen(before))) is not None:
                yield from self._lasting(before, took_s)
            yield acting.end_s
        except Abandoned:
            pass
        finally:
            self._look_due_s = math.inf
            yield from self._heal(before)

    def _until_seen(self, before: object) -> Generator[float, None, float | None]:
        """Measure until the effect is seen or the fault is over. Returns how long a measurement took; None
        without an effect."""
        effect: Effect | None = None
        end_s = self.activation.end_s
        while True:
            begun_s = self._now()
            try:
                effect = self.activation.fault.judge(before, (yield from self._measured()))
                if effect.seen:
                    self._event("active", effect)
                    self._seen = True
                    return self._now() - begun_s
                if self._now() >= end_s:
                    self._event("no_effect", effect)
                    return None
                yield from self._until(min(end_s, self._now() + POLL_S))
            except Abandoned:
                self._event("no_effect", effect)
                raise

    def _lasting(self, before: object, took_s: float) -> Waits:
        """Look until shortly before the heal; measure once more too, where there is time for it."""
        end_s = self.activation.end_s - MARGIN_S
        last_s = end_s - took_s
        pending: Pending | None = None
        if self._now() < last_s:
            yield from self._until(last_s)
            pending = self._begin(self._measure_aside)
            while not pending.done() and self._now() < end_s:
                yield from self._until(min(end_s, self._now() + ANSWER_POLL_S))
        if self._now() < end_s:
            yield from self._until(end_s)
        probed = pending is not None and pending.done()
        self._lasts(self.activation.fault.judge(before, pending.result()) if pending and probed else None)

    def _look(self) -> Look:
        acting = self.activation
        return look_at(acting.fault, self._controls, acting.target, acting.id)

    def _lasts(self, probed: Effect | None = None) -> None:
        """One look while the fault acts, into the history: whether it is in force, and what it met so far.
        `probed` is the last measurement of the harness's own. What is not in force before its effect was seen
        may be on its way."""
        acting, look = self.activation, self._look()
        if look.amiss and not self._seen:
            return
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
        self._event("heal", measured={"looks": self._looks})
        acting.fault.heal(self._controls, acting.target, acting.id)
        deadline_s = self._now() + GONE_WITHIN_S
        while True:
            effect = acting.fault.gone(before, (yield from self._measured()))
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
