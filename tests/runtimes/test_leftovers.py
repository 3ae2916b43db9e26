"""What a killed owner leaves behind is ended by the next command, and nothing else is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from runtimes import leftovers
from runtimes.leftovers import INSTANCES, JOURNAL, MARK, Journal, Swept, sweep
from runtimes.owners import Identity, identify
from runtimes.shared_memory import segments_below
from tests.standin.folders import open_folder

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0

# Starts a system and stops at the moment named, saying so; the test kills it there.
OWNER = """
import os, subprocess, sys, time
from pathlib import Path
from runtimes import leftovers, spawning
from runtimes.processes import runtime as processes
from tests.standin.systems import pair, settings
from experiment.controls import Delay, Pause

moment, var, tied = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "tied"

def outliving(argv, *, environment, user, **how):
    user = {"user": user[0], "group": user[1], "extra_groups": []} if user is not None else {}
    return subprocess.Popen(argv, env=environment, start_new_session=True, **user, **how)

if not tied:
    spawning.start_child = outliving
written = leftovers.Journal.write

def reached(name):
    if name == moment:
        print("reached", flush=True)
        time.sleep(60)

def write(self, event, **details):
    written(self, event, **details)
    reached(f"{event} {details.get('name', '')}".strip())

leftovers.Journal.write = write
system = pair(stores="store" in moment)
runtime = processes.ProcessesRuntime(system, var)
runtime.start(settings(system))
reached("running")
reached("running store")
runtime.controls().link("front -> back").impair("f1", Delay(0.01))
runtime.controls().node("back").act("f2", Pause())
reached("faulted")
reached("faulted store")
"""


def marked(var: Path) -> list[int]:
    """Processes of the instances below `var`: marked in their environment, or on a data folder of theirs."""
    names = [path.parent.name for path in (var / INSTANCES).glob(f"*/{JOURNAL}")]
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            command = process.cmdline()
        except psutil.Error:
            continue
        if environment.get(MARK) in names or any(name in word for name in names for word in command):
            found.append(process.pid)
    return found


def running(pids: list[int]) -> list[int]:
    """Those that run; one that has ended and waits for a parent to take note has ended."""
    return [pid for pid in pids if (one := identify(pid)) is not None and one.alive]


def guards_of(var: Path) -> list[int]:
    """The guards of the instances below `var`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "runtimes.guard" in words and words[-1].startswith(str(var.resolve())):
                found.append(process.pid)
    return found


def await_nothing(var: Path) -> float:
    """Wait until no process, folder or guard of the instances below `var` is left; the seconds it took."""
    began = time.monotonic()
    while time.monotonic() < began + DEADLINE_S:
        if not any((var / INSTANCES).iterdir()) and not marked(var) and not guards_of(var):
            break
        time.sleep(0.02)
    return time.monotonic() - began


def in_the_kernel(var: Path) -> set[int]:
    """The shared memory of the databases below `var`; none of them keeps any in files of its own."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and any(str(var) in word for word in process.cmdline()):
                assert not [m for m in process.memory_maps() if "/dev/shm" in m.path]
    return set(segments_below(var))


def segments() -> set[int]:
    """The System V shared memory of this machine."""
    rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {int(row.split()[1]) for row in rows}


def kill_owner_at(
    moment: str, var: Path, path: str = os.environ["PATH"], *, guard_too: bool = True, tied: bool = False
) -> set[int]:
    """Start an owner, wait until it is there, and kill it with SIGKILL; its guard before it. Its children
    outlive it unless they are `tied`. Returns the shared memory that its databases had."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, moment, str(var), "tied" if tied else "outliving"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline() == "reached\n", f"the owner ended before it was {moment}"
        kept = in_the_kernel(var)
        for pid in guards_of(var) if guard_too else ():
            os.kill(pid, signal.SIGKILL)
        return kept
    finally:
        owner.kill()
        owner.wait(DEADLINE_S)
        owner.stdout.close()


