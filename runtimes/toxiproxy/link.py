"""One direction of one connection: source -> stages -> sink, with backpressure to the source."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from random import Random
from time import monotonic
from typing import Protocol

from runtimes.toxiproxy.stage import Stage, ToxicSettings
from runtimes.toxiproxy.timers import Timers
from runtimes.toxiproxy.toxics.pipe import Bytes, Chunk

Loop = asyncio.AbstractEventLoop
Seed = tuple[int | str, ...]
CHUNK_BYTES = 32 * 1024
"""The largest chunk a toxic sees."""
BACKLOG_LOW_BYTES = 64 * 1024
BACKLOG_HIGH_BYTES = 256 * 1024
STEPS_IN_A_TURN = 256
"""After so many steps of its stages a link lets the other connections and the API go first."""
# Most links never have a toxic: they share these, which stay empty, until they need their own.
_NOTHING: deque[memoryview] = deque()
_NOBODY: deque[Stage] = deque()


class Source(Protocol):
    """Where a link reads."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Sink(Protocol):
    """Where a link writes. ``ready`` is False while its buffer is full; ``sink_ready`` is called after."""

    ready: bool

    def write_now(self, content: Bytes) -> None: ...
    def end(self) -> None: ...


class Link:
    """The chain of toxics of one direction of one connection. Nothing in here blocks or fails."""

    __slots__ = (
        "_awake",
        "_backlog",
        "_backlog_bytes",
        "_loop",
        "_paused",
        "_pumping",
        "_seed",
        "_sink_ended",
        "_staged_in",
        "_staged_out",
        "dead",
        "opposite",
        "received_bytes",
        "sink",
        "source",
        "source_ended",
        "stages",
        "timers",
    )

    def __init__(self, source: Source, sink: Sink, loop: Loop, timers: Timers, *, seed: Seed) -> None:
        self.source = source
        self.sink = sink
        self.timers = timers
        self.stages: list[Stage] = []
        self.dead = False
        self.opposite: Link | None = None
        """The other direction of the same connection."""
        self._loop = loop
        self._seed = seed
        self._backlog: deque[memoryview] = _NOTHING
        self._backlog_bytes = 0
        self.source_ended = False
        self._sink_ended = False
        self._paused = False
        self._awake: deque[Stage] = _NOBODY
        self._pumping = False
        self.received_bytes = 0
        self._staged_in = 0
        self._staged_out = 0

    @property
    def sent_bytes(self) -> int:
        """Bytes that reached the sink: what went by the stages, and what came out of them."""
        return self.received_bytes - self._staged_in + self._staged_out

    # -- the two ends ------------------------------

    def push(self, content: Bytes) -> None:
        """Bytes were read, and there are toxics; without any, the source writes to the sink itself."""
        view = memoryview(content)
        self._staged_in += len(view)
        if self.dead or self.source_ended:
            return
        self._backlog.extend(view[at : at + CHUNK_BYTES] for at in range(0, len(view), CHUNK_BYTES))
        self._backlog_bytes += len(view)
        self._feed()
        self._pump()

    def end(self) -> None:
        """The source has ended, or its connection is lost: what was read still goes its way."""
        if self.dead or self.source_ended:
            return
        self.source_ended = True
        if self.stages:
            self._feed()
            self._pump()
        else:
            self._end_sink()

    def kill(self) -> None:
        """The sink is gone: drop everything."""
        self.dead = True
        for stage in self.stages:
            stage.discard()
        self._backlog.clear()
        self._awake.clear()

    def sink_full(self) -> None:
        """The sink takes no more bytes for now."""
        if not self.dead and not self.stages:
            self._regulate()

    def sink_ready(self) -> None:
        """The sink takes bytes again."""
        if self.stages and not self.dead:
            self.wake(self.stages[-1])
            self._pump()
        elif not self.dead:
            self._regulate()

    # -- toxics come and go ------------------------------

    def start(self, chain: Sequence[ToxicSettings]) -> None:
        """Begin with the toxics of ``chain``."""
        added = [self._stage(settings) for settings in chain]
        self.stages += added
        for stage in added:
            self._pair(stage, fresh=True)
            stage.start()
        self._pump()

    def add_toxic(self, settings: ToxicSettings) -> None:
        """Put a toxic at the end of the chain. The toxic before it runs anew: its toxicity is drawn again."""
        if self.dead or self._sink_ended or (self.stages and self.stages[-1].finished):
            return
        stage = self._stage(settings)
        last = self.stages[-1] if self.stages else None
        if last is not None:
            last.interrupt(removed=False)
        self.stages.append(stage)
        self._pair(stage, fresh=False)
        stage.start()
        if last is not None:
            last.start()
        self._pump()

    def update_toxic(self, settings: ToxicSettings) -> None:
        """Run a toxic anew with its new settings."""
        stage = self._stage_of(settings)
        if stage is not None and stage.interrupt(removed=False):
            stage.start()
            self._pump()

    def remove_toxic(self, settings: ToxicSettings) -> None:
        """Take a toxic out. What it holds is delivered at once; the toxic before it runs anew."""
        stage = self._stage_of(settings)
        if stage is None:
            return
        if settings.toxic.both_ways and not stage.backward and self.opposite is not None:
            self.opposite.remove_toxic(settings)
        if not stage.interrupt(removed=True):
            return
        if settings.toxic.closes_when_removed or stage.spoilt:
            stage.finish()
            self._pump()
            return
        at = self.stages.index(stage)
        before = self.stages[at - 1] if at > 0 else None
        if before is not None:
            before.interrupt(removed=False)
        del self.stages[at]
        if stage.awake:
            self._awake.remove(stage)
        self._deliver(stage, at)
        if before is not None:
            before.start()
        elif not self.stages:
            self._flush_backlog()
        self._feed()
        self._pump()

    def _stage(self, settings: ToxicSettings, *, backward: bool = False) -> Stage:
        if self._backlog is _NOTHING:
            self._backlog, self._awake = deque(), deque()
        return Stage(self, settings, backward=backward)

    def _pair(self, stage: Stage, *, fresh: bool) -> None:
        """Give a toxic of both ways its stage in the other direction, before all stages that are there."""
        if not stage.settings.toxic.both_ways or self.opposite is None:
            return
        stage.talk = stage.settings.toxic.talk(fresh=fresh)
        self.opposite.add_backward(stage)

    def add_backward(self, forward: Stage) -> None:
        """Put the other half of a stage of the opposite direction at the begin of the chain."""
        if self.dead or self._sink_ended:
            return
        stage = self._stage(forward.settings, backward=True)
        stage.talk = forward.talk
        stage.input_ended = self.source_ended and not self._backlog
        self.stages.insert(0, stage)
        stage.start()
        self._feed()
        self._pump()

    def _stage_of(self, settings: ToxicSettings) -> Stage | None:
        return next((stage for stage in self.stages if stage.settings is settings), None)

    def _deliver(self, removed: Stage, at: int) -> None:
        """Move everything that ``removed`` held to what now stands in its place."""
        held = [*removed.outbox, *removed.inbox]
        if at < len(self.stages):
            after = self.stages[at]
            after.inbox.extend(held)
            after.input_ended = after.input_ended or removed.input_ended
            self.wake(after)
        else:
            self._write_out(chunk.content for chunk in held)
            if removed.input_ended:
                self._end_sink()

    def _write_out(self, contents: Iterable[Bytes]) -> None:
        for content in contents:
            self._staged_out += len(content)
            self.sink.write_now(content)

    def _flush_backlog(self) -> None:
        self._write_out(self._backlog)
        self._backlog.clear()
        self._backlog_bytes = 0
        if self.source_ended:
            self._end_sink()
        self._regulate()

    # -- what a stage needs, see ``Neighbours`` ------------------------------

    def offer(self, stage: Stage, chunk: Chunk) -> bool:
        if stage is self.stages[-1]:
            if not self.sink.ready:
                return False
            self._staged_out += len(chunk.content)
            self.sink.write_now(chunk.content)
            return True
        after = self.stages[self.stages.index(stage) + 1]
        if not after.has_room():
            return False
        after.inbox.append(chunk)
        self.wake(after)
        return True

    def end_after(self, stage: Stage) -> None:
        if stage is self.stages[-1]:
            self._end_sink()
            return
        after = self.stages[self.stages.index(stage) + 1]
        after.input_ended = True
        self.wake(after)

    def room_before(self, stage: Stage) -> None:
        if stage is self.stages[0]:
            self._feed()
        else:
            self.wake(self.stages[self.stages.index(stage) - 1])

    def wake(self, stage: Stage) -> None:
        if stage.awake or self.dead:
            return
        stage.awake = True
        self._awake.append(stage)

    def timer_fired(self, stage: Stage) -> None:
        self.wake(stage)
        self._pump()

    def dice_for(self, toxic_name: str) -> Random:
        return Random("/".join(map(str, (*self._seed, toxic_name))))

    def answer(self, settings: ToxicSettings) -> None:
        other = self.opposite
        stage = None if other is None else other._stage_of(settings)
        if other is not None and stage is not None and not other.dead:
            stage.inbox.append(Chunk(b"", monotonic()))
            other.wake(stage)
            other._pump()

    # -- the pump ------------------------------

    def _pump(self) -> None:
        """Advance every stage that can move, unless that is being done or comes in the next turn."""
        if not self._pumping:
            self._pumping = True
            self._turn()

    def _turn(self) -> None:
        """What one turn of the loop may do for this link. Stages wake each other; nothing recurses."""
        awake, steps = self._awake, STEPS_IN_A_TURN
        while awake and steps > 0:
            stage = awake.popleft()
            stage.awake = False
            steps -= stage.advance(steps)
        self._pumping = bool(awake)
        if awake:
            self._loop.call_soon(self._turn)

    def _feed(self) -> None:
        """Move what was read into the first stage as there is room; a chunk's clock starts there."""
        if self.stages:
            first = self.stages[0]
            while self._backlog and first.has_room():
                view = self._backlog.popleft()
                self._backlog_bytes -= len(view)
                first.inbox.append(Chunk(view, monotonic()))
                self.wake(first)
            if self.source_ended and not self._backlog and not first.input_ended:
                first.input_ended = True
                self.wake(first)
        self._regulate()

    def _regulate(self) -> None:
        """Stop reading when too much waits, go on when little does."""
        if self.source_ended:
            return
        if self.stages:
            full = self._backlog_bytes >= (BACKLOG_LOW_BYTES if self._paused else BACKLOG_HIGH_BYTES)
        else:
            full = not self.sink.ready
        if full != self._paused:
            self._paused = full
            (self.source.pause if full else self.source.resume)()

    def _end_sink(self) -> None:
        if not self._sink_ended:
            self._sink_ended = True
            self.sink.end()
