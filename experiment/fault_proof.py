"""One activation of a fault with the proof of its effect and of its end: the same on a live system and on the
twin.

    measure -> inject -> measure until the effect is seen -> measure once more before the end -> heal
            -> measure until it is gone

Time belongs to whoever drives it: a thread, or a virtual clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

from experiment.controls import Controls, Effect
from experiment.plan import Activation
from experiment.rows import FaultEvent, Row

MEASURE_AHEAD_S = 0.35  # the "before" measurement is taken this long before the injection
POLL_S = 0.1
GONE_WITHIN_S = 10.0  # after this a fault that still acts is reported as not healed
MARGIN_S = 0.05  # the last measurement ends this long before the heal, which is never late because of it

Waits = Generator[float, None, None]  # yields the seconds since the run's zero until which to wait
Said = Literal[
    "inject", "active", "no_effect", "still_active", "faded", "heal", "healed", "not_healed", "failed"
]


class Abandoned(Exception):
    """Thrown in at a wait: the run ends early. What acts is healed at once, what is due is not injected."""


class FaultProof:
    """`steps` is driven once, from a moment before `due_s` on.

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
    ) -> None:
        self.activation = activation
        self._controls = controls
        self._aside = aside
        self._now = now
        self._record = record
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
        self._event("inject")
        self.acting = True
        try:
            acting.fault.inject(self._controls, acting.target, acting.id)
            if (took_s := (yield from self._seen(before))) is not None:
                yield from self._seen_again(before, took_s)
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

    def _seen_again(self, before: object, took_s: float) -> Waits:
        """What is true at the end, where there is time to measure it."""
        last_s = self.activation.end_s - took_s - MARGIN_S
        if self._now() >= last_s:
            return
        yield last_s
        with self._aside():
            effect = self.activation.fault.judge(before, self._measure())
        self._event("still_active" if effect.seen else "faded", effect)

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

    def _event(self, event: Said, effect: Effect | None = None, statement: str = "") -> None:
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
                measured=dict(effect.measured) if effect else {},
            )
        )
