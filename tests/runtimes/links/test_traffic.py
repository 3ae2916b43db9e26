"""The account of a link's caller: exact where the server tells it, never more than there was elsewhere."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from experiment.controls import Traffic
from runtimes.links.attempts import AttemptCounter
from runtimes.links.sockets import Connected, SocketTable
from runtimes.links.traffic import PROBES_FROM, _Pieced, own_address
from runtimes.loopback import HOST, free_port
from runtimes.runtime import Address
from tests.runtimes.links.bridge import KINDS_OF_SERVER, QUESTION, Bridge, bridges

ANSWERED_WITHIN_S = 5.0


@pytest.fixture(scope="module", params=KINDS_OF_SERVER)
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with bridges(request.param, tmp_path_factory.mktemp(request.param)) as (made,):
        yield made


def ask(line: socket.socket) -> int:
    """One question and its answer. Returns the bytes of the answer."""
    line.sendall(QUESTION)
    return len(line.recv(1000))


def until(up: Bridge, start: Traffic, holds: Callable[[Traffic], bool]) -> Traffic:
    """Read until it holds: a server sees what it was sent a moment later."""
    end = time.monotonic() + ANSWERED_WITHIN_S
    while True:
        seen = up.traffic.read().since(start)
        if holds(seen) or time.monotonic() > end:
            return seen
        time.sleep(0.02)


def test_a_connection_in_use_is_seen_at_once(up: Bridge) -> None:
    """Both ways, to the byte, while it is open and after it has ended; how long the exchange took too."""
    start = up.traffic.read()
    with up.connect() as line:
        answered = ask(line)
        seen = until(up, start, lambda now: now.to_caller >= answered)
        assert (seen.connections, seen.open) == (1, 1)
        assert (seen.to_callee, seen.to_caller) == (len(QUESTION), answered)
        assert len(seen.took) == 1
        assert 0 <= seen.took[0] < 1
    ended = until(up, start, lambda now: now.open == 0)
    assert (ended.connections, ended.open, ended.to_callee) == (1, 0, len(QUESTION))


def test_connections_that_come_and_go_between_two_looks_are_not_lost(up: Bridge) -> None:
    """The original counts their bytes when they end, the embedded server everything."""
    start = up.traffic.read()
    for _ in range(20):
        with up.connect() as line:
            ask(line)
    seen = until(up, start, lambda now: now.to_callee >= 20 * len(QUESTION))
    assert seen.to_callee == 20 * len(QUESTION)


def test_probes_are_nobodys_traffic(up: Bridge) -> None:
    """However many there are, how ever they end, and whatever acts on the link meanwhile."""
    start = up.traffic.read()
    for _ in range(3):
        up.prober.probe(2.0, 0, impaired=False)
    assert until(up, start, lambda now: now.carried > 0 or now.connections > 0).carried == 0
    kinds: dict[str, dict[str, Any]] = {
        "blackhole": {},
        "latency": {"delay": 0.3},
        "reset": {},
        "refusal": {},
    }
    for kind, parameters in kinds.items():
        for event in up.play(kind, 1.2, **parameters):
            assert event.measured.get("met", 0) == 0, (kind, event)
    up.prober.close()
    time.sleep(0.3)
    seen = up.traffic.read().since(start)
    assert (seen.carried, seen.refused) == (0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="counting attempts to connect takes root")
def test_attempts_that_are_refused_are_counted() -> None:
    """No socket tells of them. The harness's own are left out."""
    port = free_port()
    counter = AttemptCounter(port)
    for source in (HOST, PROBES_FROM, HOST):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), source_address=(source, 0))
    assert counter.take((PROBES_FROM,)) == 2
    assert counter.take((PROBES_FROM,)) == 0
    counter.close()


def test_the_kernel_tells_only_of_connections_to_the_port() -> None:
    """Who is connected, and what each brought; one that has ended is not told of."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        table = SocketTable()
        assert table.accepted(port) == []
        with socket.create_connection((HOST, port)) as caller, server.accept()[0] as accepted:
            caller.sendall(b"12345")
            accepted.recv(10)
            (one,) = table.accepted(port)
            assert (one.peer, one.peer_port, one.received) == (HOST, caller.getsockname()[1], 5)
        assert table.accepted(port) == []
        table.close()


def test_the_own_address_is_that_of_probes() -> None:
    """On loopback one that nobody else uses; elsewhere the one that leads there."""
    assert own_address(Address("127.0.0.1", 80)) == PROBES_FROM
    assert own_address(Address("::1", 80)) == "::1"


def connected(port: int, received: int) -> Connected:
    return Connected(HOST, port, received, 0, 0.0, 0.0)


def test_bytes_known_from_a_socket_are_not_counted_again_when_it_ends() -> None:
    """An idle connection that is closed while a fault lasts has met nothing of it."""
    sums = _Pieced()
    sums.add(0, [connected(1, 500)], 0)
    sums.add(0, [connected(1, 500)], 0)
    sums.add(500, [], 0)
    assert sums.to_callee == 500
    sums.add(540, [], 0)
    assert sums.to_callee == 540


def test_what_probes_sent_is_paid_before_anybody_elses() -> None:
    """The counter of the original does not say whose bytes they were."""
    sums = _Pieced()
    sums.add(1000, [], 0)
    sums.add(1070, [], 70)
    assert sums.to_callee == 0
    sums.add(1070, [], 140)
    sums.add(1240, [], 140)
    assert sums.to_callee == 100
    sums.add(1240, [], 900)  # sent and not counted yet
    assert sums.to_callee == 100


def test_a_port_that_is_used_again_is_another_connection() -> None:
    """Two callers one after the other may have the same port."""
    sums = _Pieced()
    sums.add(0, [connected(1, 500)], 0)
    sums.add(500, [connected(1, 20)], 0)
    assert (sums.to_callee, sums.connections) == (520, 2)


def test_a_server_that_was_replaced_counts_from_zero() -> None:
    """Nothing is counted twice, and nothing less than before."""
    sums = _Pieced()
    sums.add(1000, [connected(1, 30)], 0)
    sums.add(5, [], 0)
    sums.add(55, [], 0)
    assert 30 <= sums.to_callee <= 80
