"""Random toxics: 300 samples of each behind both servers come from the same distribution."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from statistics import fmean, median

from scipy import stats

from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import RunningToxiproxy
from runtimes.toxiproxy.toxics.slicer import Slicer
from tests.runtimes.toxiproxy.conftest import Start

SAMPLES = 300
CONNECTIONS = 60
ALPHA = 1e-3
"""A p-value below this is another distribution; chance and a busy machine get a second attempt."""
ATTEMPTS = 2
LONGEST_WAY_MS = 20.0
LATENCY_MS, JITTER_MS = 70, 60
TOXICITY = 0.3
SIZE, VARIATION, CHUNK_BYTES, GAP_US = 100, 60, 500, 25_000


class Upstream:
    """Sends `chunk` for every byte it gets."""

    def __init__(self, chunk: bytes) -> None:
        self.chunk = chunk

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1):
            writer.write(self.chunk)
        writer.close()


def proxied(
    server: RunningToxiproxy, upstream_port: int, kind: str, toxicity: float, **attributes: int
) -> int:
    """The port of a proxy with one toxic."""
    adapter = Toxiproxy(server.host, server.port, deadline_s=10)
    name = f"random {kind}"
    if name in adapter.proxies():
        adapter.delete_proxy(name)
    proxy = adapter.create_proxy(name, listen="127.0.0.1:0", upstream=f"127.0.0.1:{upstream_port}")
    adapter.put_toxic(name, "it", kind=kind, stream="downstream", attributes=attributes, toxicity=toxicity)
    return proxy.port


async def delays(server: RunningToxiproxy, jitter_ms: int = JITTER_MS) -> list[float]:
    """Times of an answer through `latency`, in milliseconds."""
    upstream = await asyncio.start_server(Upstream(b"!").serve, "127.0.0.1", 0)
    port = proxied(
        server, upstream.sockets[0].getsockname()[1], "latency", 1.0, latency=LATENCY_MS, jitter=jitter_ms
    )

    async def some() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        found = []
        for _ in range(SAMPLES // CONNECTIONS):
            begun = time.perf_counter()
            writer.write(b"?")
            await reader.readexactly(1)
            found.append((time.perf_counter() - begun) * 1000)
        writer.close()
        return found

    parts = await asyncio.gather(*(some() for _ in range(CONNECTIONS)))
    upstream.close()
    return [delay for part in parts for delay in part]


async def closed(server: RunningToxiproxy) -> int:
    """How many of the connections `limit_data` with a toxicity closed."""
    upstream = await asyncio.start_server(Upstream(b"!").serve, "127.0.0.1", 0, backlog=SAMPLES)
    port = proxied(server, upstream.sockets[0].getsockname()[1], "limit_data", TOXICITY, bytes=0)

    async def one() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"?")
        answer = await reader.read(1)
        writer.close()
        return not answer

    found = await asyncio.gather(*(one() for _ in range(SAMPLES)))
    upstream.close()
    return sum(found)


async def slices(server: RunningToxiproxy) -> list[int]:
    """Sizes of the pieces that `slicer` makes of 300 chunks."""
    upstream = await asyncio.start_server(Upstream(b"x" * CHUNK_BYTES).serve, "127.0.0.1", 0)
    port = proxied(
        server,
        upstream.sockets[0].getsockname()[1],
        "slicer",
        1.0,
        average_size=SIZE,
        size_variation=VARIATION,
        delay=GAP_US,
    )

    async def some() -> list[int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        found = []
        for _ in range(SAMPLES // CONNECTIONS):
            writer.write(b"?")
            missing = CHUNK_BYTES
            while missing:
                piece = await reader.read(missing)
                found.append(len(piece))
                missing -= len(piece)
        writer.close()
        return found

    parts = await asyncio.gather(*(some() for _ in range(CONNECTIONS)))
    upstream.close()
    return [size for part in parts for size in part]


def histogram(sizes: Sequence[int]) -> list[int]:
    """Counts in classes of 40 bytes, the rare large ones together."""
    counts = Counter(min(size // 40, 4) for size in sizes)
    return [counts[number] for number in range(5)]


def same_histogram(ours: Sequence[int], theirs: Sequence[int]) -> float:
    """The p-value of a chi-squared test that both come from one distribution."""
    used = [(a, b) for a, b in zip(histogram(ours), histogram(theirs), strict=True) if a + b >= 10]
    return float(stats.chi2_contingency([[a for a, _ in used], [b for _, b in used]]).pvalue)


def attempted(probability: Callable[[], float]) -> None:
    """The p-value of a comparison is not below `ALPHA`, at the second attempt at the latest."""
    p_values: list[float] = []
    while len(p_values) < ATTEMPTS:
        p_values.append(probability())
        if p_values[-1] > ALPHA:
            return
    raise AssertionError(f"p = {p_values}")


def test_jitter_is_uniform_behind_either_server(server: RunningToxiproxy) -> None:
    """Delays are uniform from latency - jitter to latency + jitter (Kolmogorov-Smirnov), and so is their
    mean (z), once the way without jitter is taken off."""

    def probability() -> float:
        way_ms = median(asyncio.run(delays(server, jitter_ms=0))) - LATENCY_MS  # what is no part of the toxic
        if not 0 <= way_ms < LONGEST_WAY_MS:
            return 0.0
        found = [delay - way_ms for delay in asyncio.run(delays(server))]
        uniform = stats.uniform(LATENCY_MS - JITTER_MS, 2 * JITTER_MS)
        z = (fmean(found) - uniform.mean()) / (uniform.std() / SAMPLES**0.5)
        return min(float(stats.kstest(found, uniform.cdf).pvalue), 2 * float(stats.norm.sf(abs(z))))

    attempted(probability)


def test_jitter_is_the_same_behind_both_servers(embedded: RunningToxiproxy, real: RunningToxiproxy) -> None:
    """Delays behind both servers come from one distribution (Kolmogorov-Smirnov, two samples)."""
    attempted(lambda: float(stats.ks_2samp(asyncio.run(delays(embedded)), asyncio.run(delays(real))).pvalue))


def test_toxicity_is_the_share_of_connections(server: RunningToxiproxy) -> None:
    """Of 300 connections the toxic acts on a binomial share (exact test)."""
    attempted(lambda: float(stats.binomtest(asyncio.run(closed(server)), SAMPLES, TOXICITY).pvalue))


def test_slices_are_the_same_behind_both_servers(embedded: RunningToxiproxy, real: RunningToxiproxy) -> None:
    """Sizes of the slices of 300 chunks behind both servers come from one distribution (chi-squared)."""
    attempted(lambda: same_histogram(asyncio.run(slices(embedded)), asyncio.run(slices(real))))


def test_slices_on_the_wire_are_the_slices_that_were_cut(embedded: RunningToxiproxy) -> None:
    """What the client reads piece by piece is distributed as the cuts of the toxic are (chi-squared)."""
    dice = Random(1)
    toxic = Slicer(average_size=SIZE, size_variation=VARIATION)
    cut = [end - start for _ in range(10 * SAMPLES) for start, end in toxic.cuts(CHUNK_BYTES, dice)]
    attempted(lambda: same_histogram(asyncio.run(slices(embedded)), cut))


def test_the_seed_repeats_the_draws_of_each_connection(start: Start) -> None:
    """Two servers with one seed act on the same connections of a proxy; another seed acts on others."""

    async def one_by_one(server: RunningToxiproxy) -> list[bool]:
        upstream = await asyncio.start_server(Upstream(b"!").serve, "127.0.0.1", 0)
        port = proxied(server, upstream.sockets[0].getsockname()[1], "limit_data", 0.5, bytes=0)
        found = []
        for _ in range(40):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"?")
            found.append(bool(await reader.read(1)))
            writer.close()
        upstream.close()
        return found

    first, again, other = (asyncio.run(one_by_one(start("embedded", seed=seed))) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert 0 < sum(first) < len(first)
