"""Calls over a link to a small server that answers, fails, hangs up or says nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reference_system.common import tracing
from reference_system.common.config import (
    Address,
    BreakerPattern,
    BulkheadPattern,
    LinkPatterns,
    RetryPattern,
)
from reference_system.common.http_client import HttpClient
from reference_system.common.link import CallFailed, Link
from reference_system.common.metrics import LinkCounters
from reference_system.common.patterns.bulkhead import Bulkhead

RETRY = RetryPattern(attempts=3, only_idempotent=True)


class Callee:
    """A server on loopback whose answers are given by the test."""

    def __init__(self, *replies: bytes | None) -> None:
        self.replies = list(replies)  # None: hang up without a reply; the last one repeats
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if reply is None:
                    break
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def reply(status: int, body: bytes = b"{}", header: bytes = b"a: b") -> bytes:
    return b"HTTP/1.1 %d X\r\n%s\r\ncontent-length: %d\r\n\r\n%s" % (status, header, len(body), body)


def play(
    callee: Callee, patterns: LinkPatterns, scene: Callable[[Link], Awaitable[Any]]
) -> tuple[Any, LinkCounters]:
    """Run a scene over a link to the callee; gives its result, or the CallFailed that ended it, and the
    counters."""
    counters = LinkCounters()

    async def run() -> Any:
        server = await asyncio.start_server(callee.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        tracer, shared = tracing.Tracer("a", None, 1), Bulkhead(None)
        address = Address("http", "127.0.0.1", port)
        link = Link("a", "b", address, patterns, counters, shared, tracer, random.Random(1))
        try:
            return await scene(link)
        except CallFailed as failed:
            return failed
        finally:
            link.close()
            server.close()

    return asyncio.run(run()), counters


def get(link: Link) -> Awaitable[Any]:
    return link.call("GET", "/x")


def test_a_call_carries_who_calls_and_its_trace() -> None:
    """Caller, trace context, remaining time and body are on the wire; the connection is used again."""
    callee = Callee(reply(200, b'{"a":1}'))

    async def twice(link: Link) -> Any:
        await link.call("POST", "/x y", {"b": 2}, {"idempotency-key": "k"})
        return (await link.call("GET", "/z")).json()

    found, counters = play(callee, LinkPatterns(timeout=1.0, propagate_deadline=True), twice)
    assert found == {"a": 1}
    first = callee.requests[0]
    assert first.startswith(b"POST /x%20y HTTP/1.1\r\n")
    for part in (
        b"x-caller: a",
        b"traceparent: 00-",
        b"x-deadline-ms: 1000",
        b"idempotency-key: k",
        b'{"b":2}',
    ):
        assert part in first
    assert (callee.connections, counters.logical, counters.attempts) == (1, 2, 2)


def test_an_error_status_is_retried_as_the_pattern_says() -> None:
    """Two 503 and then a 200 take three attempts; a 404 takes one."""
    found, counters = play(Callee(reply(503), reply(503), reply(200)), LinkPatterns(retry=RETRY), get)
    assert (found.status, counters.attempts, counters.retries, counters.errors) == (200, 3, 2, 2)
    found, counters = play(Callee(reply(404)), LinkPatterns(retry=RETRY), get)
    assert (found.status, counters.attempts) == (404, 1)


def test_a_hang_up_is_a_failure_that_was_sent() -> None:
    """A connection closed without a reply may have had its effect; what is not idempotent is not sent
    again."""
    found, counters = play(Callee(None, reply(200)), LinkPatterns(retry=RETRY), get)
    assert (found.status, counters.attempts) == (200, 2)
    callee = Callee(None, reply(200))
    found, counters = play(
        callee, LinkPatterns(retry=RETRY), lambda link: link.call("POST", "/x", {}, idempotent=False)
    )
    assert isinstance(found, CallFailed)
    assert found.sent
    assert counters.attempts == 1


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        (reply(500), 1),
        (reply(502), 1),
        (reply(503), 1),
        (reply(504), 1),
        (reply(429), 2),
        (reply(503, header=b"retry-after: 1"), 2),
        (reply(503, header=b"x-not-done: 1"), 2),
    ],
)
def test_an_error_is_repeated_only_when_nothing_was_done(answer: bytes, attempts: int) -> None:
    """What is not idempotent is sent again only after an answer that says that it had no effect; where
    retries are blind, every error is repeated."""

    def post(link: Link) -> Awaitable[Any]:
        return link.call("POST", "/x", {}, idempotent=False)

    _, counters = play(Callee(answer, reply(201)), LinkPatterns(retry=RETRY), post)
    assert counters.attempts == attempts
    blind = LinkPatterns(retry=RetryPattern(attempts=3))
    _, counters = play(Callee(answer, reply(201)), blind, post)
    assert counters.attempts == 2


def test_a_refused_connection_was_certainly_not_sent() -> None:
    """Nobody listens: not sent, and so even what is not idempotent may be tried again."""

    async def scene() -> CallFailed:
        counters = LinkCounters()
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        link = Link(
            "a", "b", Address("http", "127.0.0.1", port), LinkPatterns(retry=RETRY), counters, Bulkhead(None),
            tracing.Tracer("a", None, 1), random.Random(1),
        )  # fmt: skip
        with pytest.raises(CallFailed) as failed:
            await link.call("POST", "/x", {}, idempotent=False)
        assert counters.attempts == 3
        return failed.value

    assert asyncio.run(scene()).sent is False


def test_silence_ends_at_the_timeout_and_opens_the_breaker() -> None:
    """Calls that get no answer time out; after two the breaker refuses the third without sending it."""
    patterns = LinkPatterns(timeout=0.05, breaker=BreakerPattern(failures=2, open_for=60))

    async def scene(link: Link) -> list[tuple[str, bool]]:
        ends = []
        for _ in range(3):
            with pytest.raises(CallFailed) as failed:
                await link.call("GET", "/x")
            ends.append((failed.value.reason, failed.value.sent))
        return ends

    found, counters = play(Callee(b""), patterns, scene)
    assert found == [("timeout", True), ("timeout", True), ("breaker open", False)]
    assert (counters.attempts, counters.timeouts, counters.short_circuited) == (2, 2, 1)
    assert counters.breaker_state == "open"


def test_a_full_bulkhead_refuses_at_once() -> None:
    """With one place and no queue, a second call at the same time is refused and counted."""
    patterns = LinkPatterns(timeout=0.2, bulkhead=BulkheadPattern(concurrent=1, queue=0))

    async def scene(link: Link) -> list[str]:
        results = await asyncio.gather(get(link), get(link), return_exceptions=True)
        return [result.reason for result in results if isinstance(result, CallFailed)]

    found, counters = play(Callee(b""), patterns, scene)
    assert sorted(found) == ["bulkhead full", "timeout"]
    assert counters.rejected_bulkhead == 1


def test_links_without_a_bulkhead_share_one_pool() -> None:
    """A slow callee uses up the places of the whole process: a link to another callee has to wait."""

    async def scene() -> str:
        silent, quick = Callee(b""), Callee(reply(200))
        servers = [await asyncio.start_server(c.serve, "127.0.0.1", 0) for c in (silent, quick)]
        shared = Bulkhead(BulkheadPattern(concurrent=1, queue=9))
        tracer = tracing.Tracer("a", None, 1)
        links = [
            Link(
                "a", "b", Address("http", "127.0.0.1", server.sockets[0].getsockname()[1]),
                LinkPatterns(timeout=limit), LinkCounters(), shared, tracer, random.Random(1),
            )
            for server, limit in zip(servers, (5.0, 0.1), strict=True)
        ]  # fmt: skip
        hanging = asyncio.create_task(links[0].call("GET", "/x"))
        await asyncio.sleep(0)
        with pytest.raises(CallFailed) as failed:
            await links[1].call("GET", "/x")
        hanging.cancel()
        for server in servers:
            server.close()
        return failed.value.reason

    assert asyncio.run(scene()) == "bulkhead full"


def test_a_header_cannot_smuggle_another() -> None:
    """A value with a line break is refused before anything is sent."""

    async def scene() -> None:
        await HttpClient("127.0.0.1", 9).request("GET", "/", {"a": "x\r\nb: y"}, None)

    with pytest.raises(ValueError, match="control characters"):
        asyncio.run(scene())


def test_a_chunked_reply_is_whole() -> None:
    """Replies without a length arrive in chunks and are put together."""
    chunked = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    found, _ = play(Callee(chunked), LinkPatterns(), get)
    assert found.json() == [1, 2]
