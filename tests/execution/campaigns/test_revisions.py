"""A system at a revision of its repository, in a checkout of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from execution.campaigns.revisions import system_at
from experiment.errors import UsageError

WHO = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A repository with two commits of shop/system.yaml; the first is tagged v1."""
    repository = tmp_path / "repository"
    path = repository / "shop" / "system.yaml"
    path.parent.mkdir(parents=True)
    for text, words in (("name: one\n", ("tag", "v1")), ("name: two\n", ("status",))):
        path.write_text(text)
        for git in (("init", "-q"), ("add", "-A"), (*WHO, "commit", "-qm", text.strip()), words):
            subprocess.run(["git", *git], cwd=repository, check=True, capture_output=True)
    return path


def test_the_files_are_those_of_the_revision(system: Path, tmp_path: Path) -> None:
    """Also when it is asked for again, and with the user's own checkout as it was."""
    for _ in range(2):
        found = system_at(system, "v1", tmp_path / "out")
        assert found.read_text() == "name: one\n"
    assert found.is_relative_to(tmp_path / "out" / "revisions")
    assert system.read_text() == "name: two\n"


def test_a_checkout_that_somebody_changed_is_made_right_or_refused(system: Path, tmp_path: Path) -> None:
    """Changed files are put back; files that Git does not know are refused."""
    found = system_at(system, "v1", tmp_path / "out")
    found.write_text("name: changed\n")
    assert system_at(system, "v1", tmp_path / "out").read_text() == "name: one\n"
    (found.parent / "more.yaml").write_text("x")
    with pytest.raises(UsageError, match="found other files than those of the revision v1"):
        system_at(system, "v1", tmp_path / "out")


@pytest.mark.parametrize("revision", ["v2", "--upload-pack=x", ""])
def test_what_git_does_not_know_is_refused(system: Path, tmp_path: Path, revision: str) -> None:
    """With what it says; a word that looks like an option is none."""
    with pytest.raises(UsageError, match="expected one that Git knows"):
        system_at(system, revision, tmp_path / "out")


def test_a_system_that_was_not_there_yet_is_refused(system: Path, tmp_path: Path) -> None:
    """The file by its place in the repository."""
    later = system.parent / "later" / "system.yaml"
    later.parent.mkdir()
    later.write_text("name: later\n")
    with pytest.raises(UsageError, match=r"found no shop/later/system.yaml at the revision v1"):
        system_at(later, "v1", tmp_path / "out")
