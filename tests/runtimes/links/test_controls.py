"""Impairments as toxics, in the whole milliseconds and KB/s that Toxiproxy counts in."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.controls import Blackhole, Corrupt, Delay, Loss, Refuse, Reset, Throttle
from experiment.errors import UnsupportedError
from runtimes.links.controls import ProxiedLink, ToxicPlan, ToxiproxyReplaced, proxy_name, split_ms, toxics_of
from runtimes.owners import identify
from runtimes.processes.runtime import ProcessesRuntime
from tests.standin.systems import pair, settings


@given(st.floats(min_value=0, max_value=100), st.integers(min_value=1, max_value=2))
def test_split_milliseconds_add_up_to_what_was_asked(seconds: float, directions: int) -> None:
    """Rounding never costs or adds more than half a millisecond over all directions together."""
    parts = split_ms(seconds, directions)
    assert len(parts) == directions
    assert abs(sum(parts) - 1000 * seconds * directions) <= 0.5
    assert max(parts) - min(parts) <= 1


def test_a_delay_is_a_latency_toxic_for_each_direction() -> None:
    """Both directions together are delayed by twice the delay of one."""
    assert toxics_of(Delay(0.25, 0.1)) == (
        ToxicPlan("latency", "upstream", {"latency": 250, "jitter": 100}),
        ToxicPlan("latency", "downstream", {"latency": 250, "jitter": 100}),
    )
    assert toxics_of(Delay(2.0, direction="to_caller")) == (
        ToxicPlan("latency", "downstream", {"latency": 2000, "jitter": 0}),
    )
    up, down = toxics_of(Delay(0.0025))
    assert (up.attributes["latency"], down.attributes["latency"]) == (3, 2)


def test_the_other_impairments_have_their_toxics() -> None:
    """A refusal has none: the proxy is disabled for it."""
    assert toxics_of(Throttle(50_000, "to_callee")) == (ToxicPlan("bandwidth", "upstream", {"rate": 50}),)
    assert toxics_of(Blackhole("to_callee")) == (ToxicPlan("timeout", "upstream", {"timeout": 0}),)
    assert {plan.stream for plan in toxics_of(Blackhole())} == {"upstream", "downstream"}
    assert toxics_of(Reset(0.2))[0] == ToxicPlan("reset_peer", "upstream", {"timeout": 200})
    assert toxics_of(Refuse()) == ()


def test_what_needs_packets_is_refused_by_name() -> None:
    """Toxiproxy sees bytes of connections, not packets."""
    with pytest.raises(UnsupportedError, match=r"cannot do loss; they can: blackhole, cut_short, delay"):
        toxics_of(Loss(0.1))
    with pytest.raises(UnsupportedError, match="cannot do corrupt"):
        toxics_of(Corrupt(0.1))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[ProcessesRuntime]:
    """The stand-in pair, up and reset."""
    runtime = ProcessesRuntime(pair(), tmp_path)
    runtime.start(settings(runtime.system))
    yield runtime
    runtime.stop()


def toxiproxy_pid(runtime: ProcessesRuntime, var: Path) -> int:
    """The server's process, from the journal that a sweep would read."""
    text = next((var / "instances").glob("*/journal.jsonl")).read_text()
    line = next(line for line in reversed(text.splitlines()) if '"toxiproxy"' in line and '"pid"' in line)
    pid = int(line.partition('"pid": ')[2].partition(",")[0])
    assert runtime.describe().toxiproxy
    assert identify(pid) is not None
    return pid


def test_a_server_that_hangs_at_the_heal_is_replaced(running: ProcessesRuntime, tmp_path: Path) -> None:
    """The fault is gone afterwards, and that every connection was cut for it is an error of the run."""
    link = running.controls().link("front -> back")
    link.impair("f1", Delay(0.05))
    link.impair("f2", Throttle(100_000))
    os.kill(toxiproxy_pid(running, tmp_path), signal.SIGSTOP)
    with pytest.raises(ToxiproxyReplaced, match="it was replaced, which cut every connection"):
        link.restore("f1")
    assert sorted(running.unhealed()) == [
        f"proxy {proxy_name(running.system.links[0])} has the toxic f2-{stream}"
        for stream in ("downstream", "upstream")
    ]
    link.restore("f2")
    assert list(running.unhealed()) == []
    assert link.probe(2.0).fresh.seconds is not None


def test_a_server_that_died_is_replaced_at_the_next_fault(running: ProcessesRuntime, tmp_path: Path) -> None:
    """The same proxies listen at the same addresses again."""
    link = running.controls().link("front -> back")
    os.kill(toxiproxy_pid(running, tmp_path), signal.SIGKILL)
    with pytest.raises(ToxiproxyReplaced):
        link.impair("f1", Refuse())
    assert not link.probe(1.0).fresh.connected
    link.restore("f1")
    assert link.probe(2.0).fresh.seconds is not None


def test_healing_all_replaces_a_server_that_hangs(running: ProcessesRuntime, tmp_path: Path) -> None:
    """A last heal before the end must not depend on a server that no longer answers."""
    running.controls().link("front -> back").impair("f1", Blackhole())
    os.kill(toxiproxy_pid(running, tmp_path), signal.SIGSTOP)
    running.heal()
    assert list(running.unhealed()) == []


def test_healing_a_black_hole_cuts_a_connection_once(running: ProcessesRuntime) -> None:
    """Who asks again the moment that he is cut gets his answer: no second direction is healed after that."""
    link = running.controls().link("front -> back")
    assert isinstance(link, ProxiedLink)
    host, _, port = link._proxies.proxy(link._proxy).listen.rpartition(":")
    link.impair("f1", Blackhole())

    def ask(_: int) -> int:
        """How often he was cut before the answer came."""
        for cuts in range(5):
            with socket.create_connection((host, int(port)), timeout=10) as caller, suppress(ConnectionError):
                caller.sendall(b"GET /health HTTP/1.1\r\nhost: back\r\n\r\n")
                if caller.recv(1):
                    return cuts
        return 5

    with ThreadPoolExecutor(40) as callers:
        asking = callers.map(ask, range(40))
        link.probe(1.0)  # by then all have asked
        link.restore("f1")
        assert list(asking) == [1] * 40
    (left,) = link._proxies.proxy(link._proxy).toxics
    assert (left.stream, left.toxicity) == ("downstream", 0.0)  # removing it, too, would cut them again
    assert list(running.unhealed()) == []
    link.impair("f1", Blackhole())
    assert link.probe(0.5).fresh.seconds is None
    running.heal()
    assert all(proxy.toxics == () for proxy in link._proxies.proxies().values())
