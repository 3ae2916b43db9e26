"""Impairments as toxics, in the whole milliseconds and KB/s that Toxiproxy counts in."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

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
    with pytest.raises(UnsupportedError, match=r"cannot do loss; they can: blackhole, delay"):
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


def test_both_directions_of_a_black_hole_heal_together(
    running: ProcessesRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request to remove a toxic is sent before both are connected: a caller that reconnected between them
    would be cut twice."""
    monkeypatch.setattr("runtimes.links.controls.TOGETHER_WITHIN_S", 10.0)
    link = running.controls().link("front -> back")
    link.impair("f1", Blackhole())
    events: list[str] = []
    connect, request = socket.create_connection, HTTPConnection.request

    def connecting(*args: Any, **options: Any) -> socket.socket:
        made = connect(*args, **options)
        events.append("connected")
        return made

    def requesting(self: HTTPConnection, method: str, *args: Any) -> None:
        events.append(method)
        request(self, method, *args)

    monkeypatch.setattr(socket, "create_connection", connecting)
    monkeypatch.setattr(HTTPConnection, "request", requesting)
    link.restore("f1")
    assert events[:2] == ["connected"] * 2
    assert events.count("DELETE") == 2
    assert list(running.unhealed()) == []


def test_a_direction_that_cannot_be_healed_does_not_hold_the_other(running: ProcessesRuntime) -> None:
    """The one that was removed already is left out, and the wait for it ends."""
    link = running.controls().link("front -> back")
    link.impair("f1", Blackhole())
    assert isinstance(link, ProxiedLink)
    link._remove("f1", toxics_of(Blackhole())[0], threading.Barrier(2))
    link.restore("f1")
    assert list(running.unhealed()) == []
