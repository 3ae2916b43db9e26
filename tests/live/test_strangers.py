"""Another user of the machine can neither read nor change a run, and finds no key to it afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from execution.places import INSTANCES
from runtimes.fence import can_fence
from runtimes.links.servers import find_server
from runtimes.postgres import storage
from runtimes.private_places import below
from tests.live.break_in import Address, everything
from tests.live.harness_process import SCENARIOS, HarnessProcess
from tests.standin.containers import require_engine
from tests.standin.other_user import as_stranger, root_only

pytestmark = [pytest.mark.live, root_only]

SCENARIO = SCENARIOS / "watched_by_strangers.yaml"
ROLES = ("probe", "codeblue", "postgres", "checkin", "payer")
SECRET = re.compile(r'"?(?:token|password)"?: "?([0-9a-f]{16,})')
WRITTEN = os.O_WRONLY | os.O_RDWR


def instance_of(command: HarnessProcess, runtime: str) -> Path:
    """The folder of the one instance that a command has."""
    return next(INSTANCES.glob(f"instances/{runtime}-{command.started.pid}-*"))


def written_by(processes: list[psutil.Process]) -> set[Path]:
    """The files that are open for writing, wherever they lie."""
    found = set()
    for process in processes:
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                path = descriptor.readlink()
                flags = int((descriptor.parent.parent / "fdinfo" / descriptor.name).read_text().split()[3], 8)
            except OSError:
                continue  # it ended, or was closed
            if flags & WRITTEN and path.is_file():
                found.add(path)
    return found


def listening(processes: list[psutil.Process]) -> list[Address]:
    """Every port of the run."""
    found = {
        (one.laddr.ip, one.laddr.port)
        for process in processes
        for one in process.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }
    return sorted(found)


def secrets_in(*files: Path) -> set[str]:
    """Every token and password that stands in configurations."""
    return {secret for file in files for secret in SECRET.findall(file.read_text())}


def holders(secrets: set[str], *folders: Path) -> list[str]:
    """Files below the folders that hold a secret."""
    files = [path for folder in folders for path in below(folder) if path.is_file()]
    return [str(path) for path in files if any(one.encode() in path.read_bytes() for one in secrets)]


@dataclass(frozen=True, slots=True)
class Held:
    """What a run has at one moment: its files, its ports, its processes, and its keys."""

    run: Path
    places: set[Path]
    addresses: list[Address]
    processes: list[int]
    secrets: set[str]

    def commands(self) -> str:
        return "\n".join(Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in self.processes)


def started(out: Path, mask: int, *words: str) -> HarnessProcess:
    """A run with one slow link, under a mask."""
    out.parent.chmod(0o755)
    out.mkdir()
    before = os.umask(mask)
    try:
        return HarnessProcess(out, "run", str(SCENARIO), "--design", "resilient", *words)
    finally:
        os.umask(before)


def on_processes(command: HarnessProcess) -> Held:
    ours = [psutil.Process(command.started.pid), *command.family()]
    instance = instance_of(command, "processes")
    run = next(command.out.glob("*-watched_by_strangers-*"))
    data = storage(INSTANCES) / "instances" / instance.name
    places = {path for top in (instance, data, run) for path in below(top)} | written_by(ours)
    keys = storage(INSTANCES).glob("cache/postgres-*/passwords.json")
    secrets = {value for file in keys for value in json.loads(file.read_text()).values()}
    secrets |= secrets_in(*instance.glob("configs/*.json"), instance / "nats" / "nats.conf")
    pids = [process.pid for process in ours if process.is_running()]
    return Held(run, places, listening(ours), pids, secrets)


def in_containers(command: HarnessProcess) -> Held:
    instance = instance_of(command, "containers")
    label = f"label=codeblue.instance={instance.name}"
    names = _docker("ps", "-q", "--no-trunc", "--filter", label).split()
    found = json.loads(_docker("inspect", *names))
    addresses = {
        (network["IPAddress"], port)
        for one in found
        for network in one["NetworkSettings"]["Networks"].values()
        for port in listening_inside(one["State"]["Pid"])
        if network["IPAddress"]
    }
    addresses |= {
        (door["HostIp"], int(door["HostPort"]))
        for one in found
        for doors in one["NetworkSettings"]["Ports"].values()
        for door in doors or ()
    }
    run = next(command.out.glob("*-watched_by_strangers-*"))
    places = {path for top in (instance, run) for path in below(top)}
    secrets = secrets_in(*instance.glob("configs/*.json"), instance / "stores" / "nats.conf")
    secrets |= set(re.findall(r"PASSWORD '(\w+)'", (instance / "stores" / "databases.sql").read_text()))
    labels = json.dumps([one["Config"]["Labels"] for one in found])
    assert not any(secret in labels for secret in secrets)
    pids = [command.started.pid, *(one["State"]["Pid"] for one in found)]
    return Held(run, places, sorted(addresses), pids, secrets)


def listening_inside(pid: int) -> set[int]:
    """The ports that something listens on in the network of a process."""
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=60).stdout


def expect_nothing(command: HarnessProcess, look: Callable[[HarnessProcess], Held]) -> None:
    """Everything that another user tries in the middle of the run fails, and changes nothing of it."""
    try:
        command.until("active")
        held = look(command)
        assert len(held.secrets) > 9
        assert len(held.addresses) > 20
        commands = held.commands()
        got = as_stranger(everything, sorted(map(str, held.places)), held.addresses, held.processes, ROLES)
        assert {status for _, _, _, status in got.pop("answered")} == {401}
        assert got == {"readable": [], "subscribed": [], "logged_in": [], "joined": [], "watched": []}
        command.exit_code()
    finally:
        command.stop()
    events = [row["event"] for row in command.rows("fault")]
    assert (events[:2], events[-2:]) == (["inject", "active"], ["heal", "healed"]), command.said
    assert not {"failed", "faded", "no_effect", "not_healed"} & set(events), command.said
    assert not any(secret in text for secret in held.secrets for text in (commands, command.said))
    assert holders(held.secrets, held.run) == []
    assert [str(path) for path in below(held.run) if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(("server", "mask"), [("real", 0o000), ("embedded", 0o077)])
def test_another_user_gets_nothing_of_a_run(
    tmp_path: Path, server: str, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not its files, its ports, its events, its databases, its load or its processes, under any mask."""
    if server == "embedded":
        monkeypatch.setenv("TOXIPROXY_SERVER", "embedded")
    elif find_server().kind != "real" or not can_fence():
        pytest.skip("the real Toxiproxy can be guarded where it is installed, by root, with iptables")
    expect_nothing(started(tmp_path / "runs", mask), on_processes)


def test_another_user_gets_nothing_of_containers(tmp_path: Path) -> None:
    """Every user of the machine reaches the addresses of their network."""
    require_engine()
    expect_nothing(started(tmp_path / "runs", 0o077, "--runtime", "containers"), in_containers)
