"""Round trips in the protocols of links: whole answers, counted, none taken for that of a later question."""

from __future__ import annotations

import threading
import time

import pytest

from experiment.services import CONTRACT, NO_ENDPOINTS, Endpoints
from runtimes.links.conversations import QUESTIONS, Broken, HttpPaths, NoAnswer, NotAsked, Opener, http_paths
from runtimes.loopback import HOST, free_port
from runtimes.runtime import Address
from tests.runtimes.scripted_server import Line, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
READY = b"Z\0\0\0\5I"


def test_an_answer_in_pieces_is_waited_for() -> None:
    """The round trip ends with the last byte of the body, not with the first of the head."""
    rest = threading.Event()

    def script(line: Line) -> None:
        while line.until(b"\r\n\r\n"):
            line.say(OK[:-1])
            rest.wait(10)
            line.say(OK[-1:])

    with scripted(script) as address:
        conversation = Opener("http", address).open(5)
        with pytest.raises(NoAnswer):
            conversation.exchange(0.1)
        rest.set()
        assert conversation.exchange(5) > 0
        conversation.close()


def test_a_late_answer_is_not_taken_for_that_of_the_next_question() -> None:
    """Two answers are owed after a silence; the first of them does not end the second round trip."""
    asked: list[bytes] = []

    def script(line: Line) -> None:
        asked.append(line.until(b"\r\n\r\n"))
        asked.append(line.until(b"\r\n\r\n"))
        line.say(OK)
        line.until(b"a third question that never comes")

    with scripted(script) as address:
        conversation = Opener("http", address).open(5)
        with pytest.raises(NoAnswer):
            conversation.exchange(0.05)
        with pytest.raises(NoAnswer):
            conversation.exchange(0.2)
        assert len(asked) == 2
        conversation.close()


def test_a_payload_goes_both_ways() -> None:
    """Over HTTP the questions are padded, and as many are asked as the answers need."""
    sizes = {"up": 0, "down": 0}
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b"x" * 500

    def script(line: Line) -> None:
        while head := line.until(b"\r\n\r\n"):
            sizes["up"] += len(head)
            sizes["down"] += len(answer)
            line.say(answer)

    with scripted(script) as address:
        conversation = Opener("http", address).open(5)
        conversation.exchange(5, payload_bytes=20_000)
        conversation.close()
    assert 20_000 <= sizes["up"] <= 30_000
    assert 20_000 <= sizes["down"] <= 22_000


def test_what_is_asked_of_a_service_are_the_paths_that_it_has() -> None:
    """One without control endpoints is asked for anything: any answer is a round trip, in pieces too."""
    asked: list[bytes] = []
    chunked = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n0\r\r\n"

    def script(line: Line) -> None:
        while head := line.until(b"\r\n\r\n"):
            asked.append(head.split()[1])
            line.say(chunked)
            line.say(b"0\r\n\r\n")

    with scripted(script) as address:
        conversation = Opener("http", address, http_paths(NO_ENDPOINTS)).open(5)
        assert conversation.exchange(5) > 0
        assert conversation.exchange(5) > 0
        conversation.close()
    assert asked == [b"/", b"/"]
    assert http_paths(Endpoints(ready="/r")) == HttpPaths("/r", "/r")
    assert http_paths(CONTRACT) == HttpPaths()


def test_a_connection_that_ends_is_broken_and_no_longer_open() -> None:
    """The end of a connection is an error with its reason, not silence."""

    def script(line: Line) -> None:
        line.until(b"\r\n\r\n")

    with scripted(script) as address:
        conversation = Opener("http", address).open(5)
        assert conversation.is_open()
        with pytest.raises(Broken, match="closed by the other side"):
            conversation.exchange(5)
        assert not conversation.is_open()
        conversation.close()


def test_a_connection_that_cannot_be_made_is_broken() -> None:
    """With the reason that the system gives."""
    with pytest.raises(Broken, match="Connection refused"):
        Opener("http", Address(HOST, free_port())).open(1)


def test_a_session_that_postgresql_refuses_is_broken_with_its_words() -> None:
    """An error packet is quoted."""

    def script(line: Line) -> None:
        line.until(b"probe\0\0")
        text = b"SFATAL\0Mtoo many connections\0\0"
        line.say(b"E" + (len(text) + 4).to_bytes(4) + text)
        line.until(b"never")

    with scripted(script) as address:
        conversation = Opener("postgres", address).open(5)
        with pytest.raises(Broken, match="too many connections"):
            conversation.exchange(5)
        conversation.close()


