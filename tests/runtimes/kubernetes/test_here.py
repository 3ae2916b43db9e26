"""Containers of a cluster whose node is this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.kubernetes import here
from runtimes.kubernetes.here import LocalPods, processes_of
from runtimes.kubernetes.pods import Pod
from runtimes.kubernetes.watch import PodWatch


def test_the_first_process_of_each_container_is_found(tmp_path: Path) -> None:
    """By the id in its control group, in either version of these; others are not found, and cost nothing."""
    groups = {
        "1": "0::/init.scope\n",
        "30": "4:cpu:/kubepods/pod1/aaa\n0::/kubepods/pod1/aaa\n",
        "7": "4:cpu:/kubepods/pod1/aaa\n",
        "8": "0::/kubepods.slice/cri-containerd-bbb.scope\n",
    }
    for pid, text in groups.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(text)
    (tmp_path / "9").mkdir()  # it ended meanwhile
    (tmp_path / "meminfo").write_text("")
    assert processes_of(["aaa", "bbb", "ccc", ""], tmp_path) == {"aaa": 7, "bbb": 8}


def test_pods_of_other_machines_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no process and no network that could be looked at; a restart is looked for anew."""
    pods = [
        Pod("a-1", "a-b", container="aaa", running=True),
        Pod("b-1", "toxiproxy", container="bbb", running=True),
        Pod("c-1", "c"),
    ]
    asked: list[set[str]] = []

    def found(wanted: set[str]) -> dict[str, int]:
        asked.append(set(wanted))
        return {"aaa": 7}

    monkeypatch.setattr(here, "processes_of", found)
    watch = PodWatch(lambda: pods)
    watch.close()
    local = LocalPods(watch, {"a-b": "a_b"})
    assert local.pids() == {"a_b": 7} and local.pids() == {"a_b": 7}
    assert asked == [{"aaa", "bbb"}]
    assert local.network("a_b") == Path("/proc/7/ns/net")
    assert local.network("toxiproxy") is None
