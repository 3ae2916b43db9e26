"""What a link needs of the connections it reads from and writes to."""

from __future__ import annotations

from typing import Protocol

from runtimes.toxiproxy.toxics.pipe import Bytes


class Source(Protocol):
    """Where a link reads."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Sink(Protocol):
    """Where a link writes. ``ready`` is False while its buffer is full; ``sink_ready`` is called after."""

    ready: bool

    def write_now(self, content: Bytes) -> None: ...
    def end(self) -> None: ...