def without_setpriv(tmp_path: Path) -> str:
    """A PATH as on a machine without `setpriv`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("cp",):
        (tools / tool).symlink_to(f"/bin/{tool}")
    return str(tools)


MOMENTS = ["owner", "starting toxiproxy", "started toxiproxy", "started front", "running", "faulted"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_guard_of_a_killed_owner_leaves_nothing(moment: str, tmp_path: Path) -> None:
    """No command has to come by: soon after kill -9 nothing of the instance is there, nor its guard."""
    var = tmp_path / "var"
    kill_owner_at(moment, var, guard_too=False)
    survived = marked(var)
    assert await_nothing(var) < 10.0
    end = time.monotonic() + 1.0  # the guard, which is one of them, is about to end
    while running(survived) and time.monotonic() < end:
        time.sleep(0.02)
    assert running(survived) == []
    assert sweep(var).lines() == []


@pytest.mark.live
def test_the_guard_removes_what_a_database_keeps_in_the_kernel() -> None:
    """The shared memory of a killed PostgreSQL is gone with its processes and its folder."""
    with open_folder() as var:
        kept = kill_owner_at("faulted store", var, guard_too=False)
        assert len(kept) == 1
        assert await_nothing(var) < 10.0
    assert not kept & segments()


def test_a_guard_goes_with_an_instance_that_was_stopped(tmp_path: Path) -> None:
    """An orderly end leaves no guard behind."""
    journal = Journal(tmp_path, "test")
    assert len(guards_of(tmp_path)) == 1
    assert journal.close(remove=True) == ""
    assert guards_of(tmp_path) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_owner_killed_at_any_moment_is_swept(moment: str, tmp_path: Path) -> None:
    """After kill -9 of the owner nothing of its instance runs or lies around once the next command swept."""
    var = tmp_path / "var"
    kill_owner_at(moment, var)
    survived = marked(var)
    if moment in ("running", "faulted"):
        assert len(survived) >= 3, "the children are to outlive their owner here"
    swept = sweep(var)
    assert swept.failed == ()
    assert running(survived) == []
    assert list((var / INSTANCES).iterdir()) == []
    assert any("removed what it left" in line for line in swept.done)
    if moment == "faulted":
        told = "\n".join(swept.done)
        assert "delay on front -> back ended with its processes" in told
        assert "pause on back ended with its processes" in told
    assert sweep(var).lines() == []


@pytest.mark.live
def test_a_database_of_a_killed_owner_is_swept() -> None:
    """PostgreSQL hides its environment, and is found by the journal; its children and its shared memory go
    with it."""
    with open_folder() as var:
        kept = kill_owner_at("faulted store", var)
        survived = marked(var)
        names = {psutil.Process(pid).name() for pid in survived}
        assert {"postgres", "nats-server"} <= names
        assert sweep(var).failed == ()
        assert running(survived) == []
        assert list((var / INSTANCES).iterdir()) == []
    assert len(kept) == 1
    assert not kept & segments()


@pytest.mark.live
@pytest.mark.parametrize("setpriv", [True, False])
def test_children_die_with_a_killed_owner(setpriv: bool, tmp_path: Path) -> None:
    """Nothing outlives the owner even before the guard or the next command come, also without `setpriv`, and
    also what runs as another user."""
    with open_folder() as var:
        path = os.environ["PATH"] if setpriv else without_setpriv(tmp_path)
        kill_owner_at("running store", var, path, tied=True)
        end = time.monotonic() + DEADLINE_S
        while (left := marked(var)) and time.monotonic() < end:
            time.sleep(0.02)
        assert left == []
        assert sweep(var).failed == ()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that belongs to nobody's instance."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process
    process.kill()
    process.wait()


def dead_journal(var: Path, *entries: dict[str, object], boot: str = "", **owner: object) -> Path:
    """A journal whose owner is dead, unless `owner` says that it is elsewhere."""
    folder = var / INSTANCES / "dead"
    folder.mkdir(parents=True)
    boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    first = {"event": "owner", "pid": os.getpid(), "started_ticks": 1, "boot": boot, "instance": "dead"}
    lines = [json.dumps(entry) for entry in ({**first, **owner}, *entries)]
    (folder / JOURNAL).write_text("\n".join(lines) + "\n")
    return folder


def test_a_stranger_with_a_journaled_pid_is_spared(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A pid that was given to another process since then is recognised by its start time, and left alone."""
    known = identify(sleeper.pid)
    assert known is not None
    entry = {"event": "started", "name": "back", "pid": sleeper.pid, "started_ticks": known.started_ticks - 1}
    dead_journal(tmp_path, entry)
    swept = sweep(tmp_path)
    assert sleeper.poll() is None
    assert not any("ended" in line for line in swept.done)


