"""Spans on their way to a collector: what is sent, what is dropped, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from reference_system.common import tracing
from reference_system.common.config import Address, LinkPatterns
from reference_system.common.exporter import LATE_S, QUEUE, Exporter, Mode
from reference_system.common.link import Link
from reference_system.common.metrics import LinkCounters
from reference_system.common.patterns.bulkhead import Bulkhead
from reference_system.common.service import SHARED_POOL
from reference_system.services.telemetry.service import rows_of
from tests.reference_system.common.test_links import Callee, reply


def exporter(
    port: int, over: tracing.Over, mode: Mode, timeout: float = 0.2
) -> tuple[Exporter, tracing.Tracer]:
    tracer, silent = tracing.Tracer("a", None, 1), tracing.Tracer("a", None, 1)
    address = Address("http", "127.0.0.1", port, token="secret")
    patterns = LinkPatterns(timeout=timeout)
    shared, rng = Bulkhead(SHARED_POOL), random.Random(1)
    link = Link("a", "telemetry", address, patterns, LinkCounters(), shared, silent, rng)
    made = Exporter(link, address, tracer)
    made.apply(over, mode)
    return made, tracer


def request_with_a_call(tracer: tracing.Tracer, context: str | None = None) -> None:
    """A request that makes a call, which fails."""
    request = tracer.start("GET /x/*", "server", context)
    token = tracing.current.set(request)
    call = tracer.start("GET b", "client")
    call.attributes = {"link": "a -> b"}
    tracer.finish(call, ok=False)
    tracer.finish(request)
    tracing.current.reset(token)


def told(callee: Callee) -> list[tuple[object, ...]]:
    """What a collector would keep of the bodies that came."""
    bodies = [whole.partition(b"\r\n\r\n")[2] for whole in callee.requests]
    return [row for body in bodies for row in rows_of(ExportTraceServiceRequest.FromString(body))]


async def served(callee: Callee) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(callee.serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def test_a_bounded_queue_sends_what_waits_with_the_token() -> None:
    """Both spans in one request: the call names its link and its parent, and says that it failed."""

    async def scene() -> None:
        callee = Callee(reply(200))
        server, port = await served(callee)
        made, tracer = exporter(port, "all", "bounded")
        request_with_a_call(tracer, f"00-{'1' * 32}-{'2' * 16}-01")
        assert made.waiting == 2
        loop = asyncio.create_task(made.run())
        while made.waiting:
            await asyncio.sleep(0.01)
        loop.cancel()
        server.close()
        (call, request) = told(callee)
        assert (call[1], call[2], call[4], call[7]) == ("call", "1" * 32, "a -> b", False)
        assert (request[1], request[3], request[4], request[7]) == ("request", "2" * 16, "a", True)
        assert call[3] == request[0]
        assert len(callee.requests) == 1 and b"x-access-token: secret" in callee.requests[0]
        assert (made.exported, made.dropped) == (2, 0)

    asyncio.run(scene())


def test_a_collector_that_is_away_costs_spans_and_no_time() -> None:
    """What the queue does not hold is dropped and counted; what it holds is sent when somebody answers."""

    async def scene() -> None:
        made, tracer = exporter(1, "all", "bounded")
        began = time.monotonic()
        for _ in range(QUEUE):
            request_with_a_call(tracer)
        assert time.monotonic() - began < 5.0
        assert (made.waiting, made.dropped) == (QUEUE, QUEUE)
        loop = asyncio.create_task(made.run())
        await asyncio.sleep(0.6)
        assert (made.waiting, made.dropped, made.exported) == (QUEUE, QUEUE, 0)
        loop.cancel()
        made.clear()
        assert (made.waiting, made.dropped) == (0, 0)

    asyncio.run(scene())


def test_calls_in_the_background_are_a_backlog_once_they_are_late() -> None:
    """Whoever looks at a backlog makes a span by looking. What belongs to a request counts at once, the
    others when the rounds of sending have left them behind."""
    made, tracer = exporter(1, "all", "bounded")
    for _ in range(3):
        tracer.past("postgres", time.time(), True, {"link": "a -> postgres"}, kept=False)
    assert (made.waiting, made.untold) == (3, 0)
    request_with_a_call(tracer)
    assert (made.waiting, made.untold) == (5, 2)
    late = tracer.start("postgres", tracing.CLIENT)
    tracer.finish(late)
    late.end -= 2 * LATE_S
    assert (made.waiting, made.untold) == (6, 3)


def test_a_blocking_exporter_stops_its_whole_process() -> None:
    """A collector that takes the connection and says nothing: nothing else runs for as long as the limit."""

    async def scene() -> None:
        server, port = await served(Callee())
        made, tracer = exporter(port, "http", "blocking", timeout=0.3)
        began = time.monotonic()
        request_with_a_call(tracer)
        assert time.monotonic() - began >= 0.6
        assert (made.dropped, made.waiting) == (2, 0)
        server.close()

    asyncio.run(scene())


def test_without_a_context_every_service_knows_of_itself_alone() -> None:
    """No call is told of, and what came along is not taken up."""
    made, tracer = exporter(1, "none", "bounded")
    request_with_a_call(tracer, f"00-{'1' * 32}-{'2' * 16}-01")
    assert made.waiting == 1
    assert tracer.start("x", "server", f"00-{'1' * 32}-{'2' * 16}-01").trace != "1" * 32


def test_a_run_without_a_collector_tells_nothing_and_hands_on_everything() -> None:
    """The collector may be up for another run of the same suite."""
    made, tracer = exporter(1, "none", "blocking")
    made.apply("none", "blocking", wanted=False)
    began = time.monotonic()
    request_with_a_call(tracer)
    assert (made.waiting, made.dropped, tracer.tells_calls) == (0, 0, False)
    assert time.monotonic() - began < 0.2
    assert tracer.start("x", "server", f"00-{'1' * 32}-{'2' * 16}-01").trace == "1" * 32


def test_a_context_over_requests_alone_ends_at_an_event() -> None:
    """The consumer of an event begins a trace of its own."""
    context = f"00-{'1' * 32}-{'2' * 16}-01"
    for over, same in (("http", False), ("all", True)):
        _, tracer = exporter(1, over, "bounded")  # type: ignore[arg-type]  # words of the type
        assert (tracer.start("rx.created", "consumer", context).trace == "1" * 32) is same
        assert tracer.start("GET /x", "server", context).trace == "1" * 32
