"""What was started and injected, written down before it is done, so that the next command can undo it.

Every instance of a runtime has a folder `var/instances/<id>/` with `journal.jsonl` in it. A line is on disk
before the thing it names happens. `sweep` looks for instances whose owner is dead, ends their processes and
removes what they left. A process is ended only when its identity is certain: pid and start time as
journaled, or the instance's own mark in its environment, or it is a child of such a process.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

MARK = "CODEBLUE_INSTANCE"
JOURNAL = "journal.jsonl"
INSTANCES = "instances"
END_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for certain: a pid may be given to another, its start time (clock ticks since boot)
    not."""

    pid: int
    started_ticks: int

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        return self.state not in ("", "Z", "X")

    @property
    def state(self) -> str:
        """The kernel's letter: R, S, D, T (stopped), Z (zombie); empty when it is gone."""
        status = _stat(self.pid)
        return status[1] if status is not None and status[0] == self.started_ticks else ""


def identify(pid: int) -> Identity | None:
    """The identity of a running process, None when there is none."""
    status = _stat(pid)
    return Identity(pid, status[0]) if status is not None else None


def _stat(pid: int) -> tuple[int, str] | None:
    """Start ticks and state letter of a process. The command name may hold spaces and brackets: cut it
    off."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    rest = text[text.rfind(")") + 2 :].split()
    return int(rest[19]), rest[0]


def boot_id() -> str:
    """Another one at every boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Journal:
    """The journal of one instance. Each call returns when its line is on the disk."""

    def __init__(self, var: Path, what: str) -> None:
        """Make the instance `var/instances/<id>` and write who owns it. Raises OSError (a full disk)."""
        self.instance = f"{what}-{os.getpid()}-{secrets.token_hex(4)}"
        self.folder = var / INSTANCES / self.instance
        self.folder.mkdir(parents=True)
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.folder / JOURNAL, flags, 0o644)
        owner = identify(os.getpid())
        assert owner is not None
        ticks = owner.started_ticks
        try:
            self.write("owner", pid=owner.pid, started_ticks=ticks, boot=boot_id(), instance=self.instance)
        except OSError:
            self.close(remove=True)
            raise

    def write(self, event: str, **details: str | int | float) -> None:
        """Append one line and force it to the disk."""
        line = json.dumps({"event": event, **details}).encode() + b"\n"
        with self._lock:
            os.write(self._fd, line)
            os.fsync(self._fd)

    def close(self, *, remove: bool) -> str:
        """The instance is stopped; with `remove` its folders go too (the journal last). Returns what went
        wrong."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
        return _remove_instance(self.folder, _read(self.folder / JOURNAL)) if remove else ""

    def environment(self) -> dict[str, str]:
        """What marks a child process as part of this instance."""
        return {MARK: self.instance}


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did, as sentences, and what it could not do."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Everything to tell, one sentence a line."""
        return [*(f"swept {line}" for line in self.done), *(f"NOT swept {line}" for line in self.failed)]


@dataclass(slots=True)
class _Account:
    """What a journal says."""

    owner: Identity | None = None
    boot: str = ""
    instance: str = ""
    processes: dict[Identity, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    engine: str = ""  # where the instance's containers are, when it has any
    injected: dict[str, str] = field(default_factory=dict)


def sweep(var: Path, containers: Callable[[str], Swept] | None = None) -> Swept:
    """Undo what dead owners left in `var/instances`. Instances of living owners are not touched.

    `containers` removes those of one instance; it is called only for instances that have some.
    """
    done: list[str] = []
    left: list[str] = []
    for journal in sorted((var / INSTANCES).glob(f"*/{JOURNAL}")):
        account = _read(journal)
        same_boot = account.boot == boot_id()
        if same_boot and account.owner is not None and account.owner.alive:
            continue
        if account.owner is None and _younger_than(journal, END_DEADLINE_S):
            continue  # its owner is about to write its first line
        name = journal.parent.name
        victims = _processes_of(account) if same_boot else {}
        survivors = end_processes(victims)
        done.extend(
            f"{name}: ended {victims[one]} (pid {one.pid})" for one in victims if one not in survivors
        )
        left.extend(f"{name}: {victims[one]} (pid {one.pid}) does not end" for one in survivors)
        done.extend(f"{name}: {fault} ended with its processes" for fault in account.injected.values())
        if account.engine and containers is not None:
            ended = containers(account.instance)
            done.extend(f"{name}: {line}" for line in ended.done)
            left.extend(f"{name}: {line}" for line in ended.failed)
            if ended.failed:
                continue
        if survivors:
            continue
        problem = _remove_instance(journal.parent, account)
        if problem:
            left.append(f"{name}: {problem}")
        else:
            done.append(f"{name}: removed what it left on the disk")
    return Swept(tuple(done), tuple(left))


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
            account.owner = Identity(entry["pid"], entry["started_ticks"])
            account.boot, account.instance = entry["boot"], entry["instance"]
        case "started":
            account.processes[Identity(entry["pid"], entry["started_ticks"])] = entry["name"]
        case "folder":
            account.folders.append(Path(entry["path"]))
        case "engine":
            account.engine = entry["endpoint"]
        case "inject":
            account.injected[entry["fault"]] = f"{entry['what']} on {entry['target']}"
        case "heal":
            account.injected.pop(entry["fault"], None)


def _processes_of(account: _Account) -> dict[Identity, str]:
    """The instance's processes that run: journaled ones, marked ones, and the children of both."""
    found = {one: name for one, name in account.processes.items() if one.alive}
    mark = f"{MARK}={account.instance}".encode()
    for pid in psutil.pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        identity = identify(pid)
        if account.instance and mark in environment and identity is not None and pid != os.getpid():
            found.setdefault(identity, _command(pid))
    for one in list(found):
        for child in descendants(one.pid):
            found.setdefault(child, _command(child.pid))
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
