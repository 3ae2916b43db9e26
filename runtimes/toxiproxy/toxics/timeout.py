"""timeout: nothing passes, and an idle connection is closed after a while."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Pipe, Place, Receive, TimedOut, Toxic, integer


@dataclass(frozen=True)
class Timeout(Toxic):
    """Drops all data. Closes when nothing came for ``timeout`` milliseconds; 0 or less never closes.

    Bytes were lost, so the connection cannot be used again: removing the toxic closes it.
    """

    GO_NAME: ClassVar[str] = "TimeoutToxic"
    closes_when_removed: ClassVar[bool] = True

    timeout: int = integer()

    def pipe(self, place: Place) -> Pipe:
        while True:
            wanted = Receive(monotonic() + self.timeout / 1000.0) if self.timeout > 0 else RECEIVE
            try:
                if (yield wanted) is None:
                    return
            except TimedOut:
                return
