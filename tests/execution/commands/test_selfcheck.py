"""`selfcheck simulation` on the command line: where options stand, what is written, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from execution.commands import selfcheck as selfcheck_commands
from harness import cli
from simulation.selfcheck import CASES

GROUP = ["selfcheck", "simulation"]
CASE = ["metastable", "--load", "140"]


@pytest.mark.parametrize("before", [True, False])
def test_options_may_stand_before_or_after_the_case(before: bool, tmp_path: Path) -> None:
    """JSON on standard output and the page are the same either way."""
    options = ["--json", "--out", str(tmp_path / "page.md")]
    words = [*GROUP, *options, *CASE] if before else [*GROUP, *CASE, *options]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert done.return_value == 0, done.output
    assert json.loads(done.stdout)["result"][0]["verdict"] == "pass"
    assert "every figure holds" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize("text", ["mmc --customers 0", "mmc --utilisation nan", "pbs --trials -3"])
def test_a_size_that_shows_nothing_is_refused(text: str) -> None:
    """As a mistake on the command line, before anything runs."""
    done = CliRunner().invoke(cli, [*GROUP, *text.split()])
    assert done.exit_code == 2
    assert "Invalid value" in done.output


def test_all_cases_leave_a_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without being asked for; each figure names its case; too few events make the whole not known."""
    with monkeypatch.context() as changed:
        changed.setattr("simulation.selfcheck.CASES", {"metastable": CASES["metastable"]})
        changed.setattr(selfcheck_commands, "PAGE", tmp_path / "new" / "page.md")
        assert selfcheck_commands.selfcheck_all(True, None) == 0
    quantities = [row["quantity"] for row in json.loads(capsys.readouterr().out)["result"]]
    assert quantities[0] == "metastable: seconds to recover, at least"
    assert "## metastable" in (tmp_path / "new" / "page.md").read_text()
    words = ["mmc", "--servers", "10", "--utilisation", "0.1", "--customers", "1000", "--seeds", "2"]
    assert CliRunner().invoke(cli, [*GROUP, *words], standalone_mode=False).return_value == 2
