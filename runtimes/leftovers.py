"""What was started and injected, written down before it is done, so that the next command can undo it.

Every instance of a runtime has a folder `var/instances/<id>/` with `journal.jsonl` in it. A line is on disk
before the thing it names happens. `sweep` looks for instances whose owner is dead, ends their processes and
removes what they left. A process is ended only when its identity is certain: pid and start time as
journaled, or the instance's own mark in its environment, or it is a child of such a process. The guard of an
instance sweeps as soon as the owner is dead; where the guard is dead too, the next command does.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from experiment.stop import Stop
from runtimes.fence import can_fence, lower_fence, raise_fence
from runtimes.guard import BEAT, Guard
from runtimes.machine import processes_now, with_descendants
from runtimes.owners import ELSEWHERE, Identity, Owner, Place, here, identify, this_process
from runtimes.private_places import FILE, closed_folder
from runtimes.shared_memory import remove_segment, segments_below

MARK = "CODEBLUE_INSTANCE"
JOURNAL = "journal.jsonl"
INSTANCES = "instances"
END_DEADLINE_S = 5.0
LATE_S = 0.25  # so long nothing of an instance must have shown itself
LOOK_EVERY_S = 0.05
SWEPT_WITHIN_S = 20.0  # by another process that sweeps the same instance


class Journal:
    """The journal of one instance. Each call returns when its line is on the disk."""

    def __init__(self, var: Path, what: str, stop: Stop | None = None) -> None:
        """Make the instance `var/instances/<id>`, start its guard and write who owns it. Whoever starts parts
        of it looks at `stop`. Raises OSError (a full disk)."""
        self.stop = stop or Stop()
        self.instance = f"{what}-{os.getpid()}-{secrets.token_hex(4)}"
        self.folder = var / INSTANCES / self.instance
        closed_folder(self.folder)
        self._lock = threading.Lock()
        self.guard: Guard | None = None
        self._fenced = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.folder / JOURNAL, flags, FILE)
        owner, place = this_process().identity, here()
        try:
            self.guard = Guard(owner, self.folder)
            self.write(
                "owner",
                pid=owner.pid,
                started_ticks=owner.started_ticks,
                boot=place.boot,
                machine=place.machine,
                namespace=place.namespace,
                instance=self.instance,
            )
        except OSError:
            self.close(remove=True)
            raise

    def write(self, event: str, **details: str | int | float) -> None:
        """Append one line and force it to the disk."""
        line = json.dumps({"event": event, **details}).encode() + b"\n"
        with self._lock:
            os.write(self._fd, line)
            os.fsync(self._fd)

    def beat(self) -> None:
        """Tell the guard that the owner goes on. From the first time on it undoes everything once it has not
        heard from here for some seconds."""
        with suppress(OSError):  # the folder is gone: the guard was there before
            (self.folder / BEAT).write_text(str(time.monotonic()))

    def fence(self, host: str, port: int) -> bool:
        """Keep other users from a port that asks for no token, where that is possible; whether it was."""
        if not can_fence():
            return False
        self.write("fence", address=f"{host}:{port}")
        self._fenced = True
        return raise_fence(self.instance, host, port)

    def unfence(self) -> str:
        """Remove what `fence` set. Returns what went wrong."""
        problem = lower_fence(self.instance) if self._fenced else ""
        self._fenced = bool(problem)
        return problem

    def close(self, *, remove: bool) -> str:
        """The instance is stopped; with `remove` its folders go too (the journal last). Returns what went
        wrong."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
        problem = self.unfence()
        if remove and not problem:
            account = _read(self.folder / JOURNAL)
            kept = _sweep_shared_memory(self.folder, account).failed
            problem = "; ".join(kept) or _remove_instance(self.folder, account)
        if remove and not problem and self.guard is not None:
            self.guard.dismiss()
        return problem

    def environment(self) -> dict[str, str]:
        """What marks a child process as part of this instance."""
        return {MARK: self.instance}


