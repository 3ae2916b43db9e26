"""slow_close: the end of the stream arrives later."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Pipe, Place, Toxic, Until, integer


@dataclass(frozen=True)
class SlowClose(Toxic):
    """Data passes at once; the close is held back for ``delay`` milliseconds."""

    GO_NAME: ClassVar[str] = "SlowCloseToxic"

    delay: int = integer()

    def pipe(self, place: Place) -> Pipe:
        while (chunk := (yield RECEIVE)) is not None:
            yield chunk
        yield Until(monotonic() + self.delay / 1000.0)
