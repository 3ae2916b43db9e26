"""latency: every chunk leaves a while after it was read."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Chunk, Interrupted, Pipe, Place, Toxic, Until, integer

LARGEST_JITTER_MS = (1 << 62) - 1


@dataclass(frozen=True)
class Latency(Toxic):
    """Delay of ``latency`` +- ``jitter`` milliseconds, drawn for each chunk; chunks keep their order.

    The delay is a uniform integer of [latency - jitter, latency + jitter). It counts from the reading of the
    chunk, so that a stream is shifted in time and not slowed down.
    """

    GO_NAME: ClassVar[str] = "LatencyToxic"
    buffer_chunks: ClassVar[int] = 1024

    latency: int = integer()
    jitter: int = integer()

    def nonsense(self) -> str | None:
        if self.jitter > LARGEST_JITTER_MS:
            return f"jitter must be at most {LARGEST_JITTER_MS}, found {self.jitter}"
        return None

    def delay_s(self, dice: Random) -> float:
        """One draw of the delay, in seconds; negative when the attributes say so."""
        delay_ms = self.latency
        if self.jitter > 0:
            delay_ms += dice.randrange(self.jitter * 2) - self.jitter
        return delay_ms / 1000.0

    def pipe(self, place: Place) -> Pipe:
        while (chunk := (yield RECEIVE)) is not None:
            due = chunk.since + self.delay_s(place.dice)
            try:
                yield Until(due)
            except Interrupted:
                yield chunk
                raise
            yield Chunk(chunk.content, due)