@contextmanager
def temporary_folder(journal: Journal, what: str) -> Iterator[str]:
    """A folder for temporary files for the length of the `with` block, journaled before it is made."""
    folder = Path(tempfile.gettempdir()) / f"codeblue-{what}-{secrets.token_hex(4)}"
    journal.write("folder", path=str(folder))
    folder.mkdir(mode=0o700)
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did, as sentences, what it could not do, and what it had no business or no way to look
    at."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()

    def of(self, name: str) -> Swept:
        """The same, each sentence said of an instance."""
        named = [tuple(f"{name}: {line}" for line in part) for part in self._parts()]
        return Swept(*named)

    def __add__(self, other: Swept) -> Swept:
        return Swept(*(a + b for a, b in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        return self.done, self.failed, self.passed_over

    def lines(self) -> list[str]:
        """Everything to tell, one sentence a line."""
        failed = [f"NOT swept {line}" for line in self.failed]
        return [*(f"swept {line}" for line in self.done), *failed, *self.passed_over]


@dataclass(slots=True)
class _Account:
    """What a journal says."""

    owner: Owner | None = None
    instance: str = ""
    processes: dict[Identity, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    engine: str = ""  # where the instance's containers are, when it has any
    injected: dict[str, str] = field(default_factory=dict)
    touched: list[tuple[str, str, str]] = field(default_factory=list)  # of a system that was there before
    clusters: list[tuple[str, str, bool, str]] = field(default_factory=list)  # where, whether ours, label
    fenced: bool = False  # a packet rule keeps other users from its Toxiproxy


def sweep(var: Path, containers: Callable[[str, str], Swept] | None = None) -> Swept:
    """Undo what dead owners left in `var/instances`. Instances of owners that live, or may live elsewhere,
    are not touched.

    `containers` takes an instance and the engine's endpoint as journaled and removes its containers; it is
    called only for instances that have some. A journal is kept until all that it names is gone.
    """
    swept = Swept()
    for journal in sorted((var / INSTANCES).glob(f"*/{JOURNAL}")):
        swept += sweep_one(journal.parent, containers)
    return swept


def sweep_one(
    folder: Path, containers: Callable[[str, str], Swept] | None = None, *, certain: bool = False
) -> Swept:
    """The same of one instance, by its folder. `certain`: its owner is known to be dead."""
    journal = folder / JOURNAL
    with _alone(journal) as ours:
        if not ours:
            return Swept()
        account = _read(journal)
        if account.owner is None and not certain and _younger_than(journal, END_DEADLINE_S):
            return Swept()  # its owner is about to write its first line
        fate = account.owner.fate if account.owner is not None and not certain else "dead"
        if fate == "unknown":
            return Swept(passed_over=(ELSEWHERE,)).of(folder.name)
        return _sweep_dead(journal, account, containers).of(folder.name) if fate == "dead" else Swept()


@contextmanager
def _alone(journal: Path) -> Iterator[bool]:
    """Whether the instance is ours to sweep: its guard and a command may come at the same moment. The second
    one waits a while for the first, and then finds nothing."""
    try:
        file = journal.open("rb")
    except OSError:
        yield False
        return
    with file:
        end = time.monotonic() + SWEPT_WITHIN_S
        while not (locked := _lock(file.fileno())) and time.monotonic() < end:
            time.sleep(0.02)
        yield locked and journal.exists()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep_dead(journal: Path, account: _Account, containers: Callable[[str, str], Swept] | None) -> Swept:
    same_boot = account.owner is not None and account.owner.same_boot
    with ThreadPoolExecutor(1, thread_name_prefix="containers") as beside:  # an engine takes its time
        removing = None
        if account.engine and containers is not None:
            removing = beside.submit(containers, account.instance, account.engine)
        victims, survivors = _end_all(account) if same_boot else ({}, [])
        swept = Swept(
            tuple(f"ended {victims[one]} (pid {one.pid})" for one in victims if one not in survivors),
            tuple(f"{victims[one]} (pid {one.pid}) does not end" for one in survivors),
        )
        if removing is not None:
            swept += removing.result()
    swept += _unwired(account) + _unmade(account)
    if account.fenced and (problem := lower_fence(account.instance)):
        swept += Swept(failed=(problem,))
    swept += _sweep_shared_memory(journal.parent, account)
    if swept.failed:
        return swept
    swept += Swept(tuple(f"{fault} ended with its processes" for fault in account.injected.values()))
    if problem := _remove_instance(journal.parent, account):
        return swept + Swept(failed=(problem,))
    return swept + Swept(("removed what it left on the disk",))


def _unwired(account: _Account) -> Swept:
    """A running system as it was before a run wired it."""
    if not account.touched:
        return Swept()
    from runtimes.attach.undo import Touched, undo_all

    touched = [Touched(*one) for one in account.touched]
    problems = undo_all(touched)
    return Swept(failed=tuple(problems)) if problems else Swept(tuple(map(str, touched)))


def _unmade(account: _Account) -> Swept:
    """What a run has made on clusters. The way to a cluster is loaded only for an instance that took it."""
    swept = Swept()
    for context, namespace, own, label in account.clusters:
        from runtimes.kubernetes.sweeping import remove_journaled

        done, failed = remove_journaled({label: account.instance}, context, namespace, own)
        swept += Swept(tuple(done), tuple(failed))
    return swept


def _end_all(account: _Account) -> tuple[dict[Identity, str], list[Identity]]:
    """End the instance's processes, and look again for a while: one that was being started when the owner
    died has no mark before it is executed. Returns all that were found, and those that do not end."""
    ended: dict[Identity, str] = {}
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < LATE_S:
        found = {one: name for one, name in _processes_of(account).items() if one not in ended}
        if found:
            ended |= found
            if survivors := end_processes(found):
                return ended, survivors
            quiet_since = time.monotonic()
        time.sleep(LOOK_EVERY_S)
    return ended, []


def _sweep_shared_memory(folder: Path, account: _Account) -> Swept:
    """What killed databases left in the kernel, also an `initdb` that was interrupted; their folders tell, so
    that it comes before their removal."""
    segments = [segment for path in (folder, *account.folders) for segment in segments_below(path)]
    problems = {segment: remove_segment(segment) for segment in dict.fromkeys(segments)}
    return Swept(
        tuple(f"removed shared memory {segment}" for segment, problem in problems.items() if not problem),
        tuple(problem for problem in problems.values() if problem),
    )


def _younger_than(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime < seconds
    except OSError:
        return True


def _read(journal: Path) -> _Account:
    """A journal as far as it was written; a line cut off by the end of its owner is left out."""
    account = _Account()
    try:
        lines = journal.read_bytes().splitlines()
    except OSError:
        return account
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
            _note(account, entry)
        except (ValueError, KeyError):
            continue
    return account


def _note(account: _Account, entry: dict[str, Any]) -> None:
    match entry["event"]:
        case "owner":
            ours = here()
            machine, namespace = entry.get("machine", ours.machine), entry.get("namespace", ours.namespace)
            place = Place(entry["boot"], machine, namespace)
            account.owner = Owner(Identity(entry["pid"], entry["started_ticks"]), place)
            account.instance = entry["instance"]
        case "started":
            account.processes[Identity(entry["pid"], entry["started_ticks"])] = entry["name"]
        case "folder":
            account.folders.append(Path(entry["path"]))
        case "engine":
            account.engine = entry["endpoint"]
        case "touched":
            account.touched.append((entry["what"], entry["where"], entry["back"]))
        case "cluster":
            where = entry["context"], entry["namespace"], bool(entry["own"]), entry["label"]
            account.clusters.append(where)
        case "fence":
            account.fenced = True
        case "inject":
            account.injected[entry["fault"]] = f"{entry['what']} on {entry['target']}"
        case "heal":
            account.injected.pop(entry["fault"], None)


def _processes_of(account: _Account) -> dict[Identity, str]:
    """The instance's processes that run: journaled ones, marked ones, and the children of both."""
    running = processes_now()
    found = {one: name for one, name in account.processes.items() if one.alive}
    mark = f"{MARK}={account.instance}".encode()
    for one in running if account.instance else ():
        try:
            environment = Path(f"/proc/{one.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environment and one.alive and one.pid != os.getpid():
            found.setdefault(one, _command(one.pid))
    for one in with_descendants(found, running):
        found.setdefault(one, _command(one.pid))
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process"


def descendants(pid: int) -> list[Identity]:
    """The running children of a process, and theirs."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return [one for child in children if (one := identify(child.pid)) is not None]


def end_processes(processes: Iterable[Identity]) -> list[Identity]:
    """SIGKILL, then wait until they are gone. Returns those that are still there after the deadline."""
    waiting = list(processes)
    for one in waiting:
        if one.alive:
            try:
                os.kill(one.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            except PermissionError:
                break
    deadline = time.monotonic() + END_DEADLINE_S
    while (waiting := [one for one in waiting if one.alive]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return waiting


def _remove_instance(folder: Path, account: _Account) -> str:
    """Remove the folders of an instance, the journal last. Returns what went wrong, or nothing."""
    try:
        for path in account.folders:
            if path.exists():
                shutil.rmtree(path)
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != JOURNAL:
                path.unlink()
        (folder / JOURNAL).unlink(missing_ok=True)
        folder.rmdir()
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""
