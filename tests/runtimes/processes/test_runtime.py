"""The processes runtime: it starts all or nothing, resets, reads and stops, and says what went wrong."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from experiment.controls import Crash
from experiment.errors import StartError
from experiment.history import Record, Sample
from experiment.topology import Service, System
from runtimes import leftovers, owners
from runtimes.http_calls import call
from runtimes.loopback import HOST, free_ports
from runtimes.processes import parts as process_parts
from runtimes.processes import runtime as processes
from runtimes.processes.runtime import ProcessesRuntime
from runtimes.runtime import Zero
from tests.standin.folders import open_folder
from tests.standin.systems import pair, settings

ZERO = Zero(0.0, 0.0)


def children() -> list[psutil.Process]:
    """Children of this process that run."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if (one := owners.identify(child.pid)) is not None and one.alive
    ]


@pytest.fixture
def of_this_test() -> Callable[[], list[psutil.Process]]:
    """What the test started and still runs. Other tests of this process may have left workers waiting, and a
    database that they share starts processes of its own at any time."""
    before = set(children())
    return lambda: [child for child in children() if not before & {child, *child.parents()}]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[ProcessesRuntime]:
    """The stand-in pair without stores, up and reset."""
    system = pair()
    runtime = ProcessesRuntime(system, tmp_path)
    runtime.start(settings(system))
    yield runtime
    runtime.stop()
    assert list((tmp_path / leftovers.INSTANCES).iterdir()) == []


def work(runtime: ProcessesRuntime, times: int = 1) -> None:
    for _ in range(times):
        assert call(runtime.address("front"), "POST", "/work", b"", deadline_s=5).status == 200


def recorded(runtime: ProcessesRuntime, zero: Zero = ZERO) -> list[Record]:
    return [row for row in runtime.records(zero) if isinstance(row, Record)]


def test_a_store_that_was_read_says_how_many_records_it_gave(running: ProcessesRuntime) -> None:
    """Also the empty one: that is how it differs from one that nobody read."""
    work(running, 2)
    rows = [row for row in running.records(ZERO) if isinstance(row, Sample)]
    assert {(row.source, row.name, row.value) for row in rows} == {
        ("front", "records_read", 0.0),
        ("back", "records_read", 2.0),
    }


def test_all_is_ready_and_reachable_after_start(running: ProcessesRuntime) -> None:
    """A request goes from the client through `front` and its link to `back`, which records it."""
    work(running)
    (record,) = recorded(running)
    assert (record.store, record.kind, record.caller) == ("back", "work", "front")
    assert list(running.unhealed()) == []


def test_a_reset_empties_and_takes_the_new_run(running: ProcessesRuntime) -> None:
    """What an earlier run recorded is gone; nothing was restarted for it."""
    work(running, 3)
    before = running.controls().node("back").probe(1.0).identity
    running.reset(settings(running.system, "r-2"))
    assert recorded(running) == []
    assert running.controls().node("back").probe(1.0).identity == before


def test_a_service_that_asks_for_a_restart_gets_one(running: ProcessesRuntime) -> None:
    """409 to a reset means: start me again with the new design, then reset me."""
    before = running.controls().node("back").probe(1.0).identity
    running.reset(settings(running.system, "r-2", design="structural"))
    assert running.controls().node("back").probe(1.0).identity != before
    work(running)


def test_a_reset_that_is_refused_names_service_and_answer(running: ProcessesRuntime) -> None:
    """A service that cannot be reset makes no run possible, and says why."""
    with pytest.raises(StartError, match=r"back: 500 .*this design is refused"):
        running.reset(settings(running.system, "r-2", design="refused"))


def test_records_are_on_the_clock_of_the_run(running: ProcessesRuntime) -> None:
    """Unix seconds of a service become seconds since the run's zero."""
    work(running)
    (early,) = recorded(running)
    assert early.t is not None
    (late,) = recorded(running, Zero(0.0, early.t))
    assert late.t == 0.0


def test_samples_count_requests_and_processes(running: ProcessesRuntime) -> None:
    """Counters of services and the kernel's account of every process, Toxiproxy among them."""
    work(running, 2)
    samples = {(row.source, row.name, row.about): row.value for row in running.sample(ZERO)}
    assert samples[("back", "received", "front")] == 2
    assert samples[("back", "up", "")] == 1
    assert samples[("toxiproxy", "process_rss_bytes", "")] > 1_000_000


def test_a_service_that_does_not_answer_is_sampled_as_down(running: ProcessesRuntime) -> None:
    """A crashed service has no counters, and its backlog counts as unreachable, not as empty."""
    running.controls().node("back").act("f1", Crash())
    samples = {(row.source, row.name): row.value for row in running.sample(ZERO)}
    assert samples[("back", "up")] == 0
    assert running.backlog()["back"] == {"unreachable": 1}
    assert running.backlog()["front"] == {"outbox": 0}
    with pytest.raises(StartError, match="the records of back could not be read"):
        running.records(ZERO)


def test_a_service_that_died_by_itself_shows_when_read_back(running: ProcessesRuntime) -> None:
    """Nobody injected it, but a run on a system without one of its services is no run."""
    identity = owners.identify(int(running.controls().node("back").probe(1.0).identity.split("/")[0]))
    assert identity is not None
    assert leftovers.end_processes([identity]) == []
    (problem,) = running.unhealed()
    assert problem.startswith("back is absent: ended by SIGKILL; it said:")


