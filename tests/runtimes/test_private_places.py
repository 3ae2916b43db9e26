"""What is closed to other users of the machine stays closed under every mask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiment.errors import StartError
from runtimes import private_places as places
from runtimes.leftovers import JOURNAL, Journal

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077], ids=oct, autouse=True)
def mask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test under each mask that people set."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_closed_folder_and_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Also when they were open before, and each new text of a file."""
    folder = places.closed_folder(tmp_path / "a" / "b")
    (tmp_path / "old").mkdir(mode=0o755)
    for text in ("first", "second"):
        places.write_closed(folder / "secret", text)
        assert (folder / "secret").read_text() == text
        (folder / "secret").chmod(0o640)
    places.write_closed(folder / "secret", "third")
    modes = [mode(folder), mode(places.closed_folder(tmp_path / "old")), mode(folder / "secret")]
    assert modes == [0o700, 0o700, 0o600]


def test_a_secret_is_never_written_through_a_link(tmp_path: Path) -> None:
    """Somebody else may have laid one where the file is to be."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"):
        places.write_closed(tmp_path / "link", "secret")
    assert not (tmp_path / "elsewhere").exists()


def test_a_passage_can_be_passed_and_not_listed(tmp_path: Path) -> None:
    """Whatever the mask took from it is given back."""
    assert mode(places.passage(tmp_path / "way")) & 0o077 == 0o011


@root_only
def test_a_passage_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """In a folder for temporary files anybody may make one under our name."""
    (tmp_path / "way").mkdir()
    os.chown(tmp_path / "way", 65534, 65534)
    (tmp_path / "link").symlink_to(tmp_path)
    for trap in ("way", "link"):
        with pytest.raises(StartError, match="belongs to another user"):
            places.passage(tmp_path / trap)


@root_only
def test_one_group_alone_is_let_in(tmp_path: Path) -> None:
    """It passes through a closed folder, as nobody else does, and cannot list it."""
    folder = places.closed_folder(tmp_path / "instance")
    places.let_in(folder, 61_713)
    assert (mode(folder), folder.stat().st_gid) == (0o710, 61_713)


@root_only
def test_what_a_container_reads_belongs_to_its_user(tmp_path: Path) -> None:
    """No other user of the machine gets to see it."""
    places.write_closed(tmp_path / "config", "secret")
    places.hand_over(tmp_path / "config", 10001)
    assert ((tmp_path / "config").stat().st_uid, mode(tmp_path / "config")) == (10001, 0o600)


def test_without_root_a_container_reads_by_everybodys_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder above it is closed."""
    places.write_closed(tmp_path / "config", "secret")
    (tmp_path / "configs").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("config", "configs"):
        places.hand_over(tmp_path / name, 10001)
    assert (mode(tmp_path / "config"), mode(tmp_path / "configs")) == (0o644, 0o755)


def test_the_spare_user_is_nobody_elses() -> None:
    """It has no name, so that no login, no package and no service runs as it."""
    import pwd

    with pytest.raises(KeyError):
        pwd.getpwuid(places.spare_user())


def test_an_instance_is_closed_from_its_first_line_on(tmp_path: Path) -> None:
    """Its folder and its journal."""
    journal = Journal(tmp_path, "test")
    try:
        assert (mode(journal.folder), mode(journal.folder / JOURNAL)) == (0o700, 0o600)
    finally:
        journal.close(remove=True)
