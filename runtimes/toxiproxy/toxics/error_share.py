"""error_share: requests are answered with an error, and never reach the callee."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from runtimes.toxiproxy.toxics.lost_response import MILLION, nonsense_share
from runtimes.toxiproxy.toxics.on_http import PASSES, Fate, OnHttp
from runtimes.toxiproxy.toxics.pipe import integer


@dataclass(frozen=True)
class ErrorShare(OnHttp):
    """A share of the requests is read to its end and answered with `status` here."""

    GO_NAME: ClassVar[str] = "ErrorShareToxic"

    share_ppm: int = integer()
    status: int = integer()

    def nonsense(self) -> str | None:
        if self.status and not 400 <= self.status <= 599:
            return f"status must be from 400 to 599, found {self.status}"
        return nonsense_share(self.share_ppm)

    def fate(self, dice: Random) -> Fate:
        met = dice.random() * MILLION < self.share_ppm
        return Fate(answer_status=self.status or 503) if met else PASSES