def test_logs_and_spans_are_collected_for_each_run(running: ProcessesRuntime, tmp_path: Path) -> None:
    """A run's folder gets what was written since its reset, and nothing of the run before."""
    running.reset(settings(running.system, "r-2"))
    running.collect(tmp_path / "one")
    running.reset(settings(running.system, "r-3"))
    running.collect(tmp_path / "two")
    assert json.loads((tmp_path / "one" / "logs" / "back.log").read_text()) == {"reset": "r-2"}
    assert json.loads((tmp_path / "two" / "logs" / "back.log").read_text()) == {"reset": "r-3"}
    assert (tmp_path / "two" / "traces" / "back.spans.jsonl").read_text() == ""


def test_services_get_no_proxy_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment diverts neither the harness nor the services."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    system = pair()
    runtime = ProcessesRuntime(system, tmp_path)
    runtime.start(settings(system))
    try:
        work(runtime)
        pid = int(runtime.controls().node("back").probe(1.0).identity.split("/")[0])
        assert "HTTP_PROXY" not in psutil.Process(pid).environ()
    finally:
        runtime.stop()


@pytest.mark.usefixtures("running")
def test_everything_listens_on_loopback_only() -> None:
    """No other machine can reach any part of the system."""
    listening = [
        connection.laddr
        for child in children()
        for connection in child.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert {address.ip for address in listening} == {HOST}


def test_stop_can_be_called_twice_and_before_start(
    tmp_path: Path, of_this_test: Callable[[], list[psutil.Process]]
) -> None:
    """Clean-up never fails for having nothing to do."""
    runtime = ProcessesRuntime(pair(), tmp_path)
    runtime.stop()
    runtime.start(settings(runtime.system))
    runtime.stop()
    runtime.stop()
    assert of_this_test() == []


def dying(name: str) -> System:
    """The pair with one service that ends at its start."""
    system = pair()
    services = {**system.services, name: Service(module="tests.standin.absent")}
    return System(system.name, services, system.links, system.journeys, system.mixes)


def test_a_service_that_dies_at_start_is_named_with_its_last_words(
    tmp_path: Path, of_this_test: Callable[[], list[psutil.Process]]
) -> None:
    """The message has the service, how it ended and its last log lines; all else is stopped again."""
    runtime = ProcessesRuntime(dying("back"), tmp_path)
    with pytest.raises(StartError) as caught:
        runtime.start(settings(runtime.system))
    assert "back on 127.0.0.1:" in str(caught.value)
    assert "ended with exit status 1; it said:" in str(caught.value)
    assert "No module named tests.standin.absent" in str(caught.value)
    assert of_this_test() == []
    assert list((tmp_path / leftovers.INSTANCES).iterdir()) == []


def test_a_service_that_never_gets_ready_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_this_test: Callable[[], list[psutil.Process]]
) -> None:
    """A deadline ends the wait, and the message says what was seen last."""
    monkeypatch.setattr(processes, "START_DEADLINE_S", 0.5)
    monkeypatch.setattr(
        process_parts.ServiceProcess, "complaint", lambda _: "GET /ready answered 503 no tables yet"
    )
    runtime = ProcessesRuntime(pair(), tmp_path)
    with pytest.raises(StartError, match=r"back .*is not ready: running; last seen: GET /ready answered 503"):
        runtime.start(settings(runtime.system))
    assert of_this_test() == []


def test_a_taken_port_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody takes a port between its choice and its use, all is started again on others."""
    with socket.create_server((HOST, 0)) as stranger:
        offered = [[stranger.getsockname()[1], *free_ports(1)]]

        def ports(count: int) -> list[int]:
            return offered.pop() if offered else free_ports(count)

        monkeypatch.setattr(processes, "free_ports", ports)
        runtime = ProcessesRuntime(pair(), tmp_path)
        runtime.start(settings(runtime.system))
        try:
            work(runtime)
            assert runtime.address("front").port != stranger.getsockname()[1]
        finally:
            runtime.stop()


def test_ports_that_are_always_taken_end_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_this_test: Callable[[], list[psutil.Process]]
) -> None:
    """After a few tries the message names the part, its port and what it said."""
    with socket.create_server((HOST, 0)) as stranger:
        port = stranger.getsockname()[1]
        monkeypatch.setattr(processes, "free_ports", lambda _: [port, *free_ports(1)])
        runtime = ProcessesRuntime(pair(), tmp_path)
        with pytest.raises(StartError) as caught:
            runtime.start(settings(runtime.system))
    assert f"front cannot listen on 127.0.0.1:{port}: the port is taken" in str(caught.value)
    assert "address already in use" in str(caught.value)
    assert of_this_test() == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 2 MB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    with open_folder() as folder:
        argv = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", str(folder)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"this machine does not let us mount: {done.stderr.strip()}")
        yield folder
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.live
def test_a_disk_that_gets_full_ends_the_start(
    small_disk: Path, of_this_test: Callable[[], list[psutil.Process]]
) -> None:
    """A database that does not fit is reported as such, and nothing is left running or lying around."""
    runtime = ProcessesRuntime(pair(stores=True), small_disk)
    with pytest.raises(StartError, match="No space left on device"):
        runtime.start(settings(runtime.system))
    assert of_this_test() == []
    assert list((small_disk / leftovers.INSTANCES).iterdir()) == []


def test_a_disk_that_is_full_ends_the_start(
    small_disk: Path, of_this_test: Callable[[], list[psutil.Process]]
) -> None:
    """Not even a journal can be written: the message says where, and nothing was started."""
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(small_disk).free)
    runtime = ProcessesRuntime(pair(), small_disk)
    with pytest.raises(StartError, match=r"could not be started: No space left on device"):
        runtime.start(settings(runtime.system))
    assert of_this_test() == []
