"""Another user of the machine can neither read nor change a run, and finds no key to it afterwards."""

from __future__ import annotations

import json
import os
import re
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
from tests.standin.other_user import as_stranger, root_only

pytestmark = [pytest.mark.live, root_only]

LET_IN = ("/health",)
SECRET = re.compile(r'"?(?:token|password)"?: "?([0-9a-f]{16,})')
WRITTEN = os.O_WRONLY | os.O_RDWR


def instance_of(pid: int) -> str:
    """The name of the one instance that a command has."""
    return next(INSTANCES.glob(f"instances/processes-{pid}-*")).name


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


def secrets_of(instance: Path) -> set[str]:
    """Every token and password that the instance uses, from its own files."""
    files = [*instance.glob("configs/*.json"), instance / "nats" / "nats.conf"]
    found = {secret for file in files for secret in SECRET.findall(file.read_text())}
    for file in (storage(INSTANCES) / "cache").glob("postgres-*/passwords.json"):
        found |= set(json.loads(file.read_text()).values())
    return found


def holders(secrets: set[str], *folders: Path) -> list[str]:
    """Files below the folders that hold a secret."""
    files = [path for folder in folders for path in below(folder) if path.is_file()]
    return [str(path) for path in files if any(one.encode() in path.read_bytes() for one in secrets)]


@pytest.mark.parametrize(("server", "mask"), [("real", 0o000), ("embedded", 0o077)])
def test_another_user_gets_nothing_of_a_run(
    tmp_path: Path, server: str, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not its files, its ports, its events, its databases, its load or its processes, whatever the mask is;
    and what was tried changes nothing of the run."""
    if server == "embedded":
        monkeypatch.setenv("TOXIPROXY_SERVER", "embedded")
    elif find_server().kind != "real" or not can_fence():
        pytest.skip("the real Toxiproxy can be guarded where it is installed, by root, with iptables")
    tmp_path.chmod(0o755)
    out = tmp_path / "runs"
    out.mkdir()
    scenario = SCENARIOS / "watched_by_strangers.yaml"
    before = os.umask(mask)
    try:
        command = HarnessProcess(out, "run", str(scenario), "--design", "resilient")
    finally:
        os.umask(before)
    try:
        command.until("active")
        _try_everything(command, out)
    finally:
        command.stop()


def _try_everything(command: HarnessProcess, out: Path) -> None:
    ours = [psutil.Process(command.started.pid), *command.family()]
    name = instance_of(command.started.pid)
    instance, data = INSTANCES / "instances" / name, storage(INSTANCES) / "instances" / name
    secrets = secrets_of(instance)
    assert len(secrets) > 9
    run = next(out.glob("*-watched_by_strangers-*"))
    places = {path for top in (instance, data, run) for path in below(top)} | written_by(ours)
    places -= {out / "said.txt"}  # which this test itself wrote
    addresses = listening(ours)
    assert len(addresses) > 20
    roles = ("probe", "codeblue", "postgres", "checkin", "payer")
    pids = [process.pid for process in ours if process.is_running()]
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in pids]
    got = as_stranger(everything, sorted(map(str, places)), addresses, pids, roles)
    refused = {(path, status) for _, _, path, status in got.pop("answered")}
    assert {status for _, status in refused} == {401}
    assert got == {"readable": [], "subscribed": [], "logged_in": [], "joined": [], "watched": []}
    assert command.exit_code() == 0, command.said
    assert not any(secret in text for secret in secrets for text in (*commands, command.said))
    assert holders(secrets, run) == []
    assert [str(path) for path in below(run) if path.stat().st_mode & 0o077] == []
