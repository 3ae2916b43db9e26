"""Two designs in one run leave a page that shows them side by side; `report` makes it of finished runs."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import harness
from experiment.errors import UsageError

SCENARIO = """
name: shown
title: Payments while answers get lost
load: {{arrivals: 8/s, journeys: {{payment: 1}}}}
phases: {{warm_up: 500ms, baseline: 3s, fault: 3s, recovery: 2s, settle: 2s}}
faults:
  - {{kind: latency, link: billing -> payments, delay: {delay}, during: fault}}
expect:
  invariants: [no_duplicate_charge]
  baseline:
    - {{journey: pay, success: ">= 50%"}}
"""


def command(*words: str) -> int:
    """The exit code, or that of the mistake that the command line tells."""
    return int(harness.cli.main(list(words), standalone_mode=False, prog_name="codeblue"))


def run(folder: Path, name: str, delay: str = "50ms") -> list[Path]:
    """The run folders of that scenario on two designs."""
    file = folder / f"{name}.yaml"
    file.write_text(SCENARIO.format(delay=delay).replace("name: shown", f"name: {name}"), encoding="utf-8")
    words = ["run", str(file), "--design", "fragile,resilient", "--runtime", "simulation"]
    command(*words, "--out", str(folder / "runs"))
    return sorted(path.parent for path in (folder / "runs").glob(f"*{name}*/report.html"))


def test_two_designs_leave_a_page_and_report_makes_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lies beside the run folders, leads to their pages, and says which switches differ."""
    first, second = run(tmp_path, "shown")
    said = capsys.readouterr().out
    (page,) = (tmp_path / "runs").glob("*-beside.html")
    assert f"side by side: {page}" in said or page.name in said
    text = page.read_text(encoding="utf-8")
    assert f'href="{first.name}/report.html"' in text and f'href="{second.name}/report.html"' in text
    assert "switches differ between fragile and resilient" in text
    page.unlink()
    assert command("report", str(first), str(second)) == 0
    assert page.name in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") == text
    (other, _) = run(tmp_path, "elsewhere")
    with pytest.raises(
        (UsageError, click.ClickException), match="a run of the scenario elsewhere, expected shown"
    ):
        command("report", str(first), str(other))
    with pytest.raises((UsageError, click.ClickException), match="the same run twice"):
        command("report", str(first), str(first))
