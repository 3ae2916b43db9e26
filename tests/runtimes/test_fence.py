"""A packet rule keeps other users from a port that asks for no token, and goes with its instance."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.fence import can_fence, lower_fence
from runtimes.leftovers import JOURNAL, Journal, sweep
from runtimes.loopback import HOST
from tests.standin.other_user import as_stranger

pytestmark = pytest.mark.skipif(not can_fence(), reason="packet rules need root and iptables")


@pytest.fixture
def port() -> Iterator[int]:
    """Something that listens and takes everybody."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path, "test")
    yield made
    made.close(remove=True)


def connects(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 2).close()
    except OSError:
        return False
    return True


def rules(instance: str) -> int:
    listed = subprocess.run(["iptables", "-w", "-S", "OUTPUT"], capture_output=True, text=True, check=True)
    return listed.stdout.count(f"codeblue-{instance}")


def test_only_our_own_user_reaches_a_fenced_port(journal: Journal, port: int) -> None:
    """Others are refused at once, and let in again when the instance ends."""
    assert as_stranger(connects, port)
    assert journal.fence(HOST, port)
    assert (as_stranger(connects, port), connects(port)) == (False, True)
    assert journal.close(remove=True) == ""
    assert as_stranger(connects, port)
    assert rules(journal.instance) == 0


def test_the_fence_of_a_dead_owner_is_removed_by_the_next_command(tmp_path: Path, port: int) -> None:
    """Its journal names it before it is there; rules of other instances stay."""
    other, dead = Journal(tmp_path / "other", "test"), Journal(tmp_path, "test")
    try:
        assert other.fence(HOST, port) and dead.fence(HOST, port)
        journal = dead.folder / JOURNAL
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        assert [line["event"] for line in lines] == ["owner", "fence"]
        assert dead.guard is not None
        dead.guard.dismiss()
        owner = {**lines[0], "started_ticks": 1}  # a process that is gone
        journal.write_text("\n".join(map(json.dumps, (owner, lines[1]))) + "\n")
        assert not sweep(tmp_path).failed
        assert (rules(dead.instance), rules(other.instance)) == (0, 1)
    finally:
        other.close(remove=True)
        lower_fence(dead.instance)
    assert as_stranger(connects, port)
