"""Full disks: where results go, where the database keeps its files, and where shared memory lives.

Each case runs in a mount namespace of its own with a small file system, so that nothing else is filled.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.parts import SCENARIO
from execution.places import INSTANCES

ROOT = Path(__file__).resolve().parent.parent.parent
WITHIN_S = 120.0
FILLER = "filler"


def _may_mount() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return tried.returncode == 0


pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.skipif(not _may_mount(), reason="this machine does not let us mount a small file system"),
]


class Cramped:
    """A shell in a mount namespace in which `place` is a file system of so many kilobytes. /dev/shm is full
    there: nothing of ours needs it, so that it must not matter."""

    def __init__(self, place: Path, kilobytes: int) -> None:
        self.place = place
        full_shm = "mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4096 /dev/zero >/dev/shm/filler"
        small = f"mount -t tmpfs -o size={kilobytes}k tmpfs {place}"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f"{full_shm} && {small} && cat"], stdin=subprocess.PIPE
        )
        seen = Path(f"/proc/{self._holder.pid}/root{place}")
        end = time.monotonic() + 10.0
        while seen.stat().st_dev == place.stat().st_dev:
            assert time.monotonic() < end, "the small file system was not mounted"
            time.sleep(0.01)
        self.inside = seen

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command of ours in there."""
        enter = ["nsenter", "--mount", f"--target={self._holder.pid}", f"--wd={ROOT}"]
        return subprocess.Popen(
            [*enter, sys.executable, "harness.py", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code, and what was said."""
        started = self.start(*words)
        said, _ = started.communicate(timeout=WITHIN_S)
        return started.returncode, said

    def fill(self) -> None:
        """Take all the room that is left."""
        with suppress(OSError), (self.inside / FILLER).open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    def widen(self, kilobytes: int) -> None:
        """There is room again."""
        (self.inside / FILLER).unlink(missing_ok=True)
        enter = ["nsenter", "--mount", f"--target={self._holder.pid}"]
        subprocess.run(
            [*enter, "mount", "-o", f"remount,size={kilobytes}k", str(self.place)], check=True, timeout=10.0
        )

    def close(self) -> None:
        self._holder.communicate(timeout=10.0)


@pytest.fixture
def cramped() -> Iterator[list[Cramped]]:
    made: list[Cramped] = []
    yield made
    for one in made:
        one.close()


@pytest.mark.parametrize("runtime", ["simulation", "processes"])
def test_a_disk_that_is_full_of_results_ends_the_run_and_its_check_in_order(
    tmp_path: Path, cramped: list[Cramped], runtime: str
) -> None:
    """Both end with 3 and say where room is wanted. With room again, `check` says that the run is invalid; no
    half report is left in between."""
    out = tmp_path / "results"
    out.mkdir()
    cramped.append(small := Cramped(out, 300))
    code, said = small.run(
        "run", str(SCENARIO), "--design", "resilient", "--runtime", runtime, "--out", str(out)
    )
    assert code == 3, said
    assert "No space left on device" in said and " check " in said
    (folder,) = [path for path in small.inside.iterdir() if path.is_dir()]
    assert not list(folder.glob("analysis.json")) and not list(folder.glob("report.*"))
    small.fill()
    code, said = small.run("check", str(out / folder.name))
    assert (code, said.count("\n")) == (3, 1), said
    assert "found no room (No space left on device)" in said
    small.widen(8000)
    code, said = small.run("check", str(out / folder.name))
    assert code == 3 and "INVALID" in said, said


def test_a_database_whose_disk_is_full_ends_the_run_in_order(tmp_path: Path, cramped: list[Cramped]) -> None:
    """What it cannot keep it refuses: the run is invalid, since its baseline or its reset already fails."""
    INSTANCES.mkdir(exist_ok=True)
    cramped.append(small := Cramped(INSTANCES, 600_000))
    started = small.start("run", str(SCENARIO), "--design", "resilient", "--out", str(tmp_path))
    end = time.monotonic() + WITHIN_S
    while not list(tmp_path.glob("*/load.log")):
        assert started.poll() is None and time.monotonic() < end, "the run did not begin"
        time.sleep(0.05)
    small.fill()
    said, _ = started.communicate(timeout=WITHIN_S)
    assert started.returncode == 3, said
    assert "No space left on device" in said or "good before any fault" in said, said
    for history in tmp_path.glob("*/history.jsonl"):
        assert json.loads(history.read_bytes().splitlines()[-1])["type"] == "end"
