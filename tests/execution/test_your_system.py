"""docs/your_system.md: its commands, typed on a copy of the shop, do what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from benchmarks.first_hour import filled_in, lines_of_the_user
from execution.catalogue import read_system
from execution.places import ROOT
from harness import cli

PAGE = (ROOT / "docs" / "your_system.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^codeblue (.+)$", PAGE, re.MULTILINE)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The compose file of the shop's developers and what it names, in a folder of its own."""
    shutil.copytree(ROOT / "examples" / "shop", tmp_path / "shop")
    for path in ("system.yaml", "designs", "scenarios"):
        found = tmp_path / "shop" / path
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def typed(words: str, *more: str) -> int:
    """A command as it stands on the page; what would start containers is played on the twin."""
    short = words.replace("--runtime containers", "--runtime simulation")
    return int(cli.main([*shlex.split(short), *more], standalone_mode=False))


def test_the_page_leads_from_a_compose_file_to_a_verdict(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of the page in its order but the long scan, with the lines that the page fills in."""
    init, validate, check, look, described, scan = COMMANDS
    assert typed(init) == 0
    path = shop / "resilience" / "system.yaml"
    path.write_text(filled_in(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert typed(validate) == 0
    capsys.readouterr()
    assert typed(check) == 0
    said = capsys.readouterr().out
    (shown,) = re.findall(r"^```\n(orders -> payments.*?)^```$", PAGE, re.M | re.S)
    assert shown in said
    assert "no_duplicate_charge" in read_system(path).properties
    assert typed(look, "--out", str(shop / "runs")) in (1, 2)  # safety is not modelled there
    assert "wiring   orders -> payments: " in capsys.readouterr().out
    (run,) = (shop / "runs").glob("*-try-as_it_is-*")
    assert typed(described.replace("reports/runs/NAME", str(run))) == 0
    assert typed(validate) == 0
    assert "orders -> payments: " in capsys.readouterr().out
    assert scan.startswith("scan resilience")


def test_a_user_writes_few_lines() -> None:
    """The page promises five minutes: what has to be filled in for the shop fits on a screen."""
    assert 10 < lines_of_the_user() <= 45
