"""Bandwidth: a link carries fewer bytes a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from experiment.controls import Controls, Direction, Effect, LinkProbe, Reach, Throttle
from experiment.units import Bandwidth as BytesPerSecond
from faults.on_links import OnLink

PROBE_S = 0.25  # a probe carries what the link takes this long for
LEAST_BYTES, MOST_BYTES = 1_000, 256_000
DEADLINE_S = 1.5
ABOVE = 1.5  # a measured rate up to this multiple of the one asked for counts as limited


@dataclass(frozen=True, slots=True)
class Bandwidth(OnLink):
    """Each connection carries at most `rate` in each direction named."""

    kind: ClassVar[str] = "bandwidth"
    requires: ClassVar[str] = "throttle"
    fault_class: ClassVar[str] = "slow"

    rate: BytesPerSecond
    """The most bytes a second on each connection."""
    direction: Direction = "both"
    """The way that is narrow."""

    def __post_init__(self) -> None:
        if self.rate < 1000 or self.rate % 1000:
            raise ValueError(f"a rate of {self.rate:g} B/s; expected a whole number of KB/s, 1KB/s or more")

    @property
    def probe_bytes(self) -> int:
        return round(min(MOST_BYTES, max(LEAST_BYTES, self.rate * PROBE_S)))

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Throttle(self.rate, self.direction))

    def measure(self, controls: Controls, target: str) -> LinkProbe:
        """A quarter of a second's worth of bytes in both directions; 1 KB at least, 256 KB at most."""
        return controls.link(target).probe(DEADLINE_S, self.probe_bytes)

    def judge(self, before: object, during: object) -> Effect:
        """The bytes went at not much more than the rate, and at less than 80% of the rate before the
        fault."""
        assert isinstance(before, LinkProbe)
        assert isinstance(during, LinkProbe)
        base, now = self._rate(before, before.fresh), self._rate(during, during.fresh)
        seen = during.fresh.connected and base is not None and self._limited(base, now)
        touched: Literal["affected", "not affected", "unknown"] = "unknown"
        older = self._rate(before, before.existing)
        if older is not None:
            limited = self._limited(older, self._rate(during, during.existing))
            touched = "affected" if limited else "not affected"
        statement = f"{during.payload_bytes} bytes there and back at {_told(base)} -> {_told(now)}"
        return Effect(seen, statement, self._figures(base, now), touched)

    def gone(self, before: object, after: object) -> Effect:
        """The rate is back above what the fault allowed, or near what it was before."""
        assert isinstance(before, LinkProbe)
        assert isinstance(after, LinkProbe)
        base, now = self._rate(before, before.fresh), self._rate(after, after.fresh)
        back = now is not None and base is not None and (now > ABOVE * self.rate or now > 0.5 * base)
        return Effect(
            back, f"{after.payload_bytes} bytes there and back at {_told(now)}", self._figures(base, now)
        )

    def _limited(self, base: float, now: float | None) -> bool:
        return now is None or (now <= ABOVE * self.rate and now < 0.8 * base)

    def _rate(self, probe: LinkProbe, reach: Reach) -> float | None:
        """Bytes per second; None when they did not all arrive within the deadline.

        The answer follows the question, so where both directions are limited their times add up.
        """
        if not reach.seconds:
            return None
        ways = 2 if self.direction == "both" else 1
        return ways * probe.payload_bytes / reach.seconds

    def _figures(self, base: float | None, now: float | None) -> dict[str, float | str | bool | None]:
        return {"before_bytes_per_s": base, "now_bytes_per_s": now, "asked_bytes_per_s": self.rate}


def _told(rate: float | None) -> str:
    return f"less than they need in {DEADLINE_S:g} s" if rate is None else f"{rate / 1000:.0f} KB/s"
