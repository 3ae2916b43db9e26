"""slicer: data leaves in small pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import ClassVar

from runtimes.toxiproxy.toxics.pipe import RECEIVE, Chunk, Interrupted, Pipe, Place, Toxic, Until, integer


@dataclass(frozen=True)
class Slicer(Toxic):
    """Pieces of ``average_size`` +- ``size_variation`` bytes, with ``delay`` microseconds after each.

    A chunk is halved, the middle moved by a random amount, until every piece is small enough. An
    ``average_size`` of 0 without variation, the default, cuts nothing.
    """

    GO_NAME: ClassVar[str] = "SlicerToxic"

    average_size: int = integer(go_type="int")
    size_variation: int = integer(go_type="int")
    delay: int = integer(go_type="int")

    def nonsense(self) -> str | None:
        largest = self.average_size + self.size_variation
        if largest < 1:
            return f"average_size + size_variation must be at least 1, found {largest}"
        if self.size_variation > self.average_size + 1:
            return f"size_variation must be at most average_size, found {self.size_variation}"
        return None

    def cuts(self, length: int, dice: Random) -> Iterator[tuple[int, int]]:
        """The pieces (start, end) of a chunk of ``length`` bytes, in order."""
        largest = self.average_size + self.size_variation
        if largest < 1:
            largest = length
        todo = [(0, length)]
        while todo:
            start, end = todo.pop()
            if end - start <= largest:
                yield start, end
                continue
            middle = start + (end - start) // 2
            if self.size_variation > 0:
                middle += dice.randrange(self.size_variation * 2) - self.size_variation
            todo.append((middle, end))
            todo.append((start, middle))

    def pipe(self, place: Place) -> Pipe:
        while (chunk := (yield RECEIVE)) is not None:
            whole = memoryview(chunk.content)
            sent = 0
            try:
                for start, end in self.cuts(len(whole), place.dice):
                    sent = end
                    yield Chunk(whole[start:end], chunk.since)
                    yield Until(monotonic() + self.delay / 1e6)
            except Interrupted:
                if sent < len(whole):
                    yield Chunk(whole[sent:], chunk.since)
                raise
