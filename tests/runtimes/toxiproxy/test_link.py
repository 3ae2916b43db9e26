"""A link by itself: chunks move through its stages, wait for room, and are never lost when toxics change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

import pytest

from runtimes.toxiproxy.chain import Direction, ToxicSettings
from runtimes.toxiproxy.link import BACKLOG_HIGH_BYTES, CHUNK_BYTES, STEPS_IN_A_TURN, Link
from runtimes.toxiproxy.timers import Timers
from runtimes.toxiproxy.toxics.bandwidth import Bandwidth
from runtimes.toxiproxy.toxics.latency import Latency
from runtimes.toxiproxy.toxics.limit_data import LimitData
from runtimes.toxiproxy.toxics.noop import Noop
from runtimes.toxiproxy.toxics.pipe import Bytes, Toxic
from runtimes.toxiproxy.toxics.slicer import Slicer
from runtimes.toxiproxy.toxics.timeout import Timeout

HOUR_MS = 3_600_000


class Reading:
    """A source that notes whether it is paused."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Written:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.ready = True
        self.contents: list[bytes] = []
        self.ended = False

    def write_now(self, content: Bytes) -> None:
        assert not self.ended
        self.contents.append(bytes(content))

    def end(self) -> None:
        self.ended = True

    @property
    def all(self) -> bytes:
        return b"".join(self.contents)


def settings(toxic: Toxic, name: str = "it", toxicity: float = 1.0) -> ToxicSettings:
    """A toxic of a downstream chain."""
    return ToxicSettings(name, "kind", "downstream", Direction.DOWNSTREAM, toxicity, toxic)


