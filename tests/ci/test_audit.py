"""The audit of packages fails on a known weakness, and says when it could not look."""

from __future__ import annotations

import re
from pathlib import Path

from ci.audit import told

ROOT = Path(__file__).resolve().parents[2]
WEAK = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


def test_a_known_weakness_fails() -> None:
    """With the version that mends it."""
    code, lines = told({"dependencies": [WEAK, SOUND]})
    assert code == 1
    assert lines == ["a 1: CVE-1, mended in 2", "audit: 2 packages looked at, 1 known weaknesses"]


def test_packages_that_nobody_knows_are_named() -> None:
    """They were not looked at, and count for nothing."""
    code, lines = told({"dependencies": [SOUND, UNKNOWN]})
    assert code == 0 and "audit: not in the database: c" in lines


def test_without_a_database_the_audit_is_skipped_by_name() -> None:
    """Neither no answer nor an answer about nothing is a pass."""
    for document in ({}, {"dependencies": [UNKNOWN]}):
        assert told(document) == (0, ["audit skipped: no database of known weaknesses could be reached"])


def canonical(pin: str) -> str:
    """As registries spell the name."""
    name, version = pin.lower().split("==")
    return f"{re.sub('[-_.]+', '-', name)}=={version}"


def test_every_package_is_pinned_with_hashes() -> None:
    """Both locks name all packages of their lists, each with hashes, and no host they came from."""
    for name in ("requirements", "requirements-dev"):
        lock = (ROOT / f"{name}.txt").read_text(encoding="utf-8")
        pins = re.findall(
            r"^(\S+==\S+)(?: ; [^\\\n]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", lock, re.M
        )
        assert len(pins) == len(re.findall(r"^[^\s#]", lock, re.M)) > 60
        listed = re.findall(r"^([\w.-]+==[^\s;]+)", (ROOT / f"{name}.in").read_text(encoding="utf-8"), re.M)
        assert {canonical(pin) for pin in listed} <= {canonical(pin) for pin in pins}
        assert "http" not in re.sub(r"^[\w.-]*http[\w.-]*==", "", lock, flags=re.M)
