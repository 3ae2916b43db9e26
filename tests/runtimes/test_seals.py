"""A folder that is made once and used again and again is looked at before each use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtimes.seals import SEAL, damage, seal


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A sealed folder: files that are read, one that is only looked at, an empty folder."""
    made = tmp_path / "template"
    (made / "data" / "base").mkdir(parents=True)
    (made / "data" / "empty").mkdir()
    (made / "data" / "pg_control").write_bytes(b"control" * 100)
    (made / "data" / "base" / "1259").write_bytes(b"rows" * 100)
    seal(made, made / "data" / "base")
    return made


def test_a_folder_that_nobody_touched_is_whole(home: Path) -> None:
    """Also after its own name and time have changed."""
    os.utime(home)
    assert damage(home, home / "data" / "base") == ""
    moved = home.rename(home.with_name("moved"))
    assert damage(moved, moved / "data" / "base") == ""


def _same_time(path: Path, change: Callable[[Path], object]) -> None:
    """A change that the time of the file does not show."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: (data / "pg_control").unlink(), "data/pg_control is missing"),
        (lambda data: os.truncate(data / "pg_control", 0), "data/pg_control is not as it was made"),
        (lambda data: (data / "empty").rmdir(), "data/empty is missing"),
        (lambda data: (data / "empty").chmod(0o777), "data/empty is not as it was made"),
        (lambda data: (data / "base" / "1259").write_bytes(b"rows" * 100), "data/base/1259 is not as it was"),
        (lambda data: (data / "postmaster.pid").write_text("1"), "data/postmaster.pid was not there"),
        (lambda data: (data.parent / SEAL).unlink(), "its seal cannot be read"),
        (lambda data: (data.parent / SEAL).write_text("[]"), "its seal cannot be read"),
        (
            lambda data: (data.parent / SEAL).write_text('{"version": 0, "files": {}}'),
            "its seal is of version 0",
        ),
        (
            lambda data: _same_time(data / "pg_control", lambda path: path.write_bytes(b"contrOl" * 100)),
            "data/pg_control is not as it was made",
        ),
    ],
)
def test_whatever_was_damaged_is_named(home: Path, spoil: Callable[[Path], object], said: str) -> None:
    """Lost, cut off, changed, closed or added: the first of them, by its name."""
    spoil(home / "data")
    assert damage(home, home / "data" / "base").startswith(said)


def test_several_are_counted(home: Path) -> None:
    """One line, however much is wrong."""
    for name in ("pg_control", "base/1259"):
        (home / "data" / name).unlink()
    assert damage(home, home / "data" / "base") == "data/base/1259 is missing, and 1 more"
