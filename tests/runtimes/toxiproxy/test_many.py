"""A thousand proxies and ten thousand connections at once."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import cast

import pytest
import uvloop

from runtimes.links.adapter import Toxiproxy
from runtimes.toxiproxy.dials import MOST_KEPT_FREE
from tests.runtimes.toxiproxy.calls import Call, ask
from tests.runtimes.toxiproxy.conftest import Start

PROXIES = 1000
SPARE_DESCRIPTORS = 300
AT_ONCE = 200


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def serve_echo(pipe: Pipe) -> None:
    """A process of its own: sends its port, and serves until the pipe is closed."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        echo = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
        pipe.send(echo.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.poll, None)

    raise_limit(0)
    uvloop.run(serve())


@contextmanager
def echo_server() -> Iterator[int]:
    """The port of an echo in another process: its ends of the connections are descriptors of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_echo, args=(theirs,))
    process.start()
    theirs.close()
    try:
        assert ours.poll(20), "the echo does not start"
        yield ours.recv()
    finally:
        ours.close()
        process.join(20)
        process.terminate()


def raise_limit(wanted: int) -> int:
    """Raise the limit of open files to `wanted`, or as far as is allowed; returns what it is then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(hard, wanted), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        except (OSError, ValueError):
            continue
        return limit
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("each", [9, 10])
def test_a_thousand_proxies_carry_nine_and_ten_connections_each(start: Start, each: int) -> None:
    """Each of 9,000 and of 10,000 connections, all open at once, gets its own bytes back."""
    # Each side of each connection is a descriptor of the server, and so is each listener.
    needed = PROXIES * (1 + 2 * each) + MOST_KEPT_FREE + SPARE_DESCRIPTORS
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        if (limit := raise_limit(needed)) < needed:
            pytest.skip(f"this machine does not let us open {needed} files, only {limit}")
        server = start("embedded")
        with echo_server() as echo_port:
            uvloop.run(connect_all(server.port, echo_port, each))
        assert Toxiproxy(server.host, server.port).version() == "2.12.0"
        server.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


async def connect_all(api_port: int, echo_port: int, each: int) -> None:
    """Create the proxies with one call, connect, exchange on every connection while all are open."""
    loop = asyncio.get_running_loop()
    upstream = f"127.0.0.1:{echo_port}"
    wanted = [{"name": f"p{n}", "listen": "127.0.0.1:0", "upstream": upstream} for n in range(PROXIES)]
    answer = await loop.run_in_executor(None, ask, api_port, Call("POST", "/populate", json.dumps(wanted)))
    proxies = json.loads(answer.body)["proxies"]
    ports = [int(proxy["listen"].rpartition(":")[2]) for proxy in proxies]
    assert len(set(ports)) == PROXIES
    gate = asyncio.Semaphore(AT_ONCE)

    async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            return await asyncio.open_connection("127.0.0.1", port)

    async def exchange(number: int, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
        reader, writer = streams
        message = b"%08d" % number
        async with gate:
            writer.write(message)
            return await asyncio.wait_for(reader.readexactly(len(message)), 30) == message

    connections = await asyncio.gather(*(connect(port) for port in ports * each))
    for _ in range(2):
        right = await asyncio.gather(*(exchange(n, streams) for n, streams in enumerate(connections)))
        assert all(right)
    for _, writer in connections:
        writer.close()
