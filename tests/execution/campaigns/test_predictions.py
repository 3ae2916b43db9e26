"""A suite on the twin alone: verdicts of many seeds beside those that live runs give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from execution.campaigns.predictions import Predicted, prediction_exit_code, prediction_lines
from execution.places import ROOT
from experiment.errors import ExitCode, UnsupportedError, UsageError
from experiment.suite import Entry
from harness import cli
from simulation.model.controls import CAPABILITIES

LOST = Entry("smoke/charge_response_lost", "fragile", "fail", ("no_duplicate_charge",))
HELD = Entry("smoke/control", "resilient")
ENTRIES = """\
name: two
entries:
  - {scenario: smoke/charge_response_lost, design: fragile, expect: fail, violates: [no_duplicate_charge]}
  - {scenario: smoke/control, design: resilient}
"""


def predicted(folder: Path, text: str, *words: str) -> int:
    path = folder / "two.yaml"
    path.write_text(text, encoding="utf-8")
    words = ("simulate", str(path), "--system", str(ROOT / "reference_system"), "--seeds", "2", *words)
    return int(cli.main(words, standalone_mode=False))


def test_a_verdict_is_as_expected_for_its_reason_only() -> None:
    """Another verdict, or the right one without the property that was to be violated, is told by its seed."""
    right = Predicted(LOST, 1, "fail", frozenset({"no_duplicate_charge", "recovers"}))
    other = Predicted(LOST, 2, "fail", frozenset({"recovers"}))
    passed = Predicted(LOST, 3, "pass", frozenset())
    held = Predicted(HELD, 1, "pass", frozenset())
    assert [one.met for one in (right, other, passed, held)] == [True, False, False, True]
    assert list(prediction_lines([right, other, passed, held])) == [
        "smoke/charge_response_lost on fragile  fail  1 of 3 as expected; "
        "seed 2: fail without no_duplicate_charge, seed 3: pass",
        "smoke/control on resilient             pass  1 of 1 as expected",
        "2 of 4 simulated runs as the suite expects of live ones",
    ]
    assert prediction_exit_code([right, held], []) is ExitCode.PASS
    assert prediction_exit_code([right, other], []) is ExitCode.FAIL
    assert prediction_exit_code([], []) is ExitCode.FAIL
    assert prediction_exit_code([right], ["resilient, seed 1: KeyError"]) is ExitCode.INTERNAL_ERROR


def test_every_entry_is_played_with_every_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the suite expects it, or not: then the exit code says so."""
    assert predicted(tmp_path, ENTRIES) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("4 of 4 simulated runs")
    assert (
        predicted(tmp_path, ENTRIES.replace("control", "payer_blackhole, expect: inconclusive"), "--json")
        == 1
    )
    told = json.loads(capsys.readouterr().out)["result"]
    assert [one["seed"] for one in told] == [1, 2, 1, 2]
    assert [one["met"] for one in told] == [True, True, False, False]


def test_a_suite_is_played_whole(tmp_path: Path) -> None:
    """Its designs are its own; what would change them is refused before anything."""
    with pytest.raises(UsageError, match="found more beside the suite"):
        predicted(tmp_path, ENTRIES, "--design", "resilient")


def test_what_the_twin_does_not_know_is_refused_unless_the_suite_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name and before any run; with `not_on` it is left out, and that is told."""
    known = {**CAPABILITIES, "behaviour": frozenset[str]()}
    monkeypatch.setattr("execution.campaigns.predictions.CAPABILITIES", known)
    with pytest.raises(UnsupportedError, match="lost_response"):
        predicted(tmp_path, ENTRIES)
    said = ENTRIES.replace("[no_duplicate_charge]", "[no_duplicate_charge], not_on: [simulation]")
    assert predicted(tmp_path, said) == 0
    left = "left out: smoke/charge_response_lost on fragile, which the runtime simulation cannot play"
    assert left in capsys.readouterr().err
