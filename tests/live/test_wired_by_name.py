"""Services that call each other by their own names, with nothing of theirs changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from experiment.controls import Blackhole, Crash, Disconnect
from runtimes.containers.runtime import ContainersRuntime
from runtimes.http_calls import CallError
from runtimes.processes.own_names import HOSTS
from runtimes.processes.runtime import ProcessesRuntime
from tests.standin.containers import require_engine
from tests.standin.strangers import LINK, by_name, told
from tests.standin.systems import settings

RUN = settings(by_name(), "work-plain-s1-aaaaaa")
OK = {"status": "ok"}


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessesRuntime]:
    runtime = ProcessesRuntime(by_name(), tmp_path_factory.mktemp("var"))
    runtime.start(RUN)
    yield runtime
    runtime.stop()


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainersRuntime]:
    require_engine()
    runtime = ContainersRuntime(by_name(), tmp_path_factory.mktemp("var"))
    runtime.start(RUN)
    yield runtime
    runtime.stop()


def judge(runtime: ProcessesRuntime | ContainersRuntime) -> None:
    """Calls go over the proxy, a fault meets them, a restart of the caller changes nothing."""
    front, link = runtime.address("front"), runtime.controls().link(LINK)
    assert told(front, "/env")["CALLEE_URL"] == "http://back:8080"
    before = link.traffic()
    assert told(front, "/call") == OK
    assert link.traffic().since(before).to_callee > 0
    link.impair("f1", Blackhole())
    with pytest.raises(CallError):
        told(front, "/call")
    link.restore("f1")
    assert told(front, "/call") == OK
    node = runtime.controls().node("front")
    node.act("f2", Crash())
    node.undo("f2")
    again = link.traffic()
    assert told(front, "/call") == OK
    assert link.traffic().since(again).to_callee > 0
    assert runtime.leaks() == []
    assert runtime.unhealed() == []


@pytest.mark.live
def test_a_process_finds_the_proxy_under_the_name_that_it_calls(processes: ProcessesRuntime) -> None:
    """In an /etc/hosts that no other process sees."""
    judge(processes)
    assert "127.77." not in HOSTS.read_text()


@pytest.mark.docker
def test_a_container_finds_the_proxy_under_the_name_that_it_calls(containers: ContainersRuntime) -> None:
    """It is in no network with its callee, which it cannot reach at its own address either."""
    judge(containers)
    engine, built = containers._running()
    back = built.layout.addresses["back"]
    reach = f"import socket; socket.create_connection(('{back.host}', {back.port}), 1)"
    assert engine.run(built.layout.container("front"), ("python3", "-c", reach)).code != 0
    shared = set(engine.state(built.layout.container("front")).networks)
    assert not shared & set(engine.state(built.layout.container("back")).networks)


@pytest.mark.docker
def test_a_container_that_is_cut_off_leaves_all_of_its_networks(containers: ContainersRuntime) -> None:
    """And comes back to each at the address that it had."""
    engine, built = containers._running()
    node, front = containers.controls().node("front"), built.layout.container("front")
    before = set(engine.state(front).networks)
    assert len(before) == 2
    node.act("f3", Disconnect())
    assert set(engine.state(front).networks) == set()
    node.undo("f3")
    assert set(engine.state(front).networks) == before
    assert told(containers.address("front"), "/call") == OK