class Bench:
    """A link with its ends."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, timers: Timers, toxics: Sequence[ToxicSettings]
    ) -> None:
        self.source = Reading()
        self.sink = Written()
        self.loop = loop
        self.link = Link(self.source, self.sink, loop, timers, seed=(1,))
        self.link.start(toxics)

    def push(self, content: bytes) -> None:
        self.link.received_bytes += len(content)
        self.link.push(content)


@contextmanager
def bench(*toxics: ToxicSettings) -> Iterator[tuple[Bench, Callable[[float], None]]]:
    """A link on an event loop of its own, and a way to let it run for some seconds."""
    loop = asyncio.new_event_loop()
    timers = Timers(loop)
    try:
        yield Bench(loop, timers, toxics), lambda seconds: loop.run_until_complete(asyncio.sleep(seconds))
    finally:
        timers.close()
        loop.close()


def test_large_reads_are_seen_in_chunks_of_32_kilobytes() -> None:
    """A toxic never sees more than the original would show it."""
    with bench(settings(Noop())) as (on, _):
        on.push(b"x" * (2 * CHUNK_BYTES + 1))
        assert [len(content) for content in on.sink.contents] == [CHUNK_BYTES, CHUNK_BYTES, 1]


def test_a_full_sink_stops_the_source() -> None:
    """Reading stops when much waits before a sink that is not ready, and goes on when it is."""
    with bench(settings(Noop())) as (on, _):
        on.sink.ready = False
        on.push(b"x" * (BACKLOG_HIGH_BYTES + 4 * CHUNK_BYTES))
        assert (on.source.paused, on.sink.contents) == (True, [])
        on.sink.ready = True
        on.link.sink_ready()
        assert (on.source.paused, len(on.sink.contents)) == (False, BACKLOG_HIGH_BYTES // CHUNK_BYTES + 4)
        assert len(on.sink.all) == BACKLOG_HIGH_BYTES + 4 * CHUNK_BYTES


def test_the_end_comes_behind_the_data() -> None:
    """An ended source ends the sink only after every chunk was delivered."""
    with bench(settings(Latency(latency=20))) as (on, run):
        on.push(b"data")
        on.link.end()
        assert not on.sink.ended
        run(0.2)
        assert (on.sink.all, on.sink.ended) == (b"data", True)


def test_a_toxic_that_ends_the_stream_ends_the_sink() -> None:
    """What comes after the end of the stream is dropped."""
    with bench(settings(LimitData(bytes=3)), settings(Noop(), "after")) as (on, _):
        on.push(b"abcdef")
        on.push(b"ghi")
        assert (on.sink.all, on.sink.ended) == (b"abc", True)


def test_removing_a_toxic_delivers_what_it_holds_even_to_a_full_sink() -> None:
    """Whatever waits in a removed toxic is handed on at once, in order, before what comes later."""
    toxic = settings(Latency(latency=HOUR_MS))
    with bench(toxic) as (on, _):
        for number in range(5):
            on.push(b"%d" % number)
        on.sink.ready = False
        on.link.remove_toxic(toxic)
        assert on.sink.all == b"01234"
        assert not on.link.stages


def test_removing_one_of_two_toxics_hands_its_chunks_to_the_next() -> None:
    """Chunks move to the toxic behind, whose delay counts from when they were read."""
    first, second = settings(Latency(latency=HOUR_MS), "first"), settings(Latency(latency=20), "second")
    with bench(first, second) as (on, run):
        on.push(b"a")
        on.push(b"b")
        on.link.remove_toxic(first)
        run(0.2)
        assert on.sink.all == b"ab"


def test_removing_a_timeout_ends_the_stream() -> None:
    """Bytes were dropped, so the connection cannot go on."""
    toxic = settings(Timeout(timeout=0))
    with bench(toxic) as (on, _):
        on.push(b"lost")
        on.link.remove_toxic(toxic)
        assert (on.sink.all, on.sink.ended) == (b"", True)


def test_a_toxic_added_behind_one_that_ended_does_nothing() -> None:
    """The stream is over: nothing is restarted."""
    with bench(settings(LimitData(bytes=1))) as (on, _):
        on.push(b"ab")
        on.link.add_toxic(settings(Noop(), "late"))
        on.push(b"cd")
        assert (on.sink.all, len(on.link.stages)) == (b"a", 1)


def test_a_dead_link_forgets_everything() -> None:
    """When the sink is gone nothing is written and no timer fires."""
    toxic = settings(Latency(latency=10))
    with bench(toxic) as (on, run):
        on.push(b"data")
        on.link.kill()
        run(0.05)
        on.push(b"more")
        on.link.end()
        on.link.remove_toxic(toxic)
        assert (on.sink.contents, on.sink.ended) == ([], False)


def test_toxicity_is_drawn_anew_at_every_update() -> None:
    """An update and a change of the successor draw again whether the toxic acts on this connection."""
    toxic = settings(LimitData(bytes=1 << 40), toxicity=0.5)
    with bench(toxic) as (on, _):
        acted = []
        for _ in range(60):
            on.link.update_toxic(toxic)
            before = on.link.stages[0].passed_bytes
            on.push(b"x")
            acted.append(on.link.stages[0].passed_bytes > before)
        assert 10 < sum(acted) < 50


@pytest.mark.parametrize("toxics", [1, 7])
def test_many_small_slices_let_others_go_first(toxics: int) -> None:
    """One turn of the loop does a bounded number of steps for a link, however many toxics and pushes there
    are, and all is delivered in the end."""
    chain = [settings(Slicer(average_size=1), str(number)) for number in range(toxics)]
    with bench(*chain) as (on, _):
        for _ in range(4):
            on.push(b"x" * 5_000)
        written = [len(on.sink.contents)]
        while written[-1] < 20_000:
            on.loop.call_soon(on.loop.stop)
            on.loop.run_forever()
            written.append(len(on.sink.contents))
            assert len(written) < 100_000, "no more comes"
        assert max(after - before for before, after in zip([0, *written], written, strict=False)) <= (
            STEPS_IN_A_TURN
        )
        assert on.sink.all == b"x" * 20_000


def test_a_chain_of_a_thousand_toxics_works() -> None:
    """No recursion: the length of a chain is not limited by the stack."""
    with bench(*(settings(Noop(), str(n)) for n in range(1000))) as (on, run):
        on.push(b"through")
        on.link.end()
        run(0.3)
        assert (on.sink.all, on.sink.ended) == (b"through", True)


@pytest.mark.parametrize("seed", range(5))
def test_no_byte_is_lost_in_random_changes(seed: int) -> None:
    """Data pushed while toxics come, change and go arrives complete and in order at a sink that stalls."""
    dice = Random(seed)
    kinds: list[Callable[[], Toxic]] = [
        Noop,
        lambda: Latency(latency=dice.randrange(5), jitter=2),
        lambda: Bandwidth(rate=dice.randrange(100, 100_000)),
        lambda: Slicer(average_size=dice.randrange(1, 500), delay=dice.randrange(50)),
    ]
    sent = bytearray()
    there: list[ToxicSettings] = []
    with bench() as (on, run):
        for number in range(300):
            content = dice.randbytes(dice.randrange(1, 3000))
            sent += content
            if on.link.stages:
                on.push(content)
            else:
                on.sink.write_now(content)
            match dice.randrange(6):
                case 0 if len(there) < 5:
                    there.append(settings(dice.choice(kinds)(), str(number)))
                    on.link.add_toxic(there[-1])
                case 1 if there:
                    on.link.remove_toxic(there.pop(dice.randrange(len(there))))
                case 2 if there:
                    on.link.update_toxic(dice.choice(there))
                case 3:
                    on.sink.ready = not on.sink.ready
                    if on.sink.ready:
                        on.link.sink_ready()
                case 4:
                    run(0.001)
        on.sink.ready = True
        on.link.sink_ready()
        while there:
            on.link.remove_toxic(there.pop(0))
        run(0.05)
        assert on.sink.all == bytes(sent)
