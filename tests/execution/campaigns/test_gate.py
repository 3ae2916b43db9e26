"""The gate on the twin, on stored runs, and what it refuses."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from execution.campaigns.campaign import Hooks
from execution.campaigns.gate import GateOrder, gate_exit_code, run_gate
from execution.campaigns.records import Ledger, RunRecord
from execution.campaigns.stored_runs import stored_records
from execution.catalogue import default_catalogue
from execution.options import Options
from execution.places import ROOT
from experiment.errors import ExitCode, UsageError
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from measurement.gate import Decision
from reports.gate import GateReport, gate_schema
from tests.execution.builders import record

SUITE = Suite("one", (Entry("smoke/charge_response_lost", "resilient"),))


def silent(*_told: object) -> None:
    """Nobody watches."""


HOOKS = Hooks(lambda _plan: silent, silent, silent)


def gate(tmp_path: Path, **order: Any) -> tuple[GateReport, Path]:
    options = Options("simulation", out=tmp_path)
    chosen = GateOrder(**{"baseline": "resilient", "candidate": "resilient", **order})
    return run_gate(SUITE, default_catalogue(), options, chosen, HOOKS, threading.Event())


def stored(folder: Path, scores: list[float], **known: Any) -> Path:
    """The folder of a campaign of one design."""
    folder.mkdir()
    for seed, score in enumerate(scores):
        Ledger(folder).append(record(0, seed, scenario="smoke/control", score=score, **known))
    return folder


def test_a_design_against_itself_passes_on_the_twin(tmp_path: Path) -> None:
    """Equal seeds give equal runs there: no difference at all, after the fewest pairs."""
    report, folder = gate(tmp_path)
    assert (report.decision, report.pairs) == (Decision.PASS, 3)
    assert gate_exit_code(report) is ExitCode.PASS
    sides = [(found.side, found.seed) for found in Ledger(folder).read()]
    assert sides == [
        ("baseline", 1),
        ("candidate", 1),
        ("candidate", 2),
        ("baseline", 2),
        ("baseline", 3),
        ("candidate", 3),
    ]


def test_a_planted_bug_is_stopped_at_the_first_pair(tmp_path: Path) -> None:
    """Exit code 4, with the scenario's file and line, in a report that keeps to its schema."""
    report, folder = gate(tmp_path, candidate="no_key")
    assert gate_exit_code(report) is ExitCode.SAFETY_VETO
    assert len(Ledger(folder).read()) == 2
    places = {(v.file, v.line) for v in report.violations if v.invariant == "no_duplicate_charge"}
    assert places == {("scenarios/smoke/charge_response_lost.yaml", 9)}
    document = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(gate_schema()).validate(document)


def test_another_checkout_plays_with_its_own_system(tmp_path: Path) -> None:
    """A candidate's system file is the one whose designs and links its runs have."""
    report, folder = gate(tmp_path, candidate_system=ROOT, n_max=2)
    assert report.candidate == f"resilient of {ROOT}"
    assert {found.side for found in Ledger(folder).read()} == {"baseline", "candidate"}


def test_two_stored_sides_are_compared_without_a_run(tmp_path: Path) -> None:
    """Folders alone: a loss of ten points is found in what is stored."""
    before = stored(tmp_path / "before", [90, 91, 92, 90, 91])
    after = stored(tmp_path / "after", [80, 81.5, 81, 80, 81])
    report, _ = gate(tmp_path / "out", baseline=str(before), candidate=str(after))
    assert report.decision is Decision.REGRESSION
    assert gate_exit_code(report) is ExitCode.FAIL
    assert any("machine is not known" in warning for warning in report.warnings)


def test_a_policy_may_let_not_known_pass(tmp_path: Path) -> None:
    """Inconclusive is 2, or 0 with a warning."""
    before = stored(tmp_path / "before", [90, 91, 92])
    after = stored(tmp_path / "after", [99, 70, 95])
    report, _ = gate(tmp_path / "out", baseline=str(before), candidate=str(after))
    assert gate_exit_code(report) is ExitCode.INCONCLUSIVE
    assert gate_exit_code(replace(report, on_inconclusive="warn")) is ExitCode.PASS


def test_floors_hold_whatever_the_interval_says(tmp_path: Path) -> None:
    """A candidate no worse than its baseline may still be too bad."""
    both = {side: str(stored(tmp_path / side, [60.0] * 4)) for side in ("baseline", "candidate")}
    report, _ = gate(tmp_path / "out", min_score=80.0, **both)
    assert report.decision is Decision.REGRESSION and "expected at least 80" in report.sentence


def test_what_both_break_is_told(tmp_path: Path) -> None:
    """An old violation does not stop a release, and is not hidden."""
    veto: dict[str, Any] = {"vetoed": True, "safety": ("sagas_terminal",), "verdict": Verdict.FAIL}
    both = {side: str(stored(tmp_path / side, [0.0] * 4, **veto)) for side in ("baseline", "candidate")}
    report, _ = gate(tmp_path / "out", **both)
    assert report.decision is Decision.PASS
    assert any("control: sagas_terminal" in warning for warning in report.warnings)
    assert report.rates[1].text.startswith("candidate vetoed: 4 of 4 runs")


def test_sides_without_a_common_seed_are_no_pairs(tmp_path: Path) -> None:
    """The message names the seeds of both."""
    one, other = stored(tmp_path / "one", [90.0]), tmp_path / "other"
    other.mkdir()
    Ledger(other).append(record(0, 8, score=90.0))
    with pytest.raises(UsageError, match="same seeds"):
        gate(tmp_path / "out", baseline=str(one), candidate=str(other))


def records(folder: Path, *designs: str) -> list[RunRecord] | None:
    folder.mkdir()
    for design in designs:
        Ledger(folder).append(record(0, 1, design=design))
    return stored_records(str(folder))


def test_a_folder_of_several_designs_needs_a_choice(tmp_path: Path) -> None:
    """The message offers each; FOLDER:DESIGN takes one."""
    with pytest.raises(UsageError, match=r"both:a or .*both:b"):
        records(tmp_path / "both", "a", "b")
    chosen = stored_records(f"{tmp_path / 'both'}:b")
    assert chosen is not None and [found.design for found in chosen] == ["b"]
    with pytest.raises(UsageError, match='no run of "c"'):
        stored_records(f"{tmp_path / 'both'}:c")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """A name that is no folder is a design; a folder without runs is a mistake."""
    assert stored_records("resilient") is None
    with pytest.raises(UsageError, match=r"neither finished\.jsonl nor analysis\.json"):
        stored_records(str(tmp_path))


def test_a_single_run_is_a_side_too(tmp_path: Path) -> None:
    """The folder of one run has one record, as its campaign wrote it."""
    _, folder = gate(tmp_path, n_max=2)
    first = Ledger(folder).read()[0]
    (found,) = stored_records(first.folder) or []
    assert replace(found, side="baseline", scenario=first.scenario) == first
