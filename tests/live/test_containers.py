"""The containers runtime on a real engine: private, complete, and gone without a trace."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiment.errors import CleanupError, StartError
from experiment.history import Record
from faults.crash import Crash
from faults.pause import Pause
from runtimes.containers.abilities import abilities, kernel_abilities
from runtimes.containers.engine import Engine
from runtimes.containers.engine_images import Images
from runtimes.containers.layout import INSTANCE, OWNER, PART
from runtimes.containers.recipes import name_of
from runtimes.containers.runtime import ContainersRuntime
from runtimes.containers.specs import ContainerSpec
from runtimes.containers.sweeping import sweep_engine, sweep_instance
from runtimes.docker_engine import EngineGone
from runtimes.http_calls import CallError, call
from runtimes.leftovers import INSTANCES, sweep
from runtimes.links.controls import IMPAIRMENTS
from runtimes.loopback import free_ports
from runtimes.owners import Identity, Owner, this_process
from runtimes.runtime import Zero
from tests.live.engine_forwarder import Forwarder
from tests.standin.containers import require_engine, standin_image
from tests.standin.guards import kill_with_guards
from tests.standin.systems import pair, settings

pytestmark = pytest.mark.docker
ROOT = Path(__file__).resolve().parents[2]
ZERO = Zero(0.0, 0.0)
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def image() -> str:
    require_engine()
    return standin_image()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    require_engine()
    found = Engine()
    yield found
    found.close()


@pytest.fixture(scope="module")
def running(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainersRuntime]:
    """The stand-in pair with stores, shared by the tests that leave it as they found it."""
    system = pair(stores=True)
    runtime = ContainersRuntime(system, tmp_path_factory.mktemp("var"), image)
    runtime.start(settings(system))
    yield runtime
    runtime.stop()


def inspected(engine: Engine, runtime: ContainersRuntime) -> dict[str, dict[str, Any]]:
    """What the engine knows of each part's container."""
    (instance,) = (runtime._var / INSTANCES).iterdir()
    names = engine.containers(f"{INSTANCE}={instance.name}")
    shown = {name: engine.api.inspect_container(name) for name in names}
    return {one["Config"]["Labels"][PART]: one for one in shown.values()}


def everything(engine: Engine, instance: str) -> list[str]:
    label = f"{INSTANCE}={instance}"
    return [*engine.containers(label), *engine.networks(label), *engine.volumes(label)]


def work(runtime: ContainersRuntime) -> int:
    return call(runtime.address("front"), "POST", "/work", b"", deadline_s=5).status


def test_a_request_goes_through_front_door_and_link(running: ContainersRuntime) -> None:
    """From 127.0.0.1 to `front`, over Toxiproxy to `back`, which records it; a reset empties it again."""
    assert running.address("front").host == "127.0.0.1"
    assert work(running) == 200
    (record,) = (row for row in running.records(ZERO) if isinstance(row, Record))
    assert (record.store, record.kind, record.caller) == ("back", "work", "front")
    running.reset(settings(running.system, "r-2"))
    assert not any(isinstance(row, Record) for row in running.records(ZERO))
    assert running.unhealed() == []


def test_containers_have_no_more_rights_than_they_need(running: ContainersRuntime, engine: Engine) -> None:
    """Read-only, no capabilities, no new privileges, not root; the toolbox may act on packets and files."""
    for part, shown in inspected(engine, running).items():
        host = shown["HostConfig"]
        assert host["ReadonlyRootfs"], part
        assert host["CapDrop"] == ["ALL"], part
        assert not host["Privileged"], part
        assert "no-new-privileges" in host["SecurityOpt"], part
        assert (shown["Config"]["User"] == "0:0") == (part == "toolbox"), part
        assert set(host["CapAdd"] or ()) == ({"DAC_OVERRIDE", "NET_ADMIN"} if part == "toolbox" else set()), (
            part
        )


def test_only_front_doors_are_published_and_only_on_loopback(
    running: ContainersRuntime, engine: Engine
) -> None:
    """Other machines reach nothing."""
    published = {}
    for part, shown in inspected(engine, running).items():
        ports = [one for found in (shown["NetworkSettings"]["Ports"] or {}).values() for one in found or ()]
        if ports:
            published[part] = {one["HostIp"] for one in ports}
    assert published == {"front": {"127.0.0.1"}}


