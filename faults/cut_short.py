"""Cut short: a connection ends in the middle of what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Direction, Effect, LinkProbe, Reach
from experiment.controls import CutShort as Limit
from experiment.units import Size as Bytes
from faults.on_links import OnLink

BEYOND_BYTES = 1_000  # a probe carries so many more than get through
MOST_BYTES = 64_000
DEADLINE_S = 1.5


@dataclass(frozen=True, slots=True)
class CutShort(OnLink):
    """A connection is closed once it has carried `after` bytes: what comes behind them is lost."""

    kind: ClassVar[str] = "cut_short"
    requires: ClassVar[str] = "cut_short"
    fault_class: ClassVar[str] = "cut"

    after: Bytes
    """The bytes that a connection still carries."""
    direction: Direction = "to_callee"
    """The way on which they are counted."""

    def __post_init__(self) -> None:
        if self.after < 1 or self.after % 1 or self.after > MOST_BYTES:
            expected = f"a whole number of bytes up to {MOST_BYTES // 1000}KB"
            raise ValueError(f"a cut after {self.after:g} B; expected {expected}")

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Limit(int(self.after), self.direction))

    def measure(self, controls: Controls, target: str) -> LinkProbe:
        """1 KB more than get through, in both directions."""
        return controls.link(target).probe(DEADLINE_S, int(self.after) + BEYOND_BYTES)

    def judge(self, before: object, during: object) -> Effect:
        """A connection is made, carries bytes that were answered before, and is closed on the way."""
        assert isinstance(before, LinkProbe)
        assert isinstance(during, LinkProbe)
        fresh, older = during.fresh, during.existing
        seen = before.fresh.seconds is not None and fresh.connected and fresh.seconds is None
        seen = seen and fresh.error != ""
        statement = f"{during.payload_bytes} bytes {_told(before.fresh)} -> {_told(fresh)}"
        figures = self._figures(before, during)
        if before.existing.seconds is None:
            return Effect(seen, statement, figures, "unknown")
        return Effect(seen, statement, figures, "affected" if older.seconds is None else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """The bytes are answered again."""
        assert isinstance(before, LinkProbe)
        assert isinstance(after, LinkProbe)
        statement = f"{after.payload_bytes} bytes {_told(after.fresh)}"
        return Effect(after.fresh.seconds is not None, statement, self._figures(before, after))

    def _figures(self, before: LinkProbe, now: LinkProbe) -> dict[str, float | str | bool | None]:
        return {"before_s": before.fresh.seconds, "now_s": now.fresh.seconds, "error": now.fresh.error}


def _told(reach: Reach) -> str:
    return "answered" if reach.seconds is not None else reach.error or "not answered"
