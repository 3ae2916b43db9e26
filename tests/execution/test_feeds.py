"""Feeds: folders of data that a system's workload reads, named on the command line."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest

from execution.catalogue import default_catalogue
from execution.commands.lazy import with_feeds_named
from execution.options import Options
from execution.runs.preflight import population_of
from experiment.errors import ConfigError
from reference_system.services.hl7_sender.generator import message

SYSTEM = default_catalogue().system()
GOOD = message("ORU^R01", "m-1", "pat-1", 1)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["x", "--hl7-feed", "d"], ["x", "--feed", "hl7=d"]),
        (["--hl7-feed=d", "--seed", "1"], ["--feed", "hl7=d", "--seed", "1"]),
        (["--feed", "a=b"], ["--feed", "a=b"]),
        (["--hl7-feed"], ["--feed", "hl7="]),
        (["--", "--hl7-feed", "d"], ["--", "--hl7-feed", "d"]),
    ],
)
def test_a_feed_has_an_option_of_its_own(words: list[str], meant: list[str]) -> None:
    """`--NAME-feed DIR` is `--feed NAME=DIR`, whatever the system calls its feeds."""
    assert with_feeds_named(words) == meant


def test_options_tell_their_feeds_as_they_are_typed() -> None:
    """The command that reproduces a run has them."""
    assert Options(feeds=(("hl7", Path("d")),)).words() == ["--hl7-feed", "d"]


def folder(tmp_path: Path) -> Path:
    for name, raw in (("good.hl7", GOOD), ("tests.hl7", GOOD.replace(b"|P|2.5", b"|T|2.5"))):
        (tmp_path / "valid").mkdir(exist_ok=True)
        (tmp_path / "valid" / name).write_bytes(raw)
    odd = tmp_path / "malformed"
    odd.mkdir()
    (odd / "same.hl7").write_bytes(GOOD.replace(b"||U", b"||O"))
    (odd / "frame.mllp").write_bytes(b"\x0b" + GOOD)
    (odd / "file.hl7").write_bytes(b"BHS|")
    entries = [{"file": "same.hl7", "expect_ack": "AE or CR: MSH-10 reuse"}, {"file": "frame.mllp"}]
    (odd / "manifest.json").write_text(json.dumps(entries))
    return tmp_path


def test_the_messages_of_a_folder_go_to_the_services(tmp_path: Path) -> None:
    """Good ones and odd ones apart, each with what it must get; files of messages are left out."""
    people = population_of(SYSTEM, Options(feeds=(("hl7", folder(tmp_path)),)))(1)
    found = {entry["name"]: entry for entry in people.data["hl7_feed"]}
    assert set(found) == {"good.hl7", "tests.hl7", "same.hl7", "frame.mllp"}
    told = {name: (entry["where"], entry["listed"]) for name, entry in found.items()}
    assert told == {
        "good.hl7": ("good", ["AA"]),
        "tests.hl7": ("odd", ["AR"]),
        "same.hl7": ("odd", ["AE", "CR"]),
        "frame.mllp": ("odd", []),
    }
    assert b64decode(found["same.hl7"]["first"]) == GOOD
    assert "feed hl7 of" in people.source
    assert people.data["patients"] == population_of(SYSTEM, Options())(1).data["patients"]


def test_an_unknown_feed_is_told_with_the_nearest(tmp_path: Path) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError, match=r"found the feed \"hl8\"[\s\S]*did you mean \"hl7\""):
        population_of(SYSTEM, Options(feeds=(("hl8", tmp_path),)))


@pytest.mark.parametrize("content", ["{", "[1]", '[{"no": "file"}]'])
def test_a_wrong_folder_is_told_by_its_place(tmp_path: Path, content: str) -> None:
    """One without messages, and one whose manifest is not one."""
    with pytest.raises(ConfigError, match="no such folder of messages"):
        population_of(SYSTEM, Options(feeds=(("hl7", tmp_path),)))(1)
    (folder(tmp_path) / "malformed" / "manifest.json").write_text(content)
    with pytest.raises(ConfigError, match=r"manifest\.json.*no manifest"):
        population_of(SYSTEM, Options(feeds=(("hl7", tmp_path),)))(1)
