"""Not a byte is lost, changed or moved by a toxic that does not drop, nor while toxics come and go."""

from __future__ import annotations

import hashlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import RunningToxiproxy

MEGABYTES = 50
BLOCK = Random(1).randbytes(1 << 20)
DEADLINE_S = 60.0
CHANGE_EVERY_S = 0.05
TOXICS = {
    "noop": {},
    "latency": {"latency": 15, "jitter": 10},
    "bandwidth": {"rate": 100_000},
    "slow_close": {"delay": 50},
    "slicer": {"average_size": 3000, "size_variation": 2000, "delay": 5},
    "limit_data": {"bytes": 2 * MEGABYTES << 20},
}


class Peer:
    """Sends 50 MB and digests what it gets, both at once."""

    def __init__(self, sock: socket.socket, key: int) -> None:
        sock.settimeout(DEADLINE_S)
        self._sock = sock
        self._key = key
        self.sent = hashlib.sha256()
        self.received = hashlib.sha256()
        self.received_bytes = 0
        self.threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self.threads:
            thread.start()

    def _send(self) -> None:
        for number in range(MEGABYTES):
            block = BLOCK[number + self._key :] + BLOCK[: number + self._key]
            self._sock.sendall(block)
            self.sent.update(block)

    def _receive(self) -> None:
        while self.received_bytes < MEGABYTES << 20:
            content = self._sock.recv(1 << 18)
            if not content:
                return
            self.received.update(content)
            self.received_bytes += len(content)


@contextmanager
def proxied(server: RunningToxiproxy) -> Iterator[tuple[Toxiproxy, socket.socket, socket.socket]]:
    """An adapter with the proxy `bulk`, and the two ends of a connection through it."""
    adapter = Toxiproxy(server.host, server.port, deadline_s=DEADLINE_S)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream = f"127.0.0.1:{listener.getsockname()[1]}"
        proxy = adapter.create_proxy("bulk", listen="127.0.0.1:0", upstream=upstream)
        try:
            with socket.create_connection(("127.0.0.1", proxy.port)) as client, listener.accept()[0] as far:
                yield adapter, client, far
        finally:
            adapter.delete_proxy("bulk")


def exchange(client: socket.socket, far: socket.socket, meanwhile: Callable[[], None]) -> None:
    """Send 50 MB each way, and compare the digests."""
    peers = Peer(client, 1), Peer(far, 2)
    end = time.monotonic() + DEADLINE_S
    while any(thread.is_alive() for peer in peers for thread in peer.threads):
        meanwhile()
        assert time.monotonic() < end, [peer.received_bytes for peer in peers]
    assert peers[0].received.hexdigest() == peers[1].sent.hexdigest(), peers[0].received_bytes
    assert peers[1].received.hexdigest() == peers[0].sent.hexdigest(), peers[1].received_bytes


@pytest.mark.parametrize("kind", TOXICS)
def test_fifty_megabytes_pass_unchanged_both_ways(embedded: RunningToxiproxy, kind: str) -> None:
    """SHA-256 of 50 MB each way is the same at both ends under a toxic that drops nothing."""
    with proxied(embedded) as (adapter, client, far):
        for stream in ("upstream", "downstream"):
            adapter.put_toxic("bulk", f"it {stream}", kind=kind, stream=stream, attributes=TOXICS[kind])
        exchange(client, far, lambda: time.sleep(0.01))


def test_no_byte_is_lost_while_toxics_come_and_go(embedded: RunningToxiproxy) -> None:
    """50 MB each way pass unchanged while toxics are added, updated and removed every 50 ms."""
    dice = Random(3)
    changes = 0
    kinds = itertools.cycle(TOXICS)
    with proxied(embedded) as (adapter, client, far):

        def change() -> None:
            nonlocal changes
            changes += 1
            time.sleep(CHANGE_EVERY_S)
            stream = dice.choice(("upstream", "downstream"))
            there = [toxic for toxic in adapter.proxy("bulk").toxics if toxic.stream == stream]
            if len(there) < 2:
                kind = next(kinds)
                adapter.put_toxic(
                    "bulk", f"{kind} {stream} {changes}", kind=kind, stream=stream, attributes=TOXICS[kind]
                )
            elif dice.random() < 0.5:
                toxic = dice.choice(there)
                attributes = {name: max(1, value // 2) for name, value in TOXICS[toxic.kind].items()}
                if toxic.kind not in ("limit_data", "slicer"):
                    adapter.put_toxic(
                        "bulk", toxic.name, kind=toxic.kind, stream=stream, attributes=attributes
                    )
            else:
                adapter.remove_toxic("bulk", dice.choice(there).name)

        adapter.put_toxic("bulk", "pace", kind="bandwidth", stream="upstream", attributes={"rate": 20_000})
        exchange(client, far, change)
        assert changes >= 8, "the transfer was over before much had changed"