def test_containers_reach_nothing_outside_their_network(running: ContainersRuntime, engine: Engine) -> None:
    """A listener that any other container reaches does not hear from one of ours: there is no way out."""
    names = {part: shown["Name"].lstrip("/") for part, shown in inspected(engine, running).items()}
    other, caller = "codeblue-listener", "codeblue-caller"
    listen = ("http.server", "8080", "--bind", "0.0.0.0")

    def on_the_default_bridge(name: str) -> None:
        engine.remove(name)
        engine.create(ContainerSpec(name, "x", name_of("service"), "bridge", {}, command=listen))
        engine.start(name)

    try:
        on_the_default_bridge(other)
        on_the_default_bridge(caller)
        networks = engine.api.inspect_container(other)["NetworkSettings"]["Networks"]
        host = networks["bridge"]["IPAddress"]
        program = ("python3", "-c", f"import socket; socket.create_connection(('{host}', 8080), 2)")
        end = time.monotonic() + 10
        while engine.run(caller, program).code != 0 and time.monotonic() < end:
            time.sleep(0.1)
        assert engine.run(caller, program).code == 0, "the listener must be there to be reached"
        ran = engine.run(names["back"], program)
    finally:
        engine.remove(other)
        engine.remove(caller)
    assert ran.code != 0
    assert "timed out" in ran.output or "unreachable" in ran.output


def test_every_link_goes_through_the_toxiproxy_container(running: ContainersRuntime, engine: Engine) -> None:
    """A caller knows no other address: without Toxiproxy nothing gets through, though the callee runs."""
    toxiproxy = inspected(engine, running)["toxiproxy"]["Name"].lstrip("/")
    engine.pause(toxiproxy)
    try:
        with pytest.raises(CallError):
            call(running.address("front"), "POST", "/work", b"", deadline_s=0.5)
        assert running.controls().node("back").probe(1.0).answers
    finally:
        engine.unpause(toxiproxy)
    assert work(running) == 200


def test_a_front_door_is_open_again_after_a_crash(running: ContainersRuntime) -> None:
    """The published port stays the same, and so does the address behind it."""
    controls = running.controls()
    Crash().inject(controls, "front", "f1")
    with pytest.raises(CallError):
        work(running)
    Crash().heal(controls, "front", "f1")
    assert work(running) == 200


def test_logs_and_fates_are_kept_in_the_run_folder(running: ContainersRuntime, tmp_path: Path) -> None:
    """What each container wrote since the reset, how it ended, and the spans."""
    running.reset(settings(running.system, "r-kept"))
    running.collect(tmp_path)
    assert "r-kept" in (tmp_path / "logs" / "back.log").read_text()
    fates = json.loads((tmp_path / "logs" / "containers.json").read_text())
    assert {"front", "back", "postgres", "bus", "toxiproxy", "toolbox"} == set(fates)
    assert fates["postgres"]["status"] == "running"
    assert (tmp_path / "traces" / "back.spans.jsonl").exists()


def test_samples_have_the_cpu_and_memory_of_containers(running: ContainersRuntime) -> None:
    """The same names as of local processes, so that reports need not know which it was."""
    found = {(row.source, row.name) for row in running.sample(ZERO)}
    for part in ("front", "back", "postgres", "bus", "toxiproxy"):
        assert (part, "process_cpu_s") in found
        assert (part, "process_rss_bytes") in found


def test_what_bears_no_label_is_never_touched(engine: Engine, image: str, tmp_path: Path) -> None:
    """A neighbour with a name like ours, and an instance whose owner lives, outlast every clean-up."""
    neighbour = ContainerSpec("codeblue-neighbour", "neighbour", name_of("toolbox"), "none", {}, user="0:0")
    engine.remove(neighbour.name)
    engine.create(neighbour)
    system = pair()
    runtime = ContainersRuntime(system, tmp_path, image)
    try:
        engine.start(neighbour.name)
        runtime.start(settings(system))
        sweep_engine()
        sweep(tmp_path, sweep_instance)
        assert work(runtime) == 200
        runtime.stop()
        assert engine.state(neighbour.name).status == "running"
    finally:
        runtime.stop()
        engine.remove(neighbour.name)


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("after_s", [0.3, 1.0, 1.8, 2.6, None], ids=str)
def test_nothing_is_left_after_a_kill_at_any_moment(
    engine: Engine, tmp_path: Path, after_s: float | None
) -> None:
    """The next command removes what the dead owner left, says so, and finds nothing more the second time."""
    command = [sys.executable, "-m", "tests.live.owner", str(tmp_path)]
    owner = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "begins\n"
    if after_s is None:
        assert owner.stdout.readline() == "up\n"
    else:
        time.sleep(after_s)
    kill_with_guards(owner)
    (instance,) = [path.name for path in (tmp_path / INSTANCES).iterdir()] or [""]
    swept = sweep(tmp_path, sweep_instance)
    assert swept.failed == ()
    assert everything(engine, instance) == []
    assert not list((tmp_path / INSTANCES).iterdir())
    if after_s is None:
        assert any("removed" in line and "containers" in line for line in swept.done), swept.done
    assert sweep(tmp_path, sweep_instance).lines() == []


