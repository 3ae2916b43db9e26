"""Faults of a callee that knows nothing of the harness: its proxy plays them, and proves that it did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from experiment.controls import DrawnDelays, ErrorShare, LostResponse, SlowProcessing
from experiment.errors import UnsupportedError
from experiment.services import CONTRACT
from faults.error_share import ErrorShare as ErrorShareFault
from faults.in_callees import InCallee
from faults.latency import Latency
from faults.lost_response import LostResponse as LostResponseFault
from faults.slow_processing import SlowProcessing as SlowProcessingFault
from runtimes.http_calls import CallError, call
from runtimes.links.controls import ToxicPlan
from runtimes.links.request_faults import knows_requests, toxic_of
from runtimes.links.servers import ServerChoice
from runtimes.processes.runtime import ProcessesRuntime
from tests.standin.systems import pair, settings

LINK = "front -> back"


def test_behaviours_are_toxics_in_whole_millionths() -> None:
    """What the API counts in loses nothing that a scenario can say."""
    assert toxic_of(LostResponse(0.2)) == ToxicPlan("lost_response", "upstream", {"share_ppm": 200_000})
    assert toxic_of(ErrorShare(1.0, 500)).attributes == {"share_ppm": 1_000_000, "status": 500}
    assert toxic_of(SlowProcessing(0.7, 0.1)).attributes == {"delay_us": 700_000, "jitter_us": 100_000}


def test_a_kind_that_no_proxy_plays_is_refused() -> None:
    """By its name, beside those that can be played."""
    with pytest.raises(UnsupportedError, match="cannot play drawn_delays; it can: error_share, lost_resp"):
        toxic_of(DrawnDelays((0.1,)))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessesRuntime]:
    """The pair, of which `back` cannot be told to misbehave."""
    system = pair()
    back = replace(system.services["back"], changes=(), endpoints=replace(CONTRACT, behaviour=None))
    system = replace(system, services={**system.services, "back": back})
    runtime = ProcessesRuntime(system, tmp_path_factory.mktemp("var"))
    with pytest.MonkeyPatch.context() as patch:  # also where the original is installed
        patch.setenv("TOXIPROXY_SERVER", "embedded")
        runtime.start(settings(system))
    yield runtime
    runtime.stop()


def work(runtime: ProcessesRuntime, times: int) -> None:
    for _ in range(times):
        with suppress(CallError):
            call(runtime.address("front"), "POST", "/work", b"", deadline_s=5.0)


@pytest.mark.parametrize(
    ("fault", "met"),
    [
        (LostResponseFault(1.0), "5 of 5 requests answered by silence"),
        (ErrorShareFault(1.0, 503), "5 of 5 requests refused"),
        (SlowProcessingFault(0.01), "5 of 5 requests slowed down"),
    ],
    ids=["lost_response", "error_share", "slow_processing"],
)
def test_a_proxy_plays_it_and_the_callers_own_requests_prove_it(
    running: ProcessesRuntime, fault: InCallee, met: str
) -> None:
    """In force as it was set, met by requests of the caller and not by probes, and gone after the heal."""
    controls = running.controls()
    slow = Latency(0.001)
    before = fault.measure(controls, LINK)  # type: ignore[attr-defined]  # of every kind
    start = fault.look(controls, LINK, "f1")
    assert start.amiss == "it is not switched on"
    fault.inject(controls, LINK, "f1")
    assert any("has the toxic f1-requests" in one for one in running.unhealed())
    slow.inject(controls, LINK, "f2")
    slow.measure(controls, LINK)
    assert slow.look(controls, LINK, "f2").amiss == "", "beside a fault that was planned too"
    slow.heal(controls, LINK, "f2")
    work(running, 5)
    now = fault.look(controls, LINK, "f1")
    assert now.amiss == ""
    assert met in fault.met(LINK, start, now).statement
    during = fault.measure(controls, LINK)  # type: ignore[attr-defined]  # of every kind
    assert fault.judge(before, during).seen  # type: ignore[attr-defined]  # of every kind
    fault.heal(controls, LINK, "f1")
    assert fault.gone(before, fault.measure(controls, LINK)).seen  # type: ignore[attr-defined]  # of every kind
    assert list(running.unhealed()) == []
    assert call(running.address("front"), "POST", "/work", b"", deadline_s=5.0).status == 200


def test_a_toxic_that_a_stranger_changed_is_not_in_force(running: ProcessesRuntime) -> None:
    """What it does now is said; one that a stranger removed is not switched on."""
    controls, fault = running.controls(), LostResponseFault(1.0)
    fault.inject(controls, LINK, "f1")
    proxies = running._proxies
    kind = {"kind": "lost_response", "stream": "upstream"}
    proxies.put_toxic("front--back", "f1-requests", **kind, attributes={"share_ppm": 500_000})  # type: ignore[arg-type]  # as a kind says it
    assert "LostResponse(share=0.5), expected" in fault.look(controls, LINK, "f1").amiss
    proxies.remove_toxic("front--back", "f1-requests")
    assert fault.look(controls, LINK, "f1").amiss == "it is not switched on"
    fault.heal(controls, LINK, "f1")


def test_one_call_heals_what_nobody_healed(running: ProcessesRuntime) -> None:
    """The proxies are reset as a whole, and the fault may be injected again."""
    controls, fault = running.controls(), LostResponseFault(1.0)
    for _ in range(2):
        fault.inject(controls, LINK, "f1")
        assert list(running.unhealed()) != []
        running.heal()
        assert list(running.unhealed()) == []


def test_which_servers_know_requests(running: ProcessesRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded one does, also where it runs already; the original does not."""
    server = running._toxiproxy
    assert server is not None
    assert knows_requests(ServerChoice("embedded", ""))
    assert not knows_requests(ServerChoice("real", "", argv=("toxiproxy-server",)))
    monkeypatch.setenv("TOXIPROXY_TOKEN", server.token)
    assert knows_requests(ServerChoice("external", "", url=server.url))
