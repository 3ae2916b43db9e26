"""`scan` as it is typed, on a system of one service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import cli

SYSTEM = """\
name: one
services: {front: {image: front}}
links: []
journeys: {look: {entry: front, request: {path: /}, writes: off}}
mixes: {visit: [{journey: look}]}
"""


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A system that nobody starts: it is played on the twin."""
    (tmp_path / "system.yaml").write_text(SYSTEM, encoding="utf-8")
    (tmp_path / "designs").mkdir()
    (tmp_path / "designs" / "plain.yaml").write_text("name: plain\ntitle: Plain\n", encoding="utf-8")
    return tmp_path


def test_a_scan_ends_with_its_gravest_verdict_and_a_table(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that is down or stands still fails its users."""
    out = str(one / "runs")
    words = ["scan", str(one), "--runtime", "simulation", "--rate", "6/s", "--out", out]
    assert cli.main(words, standalone_mode=False) == 1
    said = capsys.readouterr()
    head, row = said.out.splitlines()[:2]
    assert head.split() == ["place", "crash", "pause"]
    assert row.split()[0] == "front" and row.count("FAIL") == 2
    assert "crash on front: FAIL" in said.err
    (folder,) = (one / "runs").glob("*-scan-one")
    assert json.loads((folder / "scan.json").read_text(encoding="utf-8"))["kind"] == "scan"
