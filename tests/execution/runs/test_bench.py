"""A run whose load came late is played again, and what it saw is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execution.options import Options
from execution.runs.bench import Bench, RunResult
from execution.runs.run_folder import RunFolder
from experiment.errors import ExitCode
from experiment.history import End, History, Note, Row, build
from experiment.plan import Plan, header_of
from experiment.stop import Stop
from experiment.verdict import Verdict
from measurement.analysis import Analysis, MachineUse, ValidityCheck
from tests.execution.builders import Board, plan
from tests.reports import builder

LATE = ValidityCheck("generator_kept_up", False, "lag p99 2 s, expected at most 10 ms")
CLEAN = End(30.0, "completed", True)


def invalid(*broken: ValidityCheck) -> Analysis:
    """A run in which three charges were made twice, without a claim."""
    return replace(builder.fragile_fail().analysis, verdict=Verdict.INVALID, vetoed=False, validity=broken)


def ended(end: End | None) -> History:
    """A history of nothing but its last line."""
    rows: list[Row] = [header_of(plan(Board()), "scripted", 0.0)]
    return build(rows if end is None else [*rows, end])


class Scripted(Bench):
    """Plays what it is given and writes down the remarks on each attempt."""

    def __init__(self, *analyses: Analysis) -> None:
        super().__init__("scripted", Options(), Stop())
        self._analyses = list(analyses)
        self.remarks: list[tuple[Note, ...]] = []

    def describe(self) -> str:
        return "scripted"

    def _design(self, plan: Plan) -> dict[str, dict[str, Any]]:
        return {}

    def _facts(self) -> dict[str, Any]:
        return {}

    def _journaled(self, folder: Path) -> None:
        """Nothing is made."""

    def _play(self, *_: object) -> tuple[bool, History]:
        return True, ended(CLEAN)

    def _attempt(self, plan: Plan, watch: object, remarks: Sequence[Note]) -> RunResult:
        self.remarks.append(tuple(remarks))
        report = replace(builder.fragile_fail(), analysis=self._analyses.pop(0))
        return RunResult(plan, RunFolder(Path("/runs/first")), report, True, ended(CLEAN))


def test_a_late_load_is_played_again_with_the_violation_that_was_seen() -> None:
    """The duplicate charges of the first attempt happened, however late the load was."""
    bench = Scripted(invalid(LATE), builder.resilient_pass().analysis)
    assert bench.run(plan(Board()), lambda _: None).verdict is Verdict.PASS
    first, (warning, violation) = bench.remarks
    assert first == ()
    assert warning.level == "warning" and "second attempt: in first" in warning.text
    assert (violation.level, violation.about) == ("violation", "no_duplicate_charge")
    assert violation.text.endswith("(first attempt, first)")


def test_a_baseline_that_others_spoilt_is_played_again() -> None:
    """It was broken while others kept the machine busy; without them it is the system's own."""
    bad = ValidityCheck("baseline_met", False, "pay p95 in the baseline: 2 s, expected <= 1s")
    cut = ValidityCheck("complete", False, "the baseline is outside its own expectations")
    pressed = replace(invalid(cut, bad), machine=MachineUse(2.0, 0.3, 1.7, 2.0, 0.9, 1.0))
    bench = Scripted(pressed, builder.resilient_pass().analysis)
    assert bench.run(plan(Board()), lambda _: None).verdict is Verdict.PASS
    assert "in first others kept the machine busy, so that" in bench.remarks[1][0].text
    alone = Scripted(invalid(cut, bad))
    assert alone.run(plan(Board()), lambda _: None).verdict is Verdict.INVALID


def test_a_fault_that_came_late_under_pressure_is_played_again() -> None:
    """The harness waited for a core; on a machine of its own a fault that comes late will do so again."""
    late = ValidityCheck("fault_observed", False, "f1 began at 6.7 s, expected 5 s within 1 s")
    windows = (builder.window(planned_start=13.0, start=14.7),)
    pressed = replace(invalid(late), faults=windows, machine=MachineUse(2.0, 0.3, 1.7, 2.0, 0.9, 1.0))
    bench = Scripted(pressed, builder.resilient_pass().analysis)
    assert bench.run(plan(Board()), lambda _: None).verdict is Verdict.PASS
    in_time = Scripted(replace(pressed, faults=(builder.window(planned_start=13.0, start=13.2),)))
    assert in_time.run(plan(Board()), lambda _: None).verdict is Verdict.INVALID
    alone = Scripted(replace(pressed, machine=None))
    assert alone.run(plan(Board()), lambda _: None).verdict is Verdict.INVALID


def test_a_run_that_is_invalid_for_more_is_not_played_again() -> None:
    """A fault without effect will have none the next time."""
    blind = ValidityCheck("fault_observed", False, "no effect")
    bench = Scripted(invalid(LATE, blind))
    assert bench.run(plan(Board()), lambda _: None).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (CLEAN, ExitCode.INVALID),
        (End(9.0, "failed", False), ExitCode.CLEANUP_INCOMPLETE),
        (End(9.0, "interrupted", True), ExitCode.INTERRUPTED),
        (End(9.0, "interrupted", False), ExitCode.CLEANUP_INCOMPLETE),
        (None, ExitCode.INVALID),
    ],
    ids=["invalid", "unclean", "interrupted", "interrupted and unclean", "killed"],
)
def test_a_run_and_its_check_end_alike(end: End | None, code: ExitCode) -> None:
    """Both ask the history's last line: what was not cleaned up comes before what was interrupted."""
    report = replace(builder.fragile_fail(), analysis=invalid(LATE))
    result = RunResult(plan(Board()), RunFolder(Path("/runs/r")), report, True, ended(end))
    assert result.exit_code is code
