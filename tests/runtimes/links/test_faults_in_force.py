"""A fault on a live link is watched until its heal, on the caller's own connections: both servers alike.

The cases of a test are played at once, each on a link of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from experiment.rows import FaultEvent
from tests.runtimes.links.bridge import KINDS_OF_SERVER, QUESTION, Bridge, bridges

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("latency", {"delay": 0.3}),
    ("latency", {"delay": 0.2, "direction": "to_caller"}),
    ("bandwidth", {"rate": 5000.0}),
    ("blackhole", {}),
    ("blackhole", {"direction": "to_caller"}),
    ("reset", {}),
    ("refusal", {}),
]


@pytest.fixture(scope="module", params=KINDS_OF_SERVER)
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Bridge]]:
    with bridges(request.param, tmp_path_factory.mktemp(request.param), len(FAULTS)) as made:
        yield made


def at_once(
    up: list[Bridge], play: Callable[[Bridge, int], list[FaultEvent]], count: int
) -> list[list[FaultEvent]]:
    """The events of so many cases, each played on its own link."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(play, up[:count], range(count)))


def names(events: list[FaultEvent]) -> list[str]:
    """What happened, all looks that say the same once."""
    return list(dict.fromkeys(event.event for event in events if event.event != "still_active"))


def last_look(events: list[FaultEvent]) -> FaultEvent:
    """And there are enough of them."""
    looks = [event for event in events if event.event == "still_active"]
    assert [event.measured["looks"] for event in looks] == list(range(1, len(looks) + 1))
    return looks[-1]


@pytest.mark.parametrize("pooled", [True, False], ids=["one connection", "a connection a question"])
def test_the_caller_meets_every_kind_of_fault(up: list[Bridge], pooled: bool) -> None:
    """Over one connection that stays, and over a new one for each question."""

    def play(bridge: Bridge, number: int) -> list[FaultEvent]:
        kind, parameters = FAULTS[number]
        with bridge.called(pooled=pooled):
            return bridge.play(kind, 3.0, **parameters)

    for (kind, _), events in zip(FAULTS, at_once(up, play, len(FAULTS)), strict=True):
        assert names(events) == ["inject", "active", "heal", "healed"], kind
        last = last_look(events)
        assert events[0].measured["carried"] > 0, kind
        assert last.measured["met"] > 0, (kind, last.statement)
        if kind == "latency":
            assert last.measured["exchanges"] == 0 or last.measured["slower"] > 0, last.statement


def test_without_a_caller_a_fault_meets_nothing(up: list[Bridge]) -> None:
    """The harness's own probe sees it all the same: it is a control and no evidence. A connection that is
    open and idle meets nothing either."""

    def play(bridge: Bridge, number: int) -> list[FaultEvent]:
        kind, parameters = FAULTS[number]
        return bridge.play(kind, 2.0, **parameters)

    with up[0].connect() as idle:
        idle.sendall(QUESTION)
        idle.recv(1000)
        played = at_once(up, play, len(FAULTS))
    for (kind, _), bridge, events in zip(FAULTS, up, played, strict=True):
        assert names(events) == ["inject", "active", "heal", "healed"], kind
        last = last_look(events)
        assert last.measured["met"] == 0, kind
        assert last.statement == f"{bridge.name} carried nothing while the fault lasted"
        assert events[0].measured["carried"] == 0


def remove(up: Bridge) -> None:
    up.proxies.remove_toxic(up.proxy, "f1-upstream")


def change(up: Bridge) -> None:
    attributes = {"latency": 1, "jitter": 0}
    up.proxies.put_toxic(up.proxy, "f1-upstream", kind="latency", stream="upstream", attributes=attributes)


def weaken(up: Bridge) -> None:
    up.proxies.set_toxicity(up.proxy, "f1-upstream", 0.5)


def add(up: Bridge) -> None:
    up.proxies.put_toxic(up.proxy, "stray", kind="bandwidth", stream="upstream", attributes={"rate": 1000})


def disable(up: Bridge) -> None:
    up.proxies.set_enabled(up.proxy, False)
    time.sleep(0.8)  # a look comes more than twice a second
    up.proxies.set_enabled(up.proxy, True)


def enable(up: Bridge) -> None:
    up.proxies.set_enabled(up.proxy, True)


MEDDLERS: list[tuple[str, Callable[[Bridge], None], str]] = [
    ("latency", remove, "its toxic f1-upstream is gone"),
    ("latency", change, "its toxic f1-upstream was changed to latency {'jitter': 0, 'latency': 1}"),
    ("latency", weaken, "its toxic f1-upstream acts on 50% of connections"),
    ("latency", add, "the toxic stray acts too, which nobody planned"),
    ("latency", disable, "its proxy is disabled"),
    ("refusal", enable, "its proxy takes connections"),
]


def test_a_fault_that_somebody_meddles_with_is_found_out(up: list[Bridge]) -> None:
    """A second after it began, from outside, and not undone: the next look says what was found instead."""

    def play(bridge: Bridge, number: int) -> list[FaultEvent]:
        kind, meddle, _ = MEDDLERS[number]
        parameters = {"delay": 0.1} if kind == "latency" else {}
        with bridge.called(pooled=True):
            return bridge.play(kind, 2.5, lambda: meddle(bridge), **parameters)

    try:
        played = at_once(up, play, len(MEDDLERS))
    finally:
        up[0].proxies.reset()
    for (_, _, said), events in zip(MEDDLERS, played, strict=True):
        faded = [event for event in events if event.event == "faded"]
        assert faded, (said, names(events))
        assert faded[0].statement == said
