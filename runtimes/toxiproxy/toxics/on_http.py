"""What toxics that know HTTP/1 requests share: each request is read as it passes, and its fate is decided.

A toxic has a stage in each direction. The one of the requests decides; that of the responses knows which
request each response answers, so that pipelined requests, HEAD, and interim responses such as 100 keep their
order. Upgraded connections and tunnels pass untouched, and so does all that is not HTTP/1. Of a connection
that was open before, requests are known from the first chunk on that begins with one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from runtimes.toxiproxy.messages import Head, Messages, Piece
from runtimes.toxiproxy.toxics.pipe import RECEIVE, Chunk, Interrupted, Pipe, Place, Toxic, Until

MOST_WAITING = 4096
OWN_CALLER = "harness"  # what probes of the harness say that they are: they are no traffic of a caller


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request; the default: it passes."""

    delay_s: float = 0.0
    loses_response: bool = False
    answer_status: int = 0
    """Answered with this, and never passed on; 0: passed on."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that has no answer yet. `closes`: with its answer from here the connection ends."""

    method: str
    fate: Fate
    closes: bool = False


@dataclass(slots=True)
class Talk:
    """What both stages of a toxic know of one connection."""

    requests: Messages
    responses: Messages = field(default_factory=lambda: Messages(responses=True, fresh=True))
    waiting: deque[Waiting] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    swallowed: Waiting | None = None  # the request whose body is being read and not passed on
    refusing: bool = False  # nothing more is passed on: the connection ends after the last answer
    losing: bool = False  # a response is being dropped

    def tunnel(self) -> None:
        """Another protocol is spoken from now on."""
        self.requests.stop()
        self.responses.stop()


PASSES = Fate()


class OnHttp(Toxic):
    """Base of the toxics of requests; its `fate` says what becomes of each."""

    both_ways = True

    def fate(self, dice: Random) -> Fate:
        """The fate of the next request."""
        raise NotImplementedError

    def talk(self, *, fresh: bool) -> Talk:
        return Talk(Messages(responses=False, fresh=fresh))

    def pipe(self, place: Place) -> Pipe:
        """Requests, on their way to the callee."""
        talk: Talk = place.talk
        since = 0.0
        try:
            while True:
                piece = talk.requests.next()
                if piece is None:
                    chunk = yield RECEIVE
                    if chunk is None:
                        break
                    talk.requests.feed(chunk.content)
                    since = chunk.since
                elif passes := self._request(place, talk, piece):
                    if (delay_s := passes.delay_s) > 0:
                        yield from _held(Chunk(piece.content, since), since + delay_s)
                    else:
                        yield Chunk(piece.content, since)
            if rest := talk.requests.rest():
                yield Chunk(rest, since)
        except Interrupted as end:
            if end.removed:
                place.spoilt = talk.swallowed is not None or talk.refusing
                if not place.spoilt and (rest := talk.requests.rest()):
                    yield Chunk(rest, since)
            raise

    def _request(self, place: Place, talk: Talk, piece: Piece) -> Fate | None:
        """The fate of a piece that passes; None of one that does not."""
        if talk.refusing:
            return None
        fate = PASSES
        if piece.head is not None:
            waiting = self._decide(place, piece.head)
            fate = waiting.fate
            if not fate.answer_status:
                talk.waiting.append(waiting)
            elif waiting.closes and piece.head.has("expect", "100-continue"):
                talk.refusing = True  # whether the body will come is not known
                self._answer(place, talk, waiting)
                return None
            else:
                talk.swallowed = waiting
        if talk.swallowed is not None:
            if piece.kind == "end":
                waiting, talk.swallowed = talk.swallowed, None
                talk.refusing = waiting.closes
                self._answer(place, talk, waiting)
            return None
        return fate if len(piece.content) else None

    def _decide(self, place: Place, head: Head) -> Waiting:
        upgrade = head.headers.get("upgrade", "").lower()
        untouched = head.what == "CONNECT" or (
            upgrade and upgrade != "h2c"
        )  # an offer that servers may ignore
        if untouched or head.headers.get("x-caller") == OWN_CALLER:
            return Waiting(head.what, PASSES)
        place.tally.requests += 1
        fate = self.fate(place.dice)
        place.tally.touched += fate.delay_s > 0
        expects = head.has("expect", "100-continue")
        return Waiting(head.what, fate, closes=expects or not head.keeps_open)

    @staticmethod
    def _answer(place: Place, talk: Talk, waiting: Waiting) -> None:
        place.tally.touched += 1
        talk.waiting.append(waiting)
        place.answer()

    def back(self, place: Place) -> Pipe:
        """Responses, on their way to the caller."""
        talk: Talk = place.talk
        since = 0.0
        try:
            while (chunk := (yield RECEIVE)) is not None:
                since = chunk.since
                talk.responses.feed(chunk.content)
                for content in self._responses(place, talk):
                    if content is None:
                        return
                    yield Chunk(content, since)
            if not talk.losing and (rest := talk.responses.rest()):
                yield Chunk(rest, since)
            place.tally.touched += talk.losing  # its body went on until the end of the connection
        except Interrupted as end:
            if end.removed:
                owed = any(one.fate.answer_status for one in talk.waiting)
                place.spoilt = talk.losing or owed
                if not place.spoilt and (rest := talk.responses.rest()):
                    yield Chunk(rest, since)
            raise

    def _responses(self, place: Place, talk: Talk) -> Iterator[bytes | memoryview | None]:
        """What goes to the caller of all that is there; None ends the connection."""
        while True:
            first = talk.waiting[0] if talk.waiting else None
            if first is not None and first.fate.answer_status and not talk.responses.within:
                talk.waiting.popleft()
                yield _answer_of(first)
                if first.closes:
                    yield None
                continue
            if first is None and not talk.responses.within:  # nobody asked: it is none of ours
                if rest := talk.responses.rest():
                    yield rest
                return
            piece = talk.responses.next(first.method if first is not None else "")
            if piece is None:
                return
            yield from self._response(place, talk, piece)

    @staticmethod
    def _response(place: Place, talk: Talk, piece: Piece) -> Iterator[bytes | memoryview | None]:
        if piece.head is not None:
            status, first = piece.head.what, talk.waiting[0]
            if status == "101" or (first.method == "CONNECT" and status[0] == "2"):
                talk.tunnel()
            elif status[0] != "1":
                talk.losing = first.fate.loses_response
            else:
                talk.responses.next()  # an interim response ends with its head; the answer is still to come
        elif piece.kind == "end":
            talk.waiting.popleft()
            if talk.losing:
                place.tally.touched += 1
                yield None
        if len(piece.content) and not talk.losing:
            yield piece.content


def _held(chunk: Chunk, due: float) -> Pipe:
    """Pass a chunk on at its time, or at once when the toxic is interrupted."""
    try:
        yield Until(due)
    except Interrupted:
        yield chunk
        raise
    yield Chunk(chunk.content, due)


def _answer_of(waiting: Waiting) -> bytes:
    """A whole response, without a body, so that it answers HEAD as well."""
    status = waiting.fate.answer_status
    connection = "close" if waiting.closes else "keep-alive"
    return f"HTTP/1.1 {status} Injected\r\nContent-Length: 0\r\nConnection: {connection}\r\n\r\n".encode()
