"""bandwidth: bytes leave no faster than a rate."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Chunk, Interrupted, Pipe, Place, Toxic, Until, integer

SLICE_S = 0.1
"""A chunk that takes longer than this leaves in slices of this length."""
GAP_S = 0.01
"""A pause in the input shorter than this is our own reading, not an idle sender."""
CATCH_UP_S = 0.1
"""How much of a delay of ours (a late wake-up, a slow reader behind us) is made up for by sending faster."""
FOREVER = float("inf")


@dataclass(frozen=True)
class Bandwidth(Toxic):
    """At most ``rate`` kilobytes (1000 bytes) a second on one connection and direction; 0 lets nothing pass.

    The rate is kept by a schedule of departures, not by pauses: a late timer does not lower it.
    """

    GO_NAME: ClassVar[str] = "BandwidthToxic"

    rate: int = integer()

    def nonsense(self) -> str | None:
        return f"rate must not be negative, found {self.rate}" if self.rate < 0 else None

    def pipe(self, place: Place) -> Pipe:
        free_at = 0.0
        while (chunk := (yield RECEIVE)) is not None:
            now = monotonic()
            start = free_at if now - free_at < GAP_S else max(chunk.since, free_at, now - CATCH_UP_S)
            rest = memoryview(chunk.content)
            try:
                if self.rate == 0:
                    yield Until(FOREVER)
                slice_bytes = int(self.rate * 1000 * SLICE_S)
                while len(rest) > slice_bytes:
                    start += SLICE_S
                    yield Until(start)
                    head, rest = rest[:slice_bytes], rest[slice_bytes:]
                    yield Chunk(head, chunk.since)
                free_at = start + len(rest) / (self.rate * 1000)
                yield Until(free_at)
            except Interrupted:
                yield Chunk(rest, chunk.since)
                raise
            yield Chunk(rest, chunk.since)
