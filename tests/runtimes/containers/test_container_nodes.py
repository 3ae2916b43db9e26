"""What is done to a container is undone by the last fault that wanted it, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiment.controls import (
    CpuLimit,
    Crash,
    Disconnect,
    FillDisk,
    NodeAction,
    OutOfMemory,
    Pause,
    SkewClock,
    capability,
)
from experiment.errors import UnsupportedError
from runtimes.containers.nodes import ContainerNode
from runtimes.containers.parts import ContainerPart
from runtimes.containers.specs import ContainerSpec, ContainerState
from runtimes.leftovers import Journal
from runtimes.runtime import Address

NETWORK = "codeblue-1"
MEMORY = 512 * 2**20
UP = ContainerState("running", pid=7, started_at="t1", networks=(NETWORK,), memory_bytes=MEMORY)


class _Engine:
    """Keeps the state of one container as a real engine would."""

    def __init__(self) -> None:
        self.now = UP
        self.starts = 1

    def state(self, name: str) -> ContainerState:
        assert name == "c"
        return self.now

    def kill(self, name: str) -> None:
        self.now = replace(self.now, status="exited", exit_code=137, pid=0)

    def start(self, name: str) -> None:
        self.starts += 1
        self.now = replace(self.now, status="running", pid=self.starts, started_at=f"t{self.starts}")

    def resume(self, name: str) -> None:
        os.kill(self.now.pid, signal.SIGCONT)

    def pause(self, name: str) -> None:
        self.now = replace(self.now, status="paused")

    def unpause(self, name: str) -> None:
        self.now = replace(self.now, status="running")

    def limit_cpu(self, name: str, cores: float | None) -> None:
        self.now = replace(self.now, cpu_quota_us=-1 if cores is None else round(cores * 100_000))

    def limit_memory(self, name: str, limit_bytes: int) -> None:
        self.now = replace(self.now, memory_bytes=limit_bytes)

    def disconnect(self, network: str, name: str) -> None:
        self.now = replace(self.now, networks=())

    def connect(self, network: str, name: str, address: str) -> None:
        assert address == "10.9.0.3"
        self.now = replace(self.now, networks=(network,))


class _Toolbox:
    def __init__(self) -> None:
        self.full: set[str] = set()

    def fill(self, store: str) -> None:
        self.full.add(store)

    def empty(self, store: str) -> None:
        self.full.discard(store)


class _Part(ContainerPart):
    """A part that is ready whenever it is asked."""

    def complaint(self, engine: Any) -> str:
        return ""

    def answers(self, deadline_s: float) -> bool:
        return True


def node(folder: Path, role: str = "service") -> tuple[ContainerNode, _Engine, _Toolbox]:
    spec = ContainerSpec("c", "c", "image", NETWORK, {}, memory_bytes=MEMORY)
    part = _Part("billing", role, spec, Address("10.9.0.3", 8080))
    clock = folder / "clock"
    clock.write_text("+0\n")
    engine, toolbox = _Engine(), _Toolbox()
    made = ContainerNode(
        part,
        engine,  # type: ignore[arg-type]
        toolbox,  # type: ignore[arg-type]
        clock if role == "service" else None,
        Journal(folder, "test"),
    )
    return made, engine, toolbox


def test_two_pauses_end_with_the_second(tmp_path: Path) -> None:
    """Overlapping faults of one kind do not heal one another."""
    held, engine, _ = node(tmp_path)
    held.act("f1", Pause())
    held.act("f2", Pause())
    held.undo("f1")
    assert str(held.state) == "paused"
    held.undo("f2")
    held.undo("f2")
    assert str(held.state) == "running"
    assert engine.starts == 1


def test_a_crash_starts_again_with_another_identity(tmp_path: Path) -> None:
    """Process and start time are another's."""
    dead, _, _ = node(tmp_path)
    before = dead.probe(1.0).identity
    dead.act("f1", Crash())
    assert dead.probe(1.0).state == "absent"
    dead.undo("f1")
    assert dead.probe(1.0).state == "running"
    assert dead.probe(1.0).identity != before


def test_everything_that_remains_is_named(tmp_path: Path) -> None:
    """Limits, the network and the clock are read back one by one."""
    changed, engine, _ = node(tmp_path)
    assert changed.remains() == []
    changed.act("f1", CpuLimit(0.2))
    changed.act("f2", Disconnect())
    changed.act("f3", SkewClock(-300.0))
    engine.limit_memory("c", 1000)
    assert changed.remains() == [
        "its CPU is limited",
        "its memory limit is not its own",
        "it is cut off from the network",
        "its clock is moved by -300.000 s",
    ]


def test_revive_undoes_what_nobody_healed(tmp_path: Path) -> None:
    """Whatever was done: afterwards the container is as it was made."""
    changed, engine, _ = node(tmp_path)
    changed.act("f1", CpuLimit(0.2))
    changed.act("f2", Disconnect())
    changed.act("f3", SkewClock(60.0))
    changed.act("f4", Crash())
    engine.limit_memory("c", 1000)
    changed.revive()
    assert changed.remains() == []
    assert changed.state == "running"


@pytest.fixture
def process() -> Iterator[int]:
    """One that runs until the end of the test, as the first process of a container."""
    running = subprocess.Popen(["sleep", "60"])
    yield running.pid
    running.kill()
    running.wait()


def test_what_a_signal_stopped_goes_on_after_revive(process: int, tmp_path: Path) -> None:
    """The engine calls such a container running; the kernel knows better."""
    still, engine, _ = node(tmp_path)
    engine.now = replace(UP, pid=process)
    assert still.state == "running"
    os.kill(process, signal.SIGSTOP)
    end = time.monotonic() + 10.0
    while still.state == "running" and time.monotonic() < end:
        time.sleep(0.01)
    assert str(still.state) == "paused"
    still.revive()
    assert str(still.state) == "running"
    assert engine.starts == 1, "it is the same process"


def test_a_store_that_gave_up_on_a_full_disk_is_started_at_the_heal(tmp_path: Path) -> None:
    """Space alone does not bring it back."""
    store, engine, toolbox = node(tmp_path, "store")
    store.act("f1", FillDisk())
    assert toolbox.full == {"billing"}
    engine.kill("c")
    store.undo("f1")
    assert not toolbox.full
    assert store.state == "running"


@pytest.mark.parametrize(
    ("role", "action"), [("service", FillDisk()), ("store", SkewClock(1.0)), ("bus", OutOfMemory())]
)
def test_what_a_part_has_no_use_for_is_refused_by_name(tmp_path: Path, role: str, action: NodeAction) -> None:
    """The message names the part, the action and what is possible instead; nothing is journaled."""
    part, _, _ = node(tmp_path, role)
    kind = capability(type(action))
    with pytest.raises(UnsupportedError, match=rf"cannot do {kind} to billing; they can: .*crash"):
        part.act("f1", action)
    assert "inject" not in next(tmp_path.glob("instances/*/journal.jsonl")).read_text()


def test_an_unknown_gauge_is_refused_by_name(tmp_path: Path) -> None:
    """The message lists those that there are."""
    with pytest.raises(UnsupportedError, match="no gauge weight; they have clock_offset_s, connected"):
        node(tmp_path)[0].gauge("weight")