def test_the_start_of_a_session_is_not_counted_to_the_first_round_trip() -> None:
    """Only the query is: the login may wait as long as it likes."""
    hold = threading.Event()

    def script(line: Line) -> None:
        line.until(b"probe\0\0")
        hold.wait(0.3)
        line.say(b"R\0\0\0\x08\0\0\0\0" + READY)
        while line.until(b"Q\0\0\0\5\0"):
            line.say(b"I\0\0\0\4" + READY)

    with scripted(script) as address:
        conversation = Opener("postgres", address).open(5)
        began = time.monotonic()
        counted = conversation.exchange(5)
        assert counted <= time.monotonic() - began - 0.3
        conversation.close()


def test_a_server_of_events_that_asks_for_a_sign_of_life_gets_one() -> None:
    """NATS sends PING by itself; without a PONG it would end the older connection one day."""
    heard: list[bytes] = []

    def script(line: Line) -> None:
        line.say(b'INFO {"jetstream":true}\r\n')
        line.until(b"CONNECT")
        line.until(b"PING\r\n")
        line.say(b"PING\r\nPONG\r\n")
        heard.append(line.until(b"PONG\r\n"))
        line.until(b"PING\r\n")
        line.say(b"-ERR 'Stale Connection'\r\n")

    with scripted(script) as address:
        conversation = Opener("nats", address).open(5)
        with pytest.raises(Broken, match="Stale Connection"):
            conversation.exchange(5)
        conversation.close()
    assert heard == [b"PONG\r\n"]


@pytest.mark.parametrize(
    ("question", "again"), [(b"PING\r\n", True), (b"AMQP\0\0\x09\x01", False), (b"", False)]
)
def test_a_protocol_that_is_not_spoken_is_measured_by_what_the_callee_answers_to_anybody(
    question: bytes, again: bool
) -> None:
    """Tried once, on connections of their own; what can be asked once says so and is not held against the
    link."""

    def script(line: Line) -> None:
        if not question:
            line.say(b"hello")
            line.until(b"never")
        while line.until(question):
            line.say(b"some answer")

    with scripted(script) as address:
        opener = Opener("tcp", address)
        conversation = opener.open(5)
        assert conversation.exchange(5) > 0
        assert opener.spoken.question is not None
        assert opener.spoken.question.content == question
        if again:
            assert conversation.exchange(5) > 0
        else:
            with pytest.raises(NotAsked):
                conversation.exchange(5)
        conversation.close()


def test_a_callee_that_speaks_first_is_asked_after_its_greeting() -> None:
    """The greeting goes one way only; a delay of both ways would be seen by half."""

    def script(line: Line) -> None:
        line.say(b"INFO {}\r\n")
        while line.until(b"PING\r\n"):
            time.sleep(0.05)
            line.say(b"PONG\r\n")

    with scripted(script) as address:
        opener = Opener("tcp", address)
        conversation = opener.open(5)
        assert 0.05 <= conversation.exchange(5) < 5
        assert conversation.exchange(5) >= 0.05
        assert (opener.spoken.greets, opener.spoken.question) == (True, QUESTIONS[0])
        conversation.close()


def test_a_callee_that_answers_nobody_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection alone says nothing of a link: its proxy takes it."""
    monkeypatch.setattr("runtimes.links.conversations.SPEAKS_WITHIN_S", 0.02)

    def script(line: Line) -> None:
        line.until(b"never")

    with scripted(script) as address:
        conversation = Opener("tcp", address).open(5)
        with pytest.raises(Broken, match="its protocol is not known"):
            conversation.exchange(5)
        conversation.close()


def test_an_empty_block_is_asked_and_any_block_answers() -> None:
    """Over MLLP a payload is as many padded blocks as bring so many bytes back."""
    asked: list[bytes] = []

    def script(line: Line) -> None:
        while block := line.until(b"\x1c\r"):
            asked.append(block)
            line.say(b"\x0bMSH|any answer\r\x1c\r")

    with scripted(script) as address:
        conversation = Opener("mllp", address).open(5)
        assert conversation.exchange(5) > 0
        assert asked == [b"\x0b\x1c\r"]
        assert conversation.exchange(5, 100) > 0
        assert len(asked) == 1 + 1 + 6
        assert sum(map(len, asked[2:])) >= 100
        assert conversation.is_open()
        conversation.close()