def test_a_journaled_process_is_ended(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The same process, with its true start time, is ended and named."""
    known = identify(sleeper.pid)
    assert known is not None
    entry = {"event": "started", "name": "back", "pid": known.pid, "started_ticks": known.started_ticks}
    dead_journal(tmp_path, entry)
    swept = sweep(tmp_path)
    assert sleeper.wait(DEADLINE_S) == -signal.SIGKILL
    assert f"dead: ended back (pid {known.pid})" in swept.done


def test_nothing_is_ended_for_a_journal_of_another_boot(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """After a reboot pids and start times mean nothing; only the files are removed."""
    known = identify(sleeper.pid)
    assert known is not None
    entry = {"event": "started", "name": "back", "pid": known.pid, "started_ticks": known.started_ticks}
    folder = dead_journal(tmp_path, entry, boot="another")
    sweep(tmp_path)
    assert sleeper.poll() is None
    assert not folder.exists()


@pytest.mark.parametrize(("boot", "owner"), [("", {"namespace": 1}), ("another", {"machine": "theirs"})])
def test_an_owner_that_may_live_elsewhere_is_left_alone(
    boot: str, owner: dict[str, object], sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """In a container, or on another machine with the same files: it is said, nothing is ended or removed."""
    known = identify(sleeper.pid)
    assert known is not None
    entry = {"event": "started", "name": "back", "pid": known.pid, "started_ticks": known.started_ticks}
    folder = dead_journal(tmp_path, entry, boot=boot, **owner)
    swept = sweep(tmp_path)
    assert sleeper.poll() is None
    assert folder.exists()
    assert (swept.done, swept.failed) == ((), ())
    assert swept.passed_over[0].startswith("dead: left as it is")


def test_a_journal_is_kept_until_its_containers_are_gone(tmp_path: Path) -> None:
    """They are looked for in the engine that it names; a fault is not said to have ended before they have."""
    asked: list[tuple[str, str]] = []
    answers = [Swept(failed=("no engine answers",)), Swept(("removed 3 containers",))]

    def containers(instance: str, endpoint: str) -> Swept:
        asked.append((instance, endpoint))
        return answers[len(asked) - 1]

    engine: dict[str, object] = {"event": "engine", "endpoint": "unix:///elsewhere.sock"}
    inject: dict[str, object] = {"event": "inject", "fault": "f1", "what": "pause", "target": "back"}
    folder = dead_journal(tmp_path, engine, inject)
    assert sweep(tmp_path, containers).lines() == ["NOT swept dead: no engine answers"]
    assert folder.exists()
    assert sweep(tmp_path, containers).done == (
        "dead: removed 3 containers",
        "dead: pause on back ended with its processes",
        "dead: removed what it left on the disk",
    )
    assert asked == [("dead", "unix:///elsewhere.sock")] * 2


def test_engine_and_processes_are_swept_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes its time does not keep the processes alive, nor the other way round."""
    both = threading.Barrier(2, timeout=DEADLINE_S)

    def ended(_account: object) -> tuple[dict[Identity, str], list[Identity]]:
        both.wait()
        return {}, []

    def containers(instance: str, endpoint: str) -> Swept:
        both.wait()
        return Swept((f"removed {instance} from {endpoint}",))

    monkeypatch.setattr(leftovers, "_end_all", ended)
    dead_journal(tmp_path, {"event": "engine", "endpoint": "unix:///elsewhere.sock"})
    said = sweep(tmp_path, containers).lines()
    assert said[0] == "swept dead: removed dead from unix:///elsewhere.sock"


def test_a_living_owner_is_left_alone(tmp_path: Path) -> None:
    """Another command's instance is not touched while its owner lives."""
    journal = Journal(tmp_path, "test")
    try:
        assert sweep(tmp_path).lines() == []
        assert journal.folder.exists()
    finally:
        assert journal.close(remove=True) == ""
    assert not journal.folder.exists()


def test_a_line_cut_off_by_the_end_of_the_owner_is_passed_over(tmp_path: Path) -> None:
    """Half a last line spoils nothing of what stands before it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = dead_journal(tmp_path / "var", {"event": "folder", "path": str(elsewhere)})
    with (folder / JOURNAL).open("a") as file:
        file.write('{"event": "started", "na')
    assert sweep(tmp_path / "var").failed == ()
    assert not elsewhere.exists()
    assert not folder.exists()


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    """A folder that stays is reported with the reason, and the journal is kept for another try."""
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    folder = dead_journal(tmp_path / "var", {"event": "folder", "path": str(blocker)})
    swept = sweep(tmp_path / "var")
    assert swept.failed == (f"dead: {blocker}: Not a directory",)
    assert swept.lines()[-1].startswith("NOT swept dead")
    assert (folder / JOURNAL).exists()


def test_an_identity_is_no_longer_alive_when_its_process_ended() -> None:
    """The same pid without its process, or as a zombie, does not count as alive."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    known = identify(process.pid)
    assert known is not None
    assert running([known.pid]) == [known.pid]
    assert not Identity(known.pid, known.started_ticks + 1).alive
    process.kill()
    end = time.monotonic() + DEADLINE_S
    while running([known.pid]) and time.monotonic() < end:
        time.sleep(0.01)
    assert running([known.pid]) == []
    process.wait()
