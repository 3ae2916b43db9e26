"""The shared memory of a killed PostgreSQL is found by its data folder, and is gone with its instance."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from experiment.stop import Interrupted
from runtimes import postgres
from runtimes.leftovers import Journal
from runtimes.shared_memory import INTERLOCK_BYTES, LOCK_FILE, VERSION_FILE, remove_segment, segments_below
from tests.standin.folders import open_folder

IPC_CREAT, IPC_EXCL = 0o1000, 0o2000
LIBC = ctypes.CDLL(None, use_errno=True)


def made(key: int, size: int = INTERLOCK_BYTES) -> int:
    """A new segment that nobody has attached."""
    number = int(LIBC.shmget(ctypes.c_int(key), size, IPC_CREAT | IPC_EXCL | 0o600))
    assert number >= 0, os.strerror(ctypes.get_errno())
    return number


def there(segment: int) -> bool:
    rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return segment in {int(row.split()[1]) for row in rows}


@pytest.fixture
def data(journal: Journal) -> Path:
    """A data folder as `initdb` begins it, in an instance."""
    home = journal.folder / "postgres" / "data"
    (home / "base" / "1").mkdir(parents=True)
    (home / VERSION_FILE).write_text("18\n")
    (home / "base" / "1" / VERSION_FILE).write_text("18\n")
    return home


def test_a_segment_is_found_before_its_lock_file_is_written(data: Path) -> None:
    """Its key is the inode of the data folder; a segment of another size with the key of another folder is
    nobody's."""
    own, others = made(data.stat().st_ino), made((data / "base").stat().st_ino)
    try:
        assert segments_below(data.parents[1]) == [own]
    finally:
        assert [remove_segment(one) for one in (own, others)] == ["", ""]


def test_a_segment_of_another_size_is_left_alone(data: Path) -> None:
    """The number of an inode may be the key of somebody else's memory."""
    others = made(data.stat().st_ino, 4096)
    try:
        assert segments_below(data.parents[1]) == []
    finally:
        assert remove_segment(others) == ""


def test_a_segment_whose_key_was_taken_is_found_by_its_lock_file(data: Path) -> None:
    """The lock file names it; one whose maker is another process is not the server's."""
    number = made((data / "base").stat().st_ino)
    lines = [str(-os.getpid()), str(data), "0", "5432", "", "", f"4711 {number}"]
    try:
        (data / LOCK_FILE).write_text("\n".join(lines))
        assert segments_below(data.parents[1]) == [number]
        (data / LOCK_FILE).write_text("\n".join(["1", *lines[1:]]))
        assert segments_below(data.parents[1]) == []
    finally:
        assert remove_segment(number) == ""


def test_an_instance_that_is_closed_in_order_leaves_no_shared_memory(tmp_path: Path) -> None:
    """Its databases may have been killed: by a fault, by a signal in their start, or after a deadline."""
    journal, elsewhere = Journal(tmp_path / "var", "test"), tmp_path / "elsewhere"
    journal.write("folder", path=str(elsewhere))
    kept = []
    for home in (journal.folder / "postgres" / "data", elsewhere / "data"):
        home.mkdir(parents=True)
        (home / VERSION_FILE).write_text("18\n")
        kept.append(made(home.stat().st_ino))
    assert journal.close(remove=True) == ""
    assert [there(one) for one in kept] == [False, False]


@pytest.mark.live
def test_an_interrupted_initdb_leaves_no_shared_memory() -> None:
    """It starts servers of its own, which die with it when a signal comes while the template is made."""
    seen: list[int] = []
    with open_folder() as var:
        journal, cache = Journal(var, "test"), var / "cache"
        over = threading.Event()

        def interrupt() -> None:
            while not seen and not over.is_set():
                for lock in cache.glob(f"postgres-*.*/data/{LOCK_FILE}"):
                    seen.extend(held_with_segment(lock, cache))
            journal.stop.asked("interrupted by the test")

        watcher = threading.Thread(target=interrupt)
        watcher.start()
        try:
            with pytest.raises(Interrupted):
                postgres.template(postgres.find_programs(cache, journal), cache, ("billing",), journal)
        finally:
            over.set()
            watcher.join()
            assert journal.close(remove=True) == ""
        assert list(cache.glob("postgres-*")) == []
    assert len(seen) == 1
    assert not there(seen[0])


def held_with_segment(lock: Path, cache: Path) -> list[int]:
    """A server that stands still with its segment, until it is killed; empty where it has none now."""
    with suppress(psutil.Error, OSError, ValueError, IndexError):
        server = psutil.Process(abs(int(lock.read_text().split()[0])))
        server.send_signal(signal.SIGSTOP)
        if found := segments_below(cache):
            return found
        server.send_signal(signal.SIGCONT)
    return []
