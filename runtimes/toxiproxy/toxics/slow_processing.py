"""slow_processing: requests wait before they are passed on."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from runtimes.toxiproxy.toxics.on_http import Fate, OnHttp
from runtimes.toxiproxy.toxics.pipe import integer


@dataclass(frozen=True)
class SlowProcessing(OnHttp):
    """Each request waits `delay_us` +- `jitter_us` (uniform) microseconds from the moment that it came. Those
    behind it on the same connection wait with it, as they would for a slow callee."""

    GO_NAME: ClassVar[str] = "SlowProcessingToxic"

    delay_us: int = integer()
    jitter_us: int = integer()

    def nonsense(self) -> str | None:
        if not 0 <= self.jitter_us <= max(0, self.delay_us):
            return f"jitter_us must be from 0 to delay_us ({self.delay_us}), found {self.jitter_us}"
        return None

    def fate(self, dice: Random) -> Fate:
        delay = dice.uniform(self.delay_us - self.jitter_us, self.delay_us + self.jitter_us)
        return Fate(delay_s=delay / 1e6)
