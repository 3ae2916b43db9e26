"""Each toxic by itself, its generator driven by hand: what it asks for, what it passes on, what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from time import monotonic

import pytest

from runtimes.toxiproxy.toxics import KINDS
from runtimes.toxiproxy.toxics.bandwidth import Bandwidth
from runtimes.toxiproxy.toxics.latency import Latency
from runtimes.toxiproxy.toxics.limit_data import LimitData
from runtimes.toxiproxy.toxics.noop import Noop
from runtimes.toxiproxy.toxics.pipe import Chunk, Interrupted, Pipe, Receive, Tally, TimedOut, Toxic, Until
from runtimes.toxiproxy.toxics.reset_peer import ResetPeer
from runtimes.toxiproxy.toxics.slicer import Slicer
from runtimes.toxiproxy.toxics.slow_close import SlowClose
from runtimes.toxiproxy.toxics.timeout import Timeout

BEGAN = 1000.0


class Spot:
    """A place in a link that exists in the test only."""

    def __init__(self) -> None:
        self.passed_bytes = 0
        self.dice = Random(1)
        self.talk: object = None
        self.spoilt = False
        self.tally = Tally()
        self.returned: list[Chunk] = []

    def answer(self) -> None:
        """No toxic of this file has something of its own to send."""

    def put_back(self, chunk: Chunk) -> None:
        self.returned.append(chunk)


def begin(toxic: Toxic, spot: Spot | None = None) -> Pipe:
    """The toxic's generator, waiting for its first chunk."""
    pipe = toxic.pipe(spot or Spot())
    assert isinstance(next(pipe), Receive)
    return pipe


def give(pipe: Pipe, content: bytes | None, since: float = BEGAN) -> Receive | Until | Chunk:
    """Hand a chunk (None: the end of the input) to the toxic; what it asks for then."""
    return pipe.send(None if content is None else Chunk(content, since))


def passed(asked: Receive | Until | Chunk) -> bytes:
    """The content of a chunk that the toxic passes on."""
    assert isinstance(asked, Chunk)
    return bytes(asked.content)


def interrupted(pipe: Pipe, *, removed: bool = False) -> list[bytes]:
    """What the toxic lets go of when it is interrupted."""
    held: list[bytes] = []
    try:
        asked = pipe.throw(Interrupted(removed=removed))
        while True:
            held.append(passed(asked))
            asked = next(pipe)
    except (Interrupted, StopIteration):
        return held


def test_noop_passes_chunks_on() -> None:
    """Every chunk leaves as it came, and the end of the input ends the output."""
    pipe = begin(Noop())
    assert passed(give(pipe, b"a")) == b"a"
    assert isinstance(next(pipe), Receive)
    with pytest.raises(StopIteration):
        give(pipe, None)


def test_latency_waits_from_the_reading_of_the_chunk() -> None:
    """The delay counts from when the chunk was read, and moves its time for the next toxic."""
    pipe = begin(Latency(latency=250))
    assert give(pipe, b"a") == Until(BEGAN + 0.25)
    chunk = next(pipe)
    assert isinstance(chunk, Chunk)
    assert chunk.since == BEGAN + 0.25


def test_latency_jitters_evenly_around_its_value() -> None:
    """Delays are integers from latency - jitter up to but not including latency + jitter."""
    dice = Random(1)
    delays = {round(Latency(latency=10, jitter=3).delay_s(dice) * 1000) for _ in range(500)}
    assert delays == {7, 8, 9, 10, 11, 12}


def test_an_interrupted_latency_lets_its_chunk_go() -> None:
    """The chunk that waits is passed on without its delay."""
    pipe = begin(Latency(latency=250))
    give(pipe, b"a")
    assert interrupted(pipe) == [b"a"]


def test_bandwidth_sends_in_slices_of_a_tenth_of_a_second() -> None:
    """At 10 KB/s a chunk of 2500 bytes leaves as 1000 bytes each 100 ms and the rest in its own time."""
    pipe = begin(Bandwidth(rate=10))
    now = monotonic()
    found = []
    asked = give(pipe, b"x" * 2500, now)
    while not isinstance(asked, Receive):
        assert isinstance(asked, Until)
        found.append((round(asked.due - now, 2), len(passed(next(pipe)))))
        asked = next(pipe)
    assert found == [(0.1, 1000), (0.2, 1000), (0.25, 500)]


def test_bandwidth_catches_up_after_a_late_wake_up() -> None:
    """The next chunk of a busy stream leaves on the schedule of the first, not on that of a late timer."""
    pipe = begin(Bandwidth(rate=1_000_000))
    first = give(pipe, b"x" * 1000, monotonic())
    assert isinstance(first, Until)
    passed(next(pipe))
    next(pipe)
    second = give(pipe, b"x" * 1000, monotonic())
    assert isinstance(second, Until)
    assert second.due == pytest.approx(first.due + 1e-6, abs=1e-9)


def test_no_bandwidth_holds_for_ever_until_it_is_interrupted() -> None:
    """A rate of 0 passes nothing; what it held leaves when the toxic changes."""
    pipe = begin(Bandwidth(rate=0))
    assert give(pipe, b"abc") == Until(float("inf"))
    assert interrupted(pipe) == [b"abc"]


