"""The small language in which a toxic is written: a generator that receives, waits and sends.

A toxic's ``pipe`` is a generator that yields what it wants next:

* ``RECEIVE`` or ``Receive(deadline)``: the next chunk of the stream, or None when the input has ended;
* ``Until(due)``: nothing before this instant;
* a ``Chunk``: pass it on; resumed when it was handed over.

Returning ends the stream behind the toxic, which closes the connection that the link writes to. The link that
drives the generator throws ``Interrupted`` into it when the toxic is updated, removed or gets a successor; a
toxic that holds data then yields it, so that no byte is lost. All instants are seconds of ``time.monotonic``.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any, ClassVar, Protocol

Bytes = bytes | memoryview


class Interrupted(Exception):
    """The toxic's run on this link is over: it is updated, removed, or its successor changed."""

    def __init__(self, *, removed: bool) -> None:
        super().__init__("removed" if removed else "restarted")
        self.removed = removed


class TimedOut(Exception):
    """The deadline of a ``Receive`` has passed."""


class Chunk:
    """Bytes that were read together, and the instant from which delays on them count."""

    __slots__ = ("content", "since")

    def __init__(self, content: Bytes, since: float) -> None:
        self.content = content
        self.since = since


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for the next chunk; ``TimedOut`` is thrown when ``deadline`` passes first."""

    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until the instant ``due``."""

    due: float


RECEIVE = Receive()

Pipe = Generator[Receive | Until | Chunk, Chunk | None, None]


@dataclass(slots=True)
class Tally:
    """What a toxic that knows requests has counted on all connections of its proxy."""

    requests: int = 0
    touched: int = 0


class Place(Protocol):
    """Where a toxic runs: its position in one link. What it keeps there outlives interruptions."""

    passed_bytes: int
    talk: Any
    """What a toxic of both directions has read of the connection."""
    spoilt: bool
    """A message was cut: when the toxic is removed, the connection cannot be used again."""

    @property
    def tally(self) -> Tally:
        """The counts of this toxic, of all its links."""
        ...

    def answer(self) -> None:
        """The stage of the same toxic in the opposite direction has something to send of its own."""
        ...

    @property
    def dice(self) -> Random:
        """The random source of this toxic on this link."""
        ...

    def put_back(self, chunk: Chunk) -> None:
        """Return ``chunk`` to the head of the input."""
        ...


class Ends(Protocol):
    """The two connections of a link, at the moment it starts."""

    def reset_on_close(self) -> None:
        """From now on closing either connection sends RST and discards what was not sent."""
        ...


def integer(*, go_type: str = "int64") -> int:
    """A toxic's attribute: a signed 64-bit integer, 0 unless given; ``go_type`` is its name in messages."""
    value: int = field(default=0, metadata={"go_type": go_type})
    return value


@dataclass(frozen=True)
class Toxic:
    """One kind of toxic with its attributes; the dataclass fields are its JSON attributes, in their order."""

    GO_NAME: ClassVar[str]
    buffer_chunks: ClassVar[int] = 1
    """How many chunks wait in front of it before its input blocks."""
    closes_when_removed: ClassVar[bool] = False
    both_ways: ClassVar[bool] = False
    """It runs in the opposite direction too, nested: nearer to the callee in one is nearer in the other."""

    def talk(self, *, fresh: bool) -> Any:
        """What its two stages on a connection share; `fresh`: no byte has passed yet."""
        return None

    def back(self, place: Place) -> Pipe:
        """As `pipe`, in the opposite direction, for a toxic of both ways."""
        raise NotImplementedError

    def pipe(self, place: Place) -> Pipe:
        """Run on one link until its input ends, it ends the stream, or it is interrupted."""
        raise NotImplementedError

    def link_started(self, ends: Ends) -> None:
        """A link starts with this toxic in its chain, whatever its toxicity."""

    def nonsense(self) -> str | None:
        """What is wrong with the attributes, or None. Said of values that no stream can be run with."""
        return None

    def attributes(self) -> dict[str, int]:
        """The attributes by their JSON names."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
