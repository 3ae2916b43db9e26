"""Splitting: bytes come in small pieces, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Direction, Effect, LinkProbe, Reach, Split
from experiment.units import Duration, format_duration
from experiment.units import Size as Bytes
from faults.link_measures import Existing
from faults.on_links import OnLink

PROBE_S = 0.25  # a probe carries what takes this long in pieces
LEAST_BYTES, MOST_BYTES = 200, 64_000
DEADLINE_S = 2.5
AT_LEAST = 0.5  # of the pauses that there must be: what is sent at once may be cut in fewer pieces


@dataclass(frozen=True, slots=True)
class Splitting(OnLink):
    """What is sent at once leaves in pieces of `size` bytes at most, `pause` apart."""

    kind: ClassVar[str] = "splitting"
    requires: ClassVar[str] = "split"
    fault_class: ClassVar[str] = "slow"

    size: Bytes
    """The most bytes in one piece."""
    pause: Duration
    """The time from one piece to the next."""
    direction: Direction = "to_callee"
    """The way on which bytes are split."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 1:
            raise ValueError(f"pieces of {self.size:g} B; expected a whole number of bytes, 1B or more")
        if self.pause <= 0:
            raise ValueError("no pause between pieces; expected one, such as 20ms")

    @property
    def probe_bytes(self) -> int:
        return round(min(MOST_BYTES, max(LEAST_BYTES, self.size * PROBE_S / self.pause)))

    @property
    def _owed_s(self) -> float:
        """What the pauses of a probe come to at least, in the directions named."""
        ways = 2 if self.direction == "both" else 1
        return AT_LEAST * ways * self.pause * self.probe_bytes / self.size

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Split(int(self.size), self.pause, self.direction))

    def measure(self, controls: Controls, target: str) -> LinkProbe:
        """As many bytes as take a quarter of a second in pieces; 200 B at least, 64 KB at most."""
        return controls.link(target).probe(DEADLINE_S + 2 * self._owed_s, self.probe_bytes)

    def judge(self, before: object, during: object) -> Effect:
        """The same bytes took longer by the pauses between their pieces."""
        assert isinstance(before, LinkProbe)
        assert isinstance(during, LinkProbe)
        seen = during.fresh.connected and self._slower(before.fresh, during.fresh)
        touched: Existing = "unknown"
        if before.existing.seconds is not None:
            touched = "affected" if self._slower(before.existing, during.existing) else "not affected"
        statement = f"{during.payload_bytes} bytes in {_told(before.fresh)} -> {_told(during.fresh)}"
        return Effect(seen, statement, self._figures(before, during), touched)

    def gone(self, before: object, after: object) -> Effect:
        """The bytes no longer take the time of the pauses."""
        assert isinstance(before, LinkProbe)
        assert isinstance(after, LinkProbe)
        back = after.fresh.seconds is not None and not self._slower(before.fresh, after.fresh)
        statement = f"{after.payload_bytes} bytes in {_told(after.fresh)}"
        return Effect(back, statement, self._figures(before, after))

    def _slower(self, before: Reach, now: Reach) -> bool:
        if before.seconds is None or now.error:
            return False
        return now.seconds is None or now.seconds - before.seconds >= self._owed_s

    def _figures(self, before: LinkProbe, now: LinkProbe) -> dict[str, float | str | bool | None]:
        return {"before_s": before.fresh.seconds, "now_s": now.fresh.seconds, "owed_s": self._owed_s}


def _told(reach: Reach) -> str:
    return "no time seen" if reach.seconds is None else format_duration(reach.seconds)