def test_an_interrupted_bandwidth_lets_the_rest_go() -> None:
    """What is left of a chunk leaves whole."""
    pipe = begin(Bandwidth(rate=10))
    give(pipe, b"a" * 1000 + b"b" * 700, monotonic())
    assert passed(next(pipe)) == b"a" * 1000
    next(pipe)
    assert interrupted(pipe) == [b"b" * 700]


def test_slow_close_waits_at_the_end_only() -> None:
    """Data passes at once; the end waits."""
    pipe = begin(SlowClose(delay=500))
    assert passed(give(pipe, b"a")) == b"a"
    next(pipe)
    before = monotonic()
    asked = give(pipe, None)
    assert isinstance(asked, Until)
    assert 0.5 <= asked.due - before < 0.6
    with pytest.raises(StopIteration):
        next(pipe)


def test_timeout_drops_data_and_starts_its_time_anew() -> None:
    """Each chunk restarts the idle time, after which the stream ends."""
    pipe = Timeout(timeout=500).pipe(Spot())
    first = next(pipe)
    second = give(pipe, b"lost")
    assert isinstance(first, Receive)
    assert isinstance(second, Receive)
    assert first.deadline is not None
    assert second.deadline is not None
    assert first.deadline <= second.deadline
    with pytest.raises(StopIteration):
        pipe.throw(TimedOut())


def test_timeout_of_nothing_never_ends_by_itself() -> None:
    """Without a time there is no deadline, only the end of the input."""
    pipe = begin(Timeout(timeout=0))
    assert give(pipe, b"lost") == Receive(None)
    with pytest.raises(StopIteration):
        give(pipe, None)


def test_reset_peer_ends_the_stream_after_the_first_byte() -> None:
    """The first chunk starts the wait, after which the stream ends; the chunk is lost."""
    pipe = begin(ResetPeer(timeout=100))
    assert isinstance(give(pipe, b"a"), Until)
    with pytest.raises(StopIteration):
        next(pipe)


def test_an_interrupted_reset_peer_keeps_its_chunk() -> None:
    """An update puts the chunk back, so that the reset comes; a removal passes it on."""
    spot = Spot()
    pipe = begin(ResetPeer(timeout=100), spot)
    give(pipe, b"a")
    assert interrupted(pipe) == []
    assert [chunk.content for chunk in spot.returned] == [b"a"]
    pipe = begin(ResetPeer(timeout=100))
    give(pipe, b"b")
    assert interrupted(pipe, removed=True) == [b"b"]


def pieces(toxic: Slicer, content: bytes) -> Iterator[bytes]:
    """What the slicer makes of one chunk, its waits left out."""
    pipe = begin(toxic)
    asked = give(pipe, content)
    while not isinstance(asked, Receive):
        if isinstance(asked, Chunk):
            yield passed(asked)
        asked = next(pipe)


def test_slicer_halves_until_pieces_are_small() -> None:
    """Without variation the pieces are those of repeated halving, in order."""
    assert list(pieces(Slicer(average_size=2), b"abcdefg")) == [b"a", b"bc", b"de", b"fg"]


@pytest.mark.parametrize(("size", "variation"), [(1, 0), (10, 3), (10, 10), (10, 11), (100, 99), (0, 1)])
def test_slicer_loses_nothing(size: int, variation: int) -> None:
    """The pieces together are the chunk, and none is larger than size and variation allow."""
    content = Random(2).randbytes(3000)
    found = list(pieces(Slicer(average_size=size, size_variation=variation), content))
    assert b"".join(found) == content
    assert max(map(len, found)) <= size + variation


def test_an_interrupted_slicer_lets_the_rest_go() -> None:
    """What was not sliced yet leaves whole."""
    pipe = begin(Slicer(average_size=2, delay=1000))
    assert passed(give(pipe, b"abcdef")) == b"a"
    assert isinstance(next(pipe), Until)
    assert interrupted(pipe) == [b"bcdef"]


def test_limit_data_passes_exactly_its_bytes() -> None:
    """The byte at the limit is the last one, and the stream ends behind it."""
    spot = Spot()
    pipe = begin(LimitData(bytes=5), spot)
    assert passed(give(pipe, b"abc")) == b"abc"
    next(pipe)
    assert passed(give(pipe, b"defg")) == b"de"
    with pytest.raises(StopIteration):
        next(pipe)
    assert spot.passed_bytes == 5


def test_limit_data_remembers_across_an_update() -> None:
    """The count belongs to the connection: a lower limit ends the stream at the next byte."""
    spot = Spot()
    spot.passed_bytes = 6
    pipe = begin(LimitData(bytes=4), spot)
    with pytest.raises(StopIteration):
        give(pipe, b"a")


def test_only_a_removed_timeout_closes() -> None:
    """It dropped bytes, so its connections cannot go on; no other toxic's removal closes anything."""
    assert [kind for kind, toxic in KINDS.items() if toxic.closes_when_removed] == ["timeout"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_starts_with_attributes_of_nothing(kind: str) -> None:
    """All attributes default to 0, as the API shows them."""
    assert set(KINDS[kind]().attributes().values()) <= {0}
