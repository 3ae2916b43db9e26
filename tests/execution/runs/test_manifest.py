"""The parts of a run folder are bound by digests, each refusal with the name of the part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from execution.runs.manifest import (
    ABSENT,
    EVIDENCE,
    JUDGEMENT,
    MANIFEST,
    VALUES,
    digests,
    require_evidence,
    require_judgement,
    require_values,
    seal,
    sealed_columns,
)
from experiment.errors import HistoryError
from experiment.history_columns import COLUMNS

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # SHA-256 of "hello"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with every part, each with a content of its own."""
    for name in (*EVIDENCE, *COLUMNS, JUDGEMENT):
        (tmp_path / name).write_text(f"this is {name}", encoding="utf-8")
    return tmp_path


def test_a_digest_is_sha_256_of_the_whole_file(tmp_path: Path) -> None:
    """A file that is not there is absent."""
    (tmp_path / "one").write_bytes(b"hello")
    assert digests(tmp_path, ("one", "two")) == {"one": HELLO, "two": ABSENT}


def test_a_sealed_run_is_accepted_until_a_part_changes(folder: Path) -> None:
    """Evidence and judgement alike; what is no part may be written beside."""
    seal(folder)
    require_evidence(folder)
    require_judgement(folder)
    (folder / "report.html").write_text("beside", encoding="utf-8")
    require_judgement(folder)
    said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert said["version"] == 1
    assert set(said["sha256"]) == {*EVIDENCE, *COLUMNS, JUDGEMENT}


@pytest.mark.parametrize("part", [*EVIDENCE, *COLUMNS])
def test_a_part_of_the_evidence_that_changed_is_named(part: str, folder: Path) -> None:
    """Changed or gone: nobody judges by it, and no judgement is shown beside it."""
    seal(folder)
    (folder / part).write_text("another", encoding="utf-8")
    for require in (require_evidence, require_judgement):
        with pytest.raises(HistoryError, match=r"found another file than manifest\.json names") as refused:
            require(folder)
        assert str(folder / part) in str(refused.value)
    (folder / part).unlink()
    with pytest.raises(HistoryError, match=r"found no readable file \(No such file"):
        require_evidence(folder)


def test_a_judgement_that_changed_is_not_shown_and_may_be_made_anew(folder: Path) -> None:
    """The evidence still stands for itself."""
    seal(folder)
    (folder / JUDGEMENT).write_text("a better one", encoding="utf-8")
    require_evidence(folder)
    with pytest.raises(HistoryError, match="found another file"):
        require_judgement(folder)
    seal(folder, again=True)
    require_judgement(folder)


def test_judging_again_binds_the_evidence_that_was_sealed(folder: Path) -> None:
    """What lies there by now may be another file: it is not taken into the manifest."""
    seal(folder)
    before = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
    (folder / "history.jsonl").write_text("another", encoding="utf-8")
    (folder / JUDGEMENT).write_text("judged again", encoding="utf-8")
    seal(folder, again=True)
    after = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
    assert {name: after[name] for name in EVIDENCE} == {name: before[name] for name in EVIDENCE}
    assert after[JUDGEMENT] != before[JUDGEMENT]
    with pytest.raises(HistoryError, match=r"history\.jsonl"):
        require_evidence(folder)
    seal(folder)
    require_evidence(folder)


def test_columns_are_read_when_the_manifest_names_them(folder: Path) -> None:
    """With the digest of the lines that they were made from; nobody reads those of a run without manifest."""
    assert sealed_columns(folder) is None
    seal(folder)
    assert sealed_columns(folder) == digests(folder, ("history.jsonl",))["history.jsonl"]


def test_a_run_of_an_earlier_version_has_no_columns(folder: Path) -> None:
    """Its manifest does not name any, and is good; columns that appear beside it are not its own."""
    kept = {name: (folder / name).read_bytes() for name in COLUMNS}
    for name in COLUMNS:
        (folder / name).unlink()
    seal(folder)
    path = folder / MANIFEST
    said = json.loads(path.read_text(encoding="utf-8"))
    said["sha256"] = {name: digest for name, digest in said["sha256"].items() if name not in COLUMNS}
    path.write_text(json.dumps(said), encoding="utf-8")
    require_evidence(folder)
    assert sealed_columns(folder) is None
    (folder / COLUMNS[0]).write_bytes(kept[COLUMNS[0]])
    with pytest.raises(HistoryError, match=r"operations\.parquet: found another file than manifest"):
        require_evidence(folder)


def test_a_run_that_never_began_has_no_history(folder: Path) -> None:
    """Absent then, and so it must stay."""
    (folder / "history.jsonl").unlink()
    seal(folder)
    require_evidence(folder)
    (folder / "history.jsonl").write_text("appeared", encoding="utf-8")
    with pytest.raises(HistoryError, match=r"history\.jsonl"):
        require_evidence(folder)


def test_a_run_that_was_never_judged_has_no_manifest(folder: Path) -> None:
    """Its evidence is judged; there is no judgement that could be shown. Sealing it again seals it."""
    require_evidence(folder)
    with pytest.raises(
        HistoryError, match=r"found no manifest\.json.*judge the run again with `codeblue check`"
    ):
        require_judgement(folder)
    seal(folder, again=True)
    require_judgement(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "found no readable manifest"),
        ('{"version": 1, "sha256": {}, "more": 1}', "found no readable manifest"),
        ('{"version": 2, "sha256": {}}', "found version 2 of a manifest, expected 1"),
        ('{"version": 1, "sha256": {}}', "found another file than manifest.json names"),
    ],
)
def test_a_manifest_that_is_none_is_refused(text: str, said: str, folder: Path) -> None:
    """Nothing is taken for granted of it."""
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(HistoryError, match=said):
        require_evidence(folder)


def test_what_was_played_is_what_was_to_be_played(folder: Path) -> None:
    """By the digests of run.json, which is written before the start; a part without one is refused."""
    kept = digests(folder, VALUES)
    require_values(folder, kept)
    (folder / "plan.json").write_text("another", encoding="utf-8")
    with pytest.raises(HistoryError, match=r"plan.json: found another file than run\.json names"):
        require_values(folder, kept)
    with pytest.raises(HistoryError, match=r"scenario\.json"):
        require_values(folder, {})
