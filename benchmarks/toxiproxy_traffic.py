"""Traffic through a proxy, in a process of its own: clients and the echoing upstream, figures as JSON lines.

`python -m benchmarks.toxiproxy_traffic` serves an echo and a sink, prints their ports, then reads one command
a line from standard input and answers each with one line. Latencies are microseconds, from sending to answer.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from time import perf_counter, sleep
from typing import Any, cast

import uvloop

REQUEST = b"x" * 128
BULK_BYTES = 1 << 19


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Sink:
    """Counts what it gets, in threads of its own: bulk is to cost the traffic little beside the proxy."""

    def __init__(self) -> None:
        self.received = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._count, args=(client,), daemon=True).start()

    def _count(self, client: socket.socket) -> None:
        buffer = bytearray(BULK_BYTES)
        with client:
            while count := client.recv_into(buffer):
                self.received += count


SINK = Sink()


class Caller(asyncio.Protocol):
    """One connection: a request is answered when as many bytes came back."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.missing = 0
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def call(self) -> None:
        self.missing = len(REQUEST)
        self.sent_at = perf_counter()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.missing -= len(data)
        if self.missing == 0:
            self.pool.answered(self, perf_counter() - self.sent_at)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.missing:
            self.pool.lost += 1


class Pool:
    """Connections and the latencies of their answers."""

    def __init__(self, *, again: bool) -> None:
        self.again = again
        self.latencies: list[float] = []
        self.lost = 0
        self.idle: list[Caller] = []
        self.first_answer: asyncio.Future[None] | None = None

    def answered(self, caller: Caller, latency_s: float) -> None:
        self.latencies.append(latency_s)
        if self.again:
            caller.call()
        else:
            self.idle.append(caller)
            if self.first_answer is not None and not self.first_answer.done():
                self.first_answer.set_result(None)

    async def connect(self, port: int) -> Caller:
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(lambda: Caller(self), "127.0.0.1", port)
        return caller


def quantiles(latencies_s: list[float]) -> dict[str, float]:
    """p50 and p99 in microseconds."""
    ordered = sorted(latencies_s)
    if not ordered:
        return {"p50_us": float("nan"), "p99_us": float("nan")}
    return {f"p{q}_us": ordered[min(len(ordered) - 1, len(ordered) * q // 100)] * 1e6 for q in (50, 99)}


async def closed_loop(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Every connection calls again as soon as it is answered."""
    pool = Pool(again=True)
    callers = [await pool.connect(port) for _ in range(connections)]
    for caller in callers:
        caller.call()
    await asyncio.sleep(seconds * 0.2)
    pool.latencies.clear()
    begun = perf_counter()
    await asyncio.sleep(seconds)
    elapsed = perf_counter() - begun
    done = list(pool.latencies)
    pool.again = False
    for caller in callers:
        caller.missing = 0
        caller.transport.abort()
    return {"per_s": len(done) / elapsed, "lost": pool.lost, **quantiles(done)}


async def new_connections(port: int, concurrency: int, seconds: float) -> dict[str, Any]:
    """Connect, one request, close, again."""
    end = perf_counter() + seconds
    done = 0
    lost = 0

    async def one_after_another() -> None:
        nonlocal done, lost
        loop = asyncio.get_running_loop()
        while perf_counter() < end:
            pool = Pool(again=False)
            pool.first_answer = loop.create_future()
            caller = await pool.connect(port)
            caller.call()
            try:
                await asyncio.wait_for(pool.first_answer, 5)
                done += 1
            except TimeoutError:
                lost += 1
            caller.transport.close()

    begun = perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(concurrency)))
    return {"per_s": done / (perf_counter() - begun), "lost": lost}


async def bulk(port: int, megabytes: float) -> dict[str, Any]:
    """One connection sends as fast as it may into the sink."""
    return await asyncio.get_running_loop().run_in_executor(None, send_bulk, port, int(megabytes * 1e6))


def send_bulk(port: int, total: int) -> dict[str, Any]:
    """Send `total` bytes and wait until they have arrived."""
    chunk = memoryview(bytes(BULK_BYTES))
    SINK.received = 0
    with socket.create_connection(("127.0.0.1", port)) as sender:
        begun = perf_counter()
        left = total
        while left:
            left -= sender.send(chunk[:left])
        while SINK.received < total and perf_counter() - begun < 30:
            sleep(0.0005)
        return {"mb_per_s": SINK.received / (perf_counter() - begun) / 1e6}


async def open_loop(ports: list[int], per_s: float, seconds: float) -> dict[str, Any]:
    """Requests at a Poisson rate over all proxies, on kept connections; latency from the actual sending."""
    rng = random.Random(1)
    pools = [Pool(again=False) for _ in ports]
    for pool, port in zip(pools, ports, strict=True):
        pool.idle = [await pool.connect(port) for _ in range(4)]
    begun = perf_counter()
    due = begun
    sent = 0
    while due < begun + seconds:
        due += rng.expovariate(per_s)
        if (wait := due - perf_counter()) > 0:
            await asyncio.sleep(wait)
        pool = pools[rng.randrange(len(pools))]
        if pool.idle:
            pool.idle.pop().call()
            sent += 1
    await asyncio.sleep(0.2)
    latencies = [latency for pool in pools for latency in pool.latencies]
    return {"per_s": len(latencies) / seconds, "sent": sent, **quantiles(latencies)}


async def paced(port: int, samples: int, gap_s: float, connections: int) -> dict[str, Any]:
    """One request after another with a random gap, on several connections at once."""
    rng = random.Random(2)
    pool = Pool(again=False)

    async def one(caller: Caller) -> None:
        await asyncio.sleep(rng.uniform(0, gap_s))
        for _ in range(samples // connections):
            before = len(pool.latencies)
            caller.call()
            while caller.missing and len(pool.latencies) >= before:
                await asyncio.sleep(0.001)
            await asyncio.sleep(rng.uniform(0, gap_s))

    callers = [await pool.connect(port) for _ in range(connections)]
    await asyncio.gather(*map(one, callers))
    return quantiles(pool.latencies)


COMMANDS: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    "closed_loop": closed_loop,
    "new_connections": new_connections,
    "bulk": bulk,
    "open_loop": open_loop,
    "paced": paced,
}


async def main() -> None:
    """Serve the upstreams and obey the commands."""
    loop = asyncio.get_running_loop()
    echo = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print(json.dumps([echo.sockets[0].getsockname()[1], SINK.port]), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, arguments = json.loads(line)
        print(json.dumps(await COMMANDS[name](**arguments)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
