"""A thousand proxies and ten thousand connections at once."""

from __future__ import annotations

import asyncio
import json
import resource
from typing import cast

import pytest
import uvloop

from runtimes.links.adapter import Toxiproxy
from tests.runtimes.toxiproxy.calls import Call, ask
from tests.runtimes.toxiproxy.conftest import Start

PROXIES = 1000
MOST_CONNECTIONS_EACH = 10
SPARE_DESCRIPTORS = 300
AT_ONCE = 200


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@pytest.mark.slow
def test_a_thousand_proxies_carry_ten_thousand_connections(start: Start) -> None:
    """Each of 10,000 connections, or of what the open files allow, all open, gets its own bytes back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Each side of each connection is a descriptor of the server, and so is each listener.
    each = min(MOST_CONNECTIONS_EACH, (hard - PROXIES - SPARE_DESCRIPTORS) // (2 * PROXIES))
    assert each >= 1, f"{hard} open files are too few for this test"
    server = start("embedded")
    try:
        uvloop.run(connect_all(server.port, each))
        assert Toxiproxy(server.host, server.port).version() == "2.12.0"
    finally:
        server.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def connect_all(api_port: int, each: int) -> None:
    """Create the proxies with one call, connect, exchange on every connection while all are open."""
    loop = asyncio.get_running_loop()
    echo = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
    upstream = f"127.0.0.1:{echo.sockets[0].getsockname()[1]}"
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
    echo.close()
