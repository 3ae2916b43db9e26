"""limit_data: the connection closes after a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Chunk, Pipe, Place, Toxic, integer


@dataclass(frozen=True)
class LimitData(Toxic):
    """Passes ``bytes`` bytes of a connection, then closes it. The count outlives an update of the toxic."""

    GO_NAME: ClassVar[str] = "LimitDataToxic"

    bytes: int = integer()

    def pipe(self, place: Place) -> Pipe:
        while (chunk := (yield RECEIVE)) is not None:
            allowed = max(0, self.bytes - place.passed_bytes)
            content = chunk.content[:allowed]
            place.passed_bytes += len(content)
            if len(content):
                yield Chunk(content, chunk.since)
            if place.passed_bytes >= self.bytes:
                return
