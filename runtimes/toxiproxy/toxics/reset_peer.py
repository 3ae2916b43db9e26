"""reset_peer: the first byte, or the end of the stream, resets the connection."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Ends, Interrupted, Pipe, Place, Toxic, Until, integer


@dataclass(frozen=True)
class ResetPeer(Toxic):
    """Closes with RST ``timeout`` milliseconds after the first byte.

    Only connections that start with the toxic in place are reset; on older ones the close is a plain FIN.
    """

    GO_NAME: ClassVar[str] = "ResetToxic"

    timeout: int = integer()

    def link_started(self, ends: Ends) -> None:
        ends.reset_on_close()

    def pipe(self, place: Place) -> Pipe:
        chunk = yield RECEIVE
        try:
            yield Until(monotonic() + self.timeout / 1000.0)
        except Interrupted as interrupted:
            if chunk is not None and interrupted.removed:
                yield chunk
            elif chunk is not None:
                place.put_back(chunk)
            raise
