"""lost_response: requests are carried out, and their answers are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from runtimes.toxiproxy.toxics.on_http import PASSES, Fate, OnHttp
from runtimes.toxiproxy.toxics.pipe import integer

MILLION = 1_000_000


def nonsense_share(share_ppm: int) -> str | None:
    """What is wrong with a share in millionths, or None."""
    if not 0 <= share_ppm <= MILLION:
        return f"share_ppm must be from 0 to {MILLION}, found {share_ppm}"
    return None


@dataclass(frozen=True)
class LostResponse(OnHttp):
    """Of a share of the requests the whole answer is read and dropped; then the connection is closed."""

    GO_NAME: ClassVar[str] = "LostResponseToxic"

    share_ppm: int = integer()

    def nonsense(self) -> str | None:
        return nonsense_share(self.share_ppm)

    def fate(self, dice: Random) -> Fate:
        return Fate(loses_response=True) if dice.random() * MILLION < self.share_ppm else PASSES