@pytest.mark.usefixtures("image")
def test_leftovers_are_found_by_their_label_when_the_journal_is_lost(engine: Engine, tmp_path: Path) -> None:
    """`clean` asks the engine itself."""
    command = [sys.executable, "-m", "tests.live.owner", str(tmp_path)]
    owner = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert [owner.stdout.readline() for _ in range(2)] == ["begins\n", "up\n"]
    kill_with_guards(owner)
    (instance,) = [path.name for path in (tmp_path / INSTANCES).iterdir()]
    assert everything(engine, instance)
    swept = sweep_engine()
    assert any(line.startswith(instance) for line in swept.done)
    assert everything(engine, instance) == []


def test_an_engine_that_goes_away_makes_the_run_invalid_and_leaves_nothing(
    engine: Engine, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is told so, at once and by name; once an engine answers again all is removed."""
    forwarder = Forwarder(tmp_path / "engine.sock", engine.url.split("://", 1)[1].replace("/localhost", ""))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    system = pair(stores=True)
    runtime = ContainersRuntime(system, tmp_path, image)
    runtime.start(settings(system))
    (instance,) = [path.name for path in (tmp_path / INSTANCES).iterdir()]
    assert runtime.trouble() is None
    forwarder.cut()
    end = time.monotonic() + 5
    while runtime.trouble() is None and time.monotonic() < end:
        time.sleep(0.02)
    trouble = runtime.trouble()
    assert trouble is not None and "went away" in trouble.told(0.0)
    assert runtime.unhealed() == []
    with pytest.raises(EngineGone, match="went away"):
        runtime.records(ZERO)
    forwarder.reconnect()
    runtime.stop()
    assert everything(engine, instance) == []
    assert not list((tmp_path / INSTANCES).iterdir())
    forwarder.cut()


@pytest.mark.usefixtures("image")
def test_leftovers_are_looked_for_in_the_engine_that_has_them(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever engine is chosen by now. While that one does not answer the journal is kept and it is said."""
    forwarder = Forwarder(tmp_path / "engine.sock", engine.url.split("://", 1)[1].replace("/localhost", ""))
    command = [sys.executable, "-m", "tests.live.owner", str(tmp_path)]
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/engine.sock"}
    owner = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    assert owner.stdout is not None
    assert [owner.stdout.readline() for _ in range(2)] == ["begins\n", "up\n"]
    kill_with_guards(owner)
    (instance,) = [path.name for path in (tmp_path / INSTANCES).iterdir()]
    forwarder.cut()
    for _ in range(2):
        (line,) = sweep(tmp_path, sweep_instance).failed
        assert "its journal is kept" in line and f"{tmp_path}/engine.sock" in line
    forwarder.reconnect()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    swept = sweep(tmp_path, sweep_instance)
    monkeypatch.undo()
    assert swept.failed == ()
    assert any("removed" in line and "containers" in line for line in swept.done)
    assert everything(engine, instance) == []
    forwarder.cut()


@pytest.mark.parametrize("moved", ["boot", "namespace"])
def test_an_instance_whose_owner_may_live_elsewhere_is_left(engine: Engine, moved: str) -> None:
    """A container of another pid namespace, or of a machine that only shares the engine, is told and kept."""
    ours = this_process()
    elsewhere: dict[str, Any] = {"boot": {"boot": "b", "machine": "m"}, "namespace": {"namespace": 1}}
    owner = Owner(Identity(1, 1), replace(ours.place, **elsewhere[moved]))
    name = f"codeblue-elsewhere-{moved}"
    labels = {INSTANCE: name, OWNER: str(owner)}
    engine.remove(name)
    engine.create(ContainerSpec(name, "x", name_of("toolbox"), "none", labels, user="0:0"))
    try:
        swept = sweep_engine()
        assert [line for line in swept.passed_over if line.startswith(f"{name}: left as it is")]
        assert not [line for line in (*swept.done, *swept.failed) if name in line]
        assert engine.state(name).status == "created"
    finally:
        engine.remove(name)


def test_after_the_engine_was_away_the_next_runs_have_a_system_again(
    engine: Engine, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that meets no engine fails and ends the suite no more than the one before: when the engine is
    back the next one starts the system anew, and nothing of the first is left."""
    monkeypatch.setattr("runtimes.containers.runtime.ENGINE_BACK_WITHIN_S", 0.5)
    forwarder = Forwarder(tmp_path / "engine.sock", engine.url.split("://", 1)[1].replace("/localhost", ""))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    system = pair()
    runtime = ContainersRuntime(system, tmp_path, image)
    runtime.start(settings(system))
    (first,) = [path.name for path in (tmp_path / INSTANCES).iterdir()]
    forwarder.cut()
    for _ in range(2):
        with pytest.raises((StartError, CleanupError)):
            runtime.reset(settings(system, "r-2"))
        assert runtime.unhealed() == []
        runtime.collect(tmp_path / "kept")
        assert runtime.describe().name == "containers"
    forwarder.reconnect()
    runtime.reset(settings(system, "r-3"))
    try:
        assert work(runtime) == 200
        swept = sweep(tmp_path, sweep_instance)
    finally:
        runtime.stop()
    assert swept.failed == ()
    assert everything(engine, first) == []
    forwarder.cut()


@pytest.mark.usefixtures("engine")
def test_a_service_that_dies_at_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    """Status and log lines are in the message, and nothing is left of the attempt."""
    system = pair()
    runtime = ContainersRuntime(system, tmp_path, name_of("service"))  # has no module of the stand-in
    with pytest.raises(StartError, match=r"exited with exit status 1; it said:\n.*No module named"):
        runtime.start(settings(system))
    assert not list((tmp_path / INSTANCES).iterdir())


def test_a_port_that_is_always_taken_is_told(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried on other ports three times; the engine's own words, and nothing is left of the attempts."""
    asked: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def ports(count: int) -> list[int]:
            asked.append(count)
            return [taken.getsockname()[1]]

        monkeypatch.setattr("runtimes.containers.building.free_ports", ports)
        system = pair()
        runtime = ContainersRuntime(system, tmp_path, image)
        with pytest.raises(StartError, match=r"3 times an address .*address already in use"):
            runtime.start(settings(system))
    assert len(asked) == 3
    assert not list((tmp_path / INSTANCES).iterdir())


def test_a_port_taken_once_costs_another_start(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with processes: somebody was quicker, and the system comes up on another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        chosen = [taken.getsockname()[1], *free_ports(1)]
        monkeypatch.setattr("runtimes.containers.building.free_ports", lambda _: [chosen.pop(0)])
        system = pair()
        runtime = ContainersRuntime(system, tmp_path, image)
        runtime.start(settings(system))
    try:
        assert chosen == []
        assert work(runtime) == 200
    finally:
        runtime.stop()


def test_a_paused_service_is_named_when_the_system_is_read_back(running: ContainersRuntime) -> None:
    """What is still wrong is said of the part that it is wrong with."""
    Pause().inject(running.controls(), "back", "f1")
    assert "back is paused" in running.unhealed()
    running.heal()
    assert running.unhealed() == []


def test_the_service_image_is_small_and_holds_no_tools(engine: Engine) -> None:
    """At most 400 MB in all layers; no compiler, no installer of packages; not root; a health check."""
    images = Images()
    shown = images.api.inspect_image(name_of("service"))
    images.close()
    assert shown["Size"] <= 400 * MEBIBYTE
    assert shown["Config"]["User"] == "10001:10001"
    assert shown["Config"]["Healthcheck"]["Test"][0] == "CMD"
    assert shown["Config"]["Labels"]["codeblue.content"]
    name = "codeblue-look"
    engine.remove(name)
    engine.create(ContainerSpec(name, "look", name_of("service"), "none", {}, command=("timeit",)))
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(engine.api.export(name)))) as archive:
            names = archive.getnames()
    finally:
        engine.remove(name)
    tools = {"gcc", "cc", "make", "pip", "pip3", "ld", "as"}
    assert not [name for name in names if name.rpartition("/")[2] in tools and "/bin/" in f"/{name}"]
    assert not [name for name in names if "/site-packages/pip/" in name or name.startswith("opt/site/pip/")]


@pytest.mark.usefixtures("engine")
def test_what_this_kernel_cannot_do_is_known_before_anything_starts() -> None:
    """The kernel is asked only when a scenario needs it, and by trying."""
    assert abilities(frozenset({"delay"}))["link"] == IMPAIRMENTS
    found = abilities(frozenset({"loss", "corrupt"}))["link"]
    able = kernel_abilities()
    assert ("loss" in found, "corrupt" in found) == (able.loss, able.netem)
    assert abilities(frozenset())["store"] == {"fill_disk"}
