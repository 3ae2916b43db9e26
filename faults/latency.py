"""Latency: everything on a link takes longer."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from experiment.controls import Controls, Delay, Direction, Effect, Look
from experiment.units import Duration, format_duration, noun
from faults.link_measures import RoundTrips, figures, measure_link, shown, touch, typical
from faults.on_links import OnLink, traffic_between

LONGEST_PROBE_S = 1.0
NOISE_S = 0.05


@dataclass(frozen=True, slots=True)
class Latency(OnLink):
    """A round trip takes `delay` longer, give or take `jitter`.

    With the direction `both` half of it is added on each way; with `to_callee` or `to_caller` all of it on
    that way: requests arrive late, or answers and events do.
    """

    kind: ClassVar[str] = "latency"
    requires: ClassVar[str] = "delay"
    fault_class: ClassVar[str] = "slow"

    delay: Duration
    """How much longer a round trip takes."""
    jitter: Duration = 0.0
    """How much the delay varies, up and down."""
    direction: Direction = "both"
    """The way on which it is added; `both` adds half of it on each."""

    def __post_init__(self) -> None:
        if self.delay < 0.001:
            raise ValueError(f"a delay of {format_duration(self.delay)}; expected at least 1ms")
        if self.jitter > self.delay:
            raise ValueError(
                f"a jitter of {format_duration(self.jitter)} around {format_duration(self.delay)}; "
                "expected a jitter that is not longer than the delay"
            )

    @property
    def rounds(self) -> int:
        """More round trips while they are short: their median is what is judged."""
        return 5 if self.delay <= 0.1 else 3 if self.delay <= 0.25 else 1

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        share = 0.5 if self.direction == "both" else 1.0
        controls.link(target).impair(fault, Delay(self.delay * share, self.jitter * share, self.direction))

    def measure(self, controls: Controls, target: str) -> RoundTrips:
        """Round trips as long as they may take, but never longer than a second."""
        deadline_s = min(LONGEST_PROBE_S, self.delay + self.jitter + 0.25)
        return measure_link(controls, target, deadline_s, self.rounds)

    def judge(self, before: object, during: object) -> Effect:
        """The median round trip grew by at least what the jitter leaves sure (20% of the delay at the very
        least).

        A delay longer than a probe waits is seen as silence: how long it really is, is then not measured.
        """
        assert isinstance(before, RoundTrips)
        assert isinstance(during, RoundTrips)
        base = typical(before.fresh)
        floor = min(self.least_s, 0.8 * LONGEST_PROBE_S)
        fresh = _added(base, typical(during.fresh), during)
        existing = _added(typical(before.existing), typical(during.existing), during)
        reached = bool(during.fresh) and during.fresh[-1].connected
        statement = f"round trip {shown(before.fresh, before.deadline_s)} -> {_told(during)}"
        touched = touch(before, None if existing is None else existing >= floor)
        seen = reached and fresh is not None and fresh >= floor
        measured = {**figures(before, during), "asked_s": self.delay, "added_s": fresh}
        return Effect(seen, statement, measured, touched)

    def met(self, target: str, start: Look, now: Look) -> Effect:
        """Beside the bytes: how much longer the caller's own exchanges took, of those that were seen."""
        effect = OnLink.met(self, target, start, now)
        during = traffic_between(start, now)
        if not effect.seen:
            return effect
        usual = during.usual_s or 0.0
        slower = [one for one in during.took if one - usual >= self.least_s]
        measured = {**effect.measured, "before_exchange_s": during.usual_s, "slower": len(slower)}
        told = effect.statement
        if during.answered:
            added_ms = (median(during.took) - usual) * 1e3
            told += f"; {len(slower)} of {noun(during.answered, 'exchange')} that were seen took longer"
            told += f", median {added_ms:+.0f} ms"
        elif during.waiting:
            told += f"; no answer was seen, a question waits for {max(during.waiting) * 1e3:.0f} ms"
        return Effect(True, told, measured)

    @property
    def least_s(self) -> float:
        """What a round trip surely takes longer: what the jitter leaves, 20% of the delay at the least."""
        return max(0.8 * (self.delay - self.jitter), 0.2 * self.delay)

    def gone(self, before: object, after: object) -> Effect:
        """The round trip is again less than half the delay (or 50 ms) above what it was before."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        base, now = typical(before.fresh), typical(after.fresh)
        limit = (base or 0.0) + max(0.5 * self.delay, 0.002 if self.delay < NOISE_S else NOISE_S)
        statement = f"round trip {shown(after.fresh, after.deadline_s)}"
        return Effect(now is not None and now <= limit, statement, figures(before, after))


def _added(base: float | None, now: float | None, trips: RoundTrips) -> float | None:
    """Seconds added to a round trip; at least the deadline when the link was silent for so long."""
    if base is None:
        return None
    return (now if now is not None else trips.deadline_s) - base


def _told(trips: RoundTrips) -> str:
    if typical(trips.fresh) is None and trips.fresh and trips.fresh[-1].connected:
        return f"more than {trips.deadline_s * 1e3:.0f} ms"
    return shown(trips.fresh, trips.deadline_s)
