"""The verdict tried on runs whose evidence was changed: the short form of `selfcheck verdict`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from execution.campaigns import verdict_check
from execution.campaigns.verdict_check import Judged, VerdictTrials, check_verdicts, simulated, twin_options
from execution.campaigns.verdict_figures import Got, Tried, VerdictFigures, bound, lines, render_markdown
from execution.catalogue import default_catalogue
from execution.commands.selfcheck_verdict import verdict
from experiment.errors import UsageError
from experiment.stop import Stop
from measurement.mutations import Answer
from measurement.mutations.corpus import kinds
from measurement.mutations.losses import CHANGES
from measurement.mutations.rows import Source, Unfit

SHORT = VerdictTrials(number=90, seed=1)


def silent(_text: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    """Two runs of the suite of planted bugs' first scenario: one that fails and one that passes."""
    out = tmp_path_factory.mktemp("runs")
    suite = out / "two.yaml"
    entry = "  - {scenario: smoke/charge_response_lost, design: %s, expect: %s}\n"
    entries = entry % ("resilient", "pass") + entry % ("fragile", "fail")
    suite.write_text(f"name: two\nseed: 1\nentries:\n{entries}")
    found = simulated(default_catalogue(), [str(suite)], twin_options(out), Stop(), silent)
    assert [run.analysis.verdict for run in found] == ["pass", "fail"]
    return found


def test_no_change_of_the_evidence_gets_a_verdict_that_it_must_not(runs: list[Judged]) -> None:
    """Every mutant gets its answer, and with the run's own manifest every one is refused."""
    figures = check_verdicts(runs, SHORT, Stop(), silent)
    assert len(figures.tried) == SHORT.number
    assert [one.text for one in figures.wrong_passes] == []
    assert [one.text for one in figures.other_wrong] == []
    assert {one.sealed for one in figures.tried} == {Got.REFUSED}
    # The few that must change nothing may be missing among so few.
    assert {Answer.STOP, Answer.NOT_BETTER} <= {one.answer for one in figures.tried}
    assert {kind.answer for kind in kinds()} == set(Answer)


def test_the_same_seed_draws_the_same_changes(runs: list[Judged]) -> None:
    """And another one draws others."""

    def drawn(seed: int) -> list[str]:
        trials = VerdictTrials(4, seed)
        return [one.told for one in check_verdicts(runs, trials, Stop(), silent).tried]

    assert drawn(3) == drawn(3) != drawn(4)


def test_a_judgement_that_does_not_look_at_the_evidence_is_found_out(
    runs: list[Judged], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check itself can fail: without what was planned, changed evidence passes."""
    monkeypatch.setattr(verdict_check, "analyse", lambda *_: runs[0].analysis)
    figures = check_verdicts(runs, VerdictTrials(40), Stop(), silent)
    assert figures.wrong_passes


def test_a_run_alone_has_nothing_to_be_mixed_with(runs: list[Judged]) -> None:
    """Two are needed."""
    with pytest.raises(UsageError, match="expected another one to mix it with"):
        check_verdicts(runs[:1], SHORT, Stop(), silent)
    with pytest.raises(UsageError, match="found no run to change"):
        check_verdicts([], SHORT, Stop(), silent)


def test_the_command_tries_stored_runs_and_prints_its_figures(runs: list[Judged], tmp_path: Path) -> None:
    """As JSON, and as a page."""
    page = tmp_path / "page.md"
    words = [word for run in runs for word in ("--run", str(run.folder.path))]
    result = CliRunner().invoke(verdict, [*words, "--number", "6", "--json", "--out", str(page)])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["result"]
    assert len(found["tried"]) == 6
    assert "wrong passes" in page.read_text()


def test_kinds_have_names_of_their_own() -> None:
    """A name and a seed draw a mutant again."""
    names = [kind.name for kind in kinds()]
    assert len(set(names)) == len(names) > 300


def test_rows_that_say_the_same_at_another_time_are_no_change() -> None:
    """A design that shows nothing of itself has its neighbour's rows: nothing can tell them apart."""
    ours, theirs = ({"type": "design", "t": t, "service": "a", "digest": "d"} for t in (0.1, 0.2))
    source = Source("run", (), (json.dumps(theirs).encode(),), {}, {})
    change = CHANGES["design: of another run"]
    with pytest.raises(Unfit):
        change([ours], Random(1), source)
    told = change([{**ours, "digest": "e"}], Random(1), source)
    assert told == "1 rows exchanged for 1 of another run"


def test_as_many_looks_at_the_same_faults_are_no_loss() -> None:
    """Those of another run of the scenario may stand for ours; less of them, or of other faults, may not."""
    look = {"type": "fault", "event": "still_active", "fault": "f1", "target": "a -> b"}
    ours = [{**look, "t": t, "measured": {"met": 1}} for t in (5.0, 5.4)]
    theirs = [{**look, "t": t, "measured": {"met": 2}} for t in (5.1, 5.5)]
    change = CHANGES["mixed: its looks at faults"]

    def told(*rows: dict[str, object]) -> str:
        return change(
            list(ours), Random(1), Source("run", (), tuple(json.dumps(row).encode() for row in rows), {}, {})
        )

    with pytest.raises(Unfit):
        told(*theirs)
    assert told(theirs[0]) == "2 rows exchanged for 1 of another run"
    assert told(*({**row, "fault": "f2"} for row in theirs)) == "2 rows exchanged for 2 of another run"


TRIED = Tried(
    suite="s",
    run="r",
    source="simulation",
    kind="drop: one op",
    seed="1-x",
    told="op 7 dropped",
    answer=Answer.STOP,
    verdict=Got.PASS,
    got=Got.INVALID,
    sealed=Got.REFUSED,
    why="why",
)


@pytest.mark.parametrize(
    ("changes", "right", "wrong_pass"),
    [
        ({}, True, False),
        ({"got": Got.REFUSED}, True, False),
        ({"got": Got.PASS}, False, True),
        ({"got": Got.FAIL}, False, False),
        ({"got": Got.ERROR}, False, False),
        ({"sealed": Got.PASS}, False, True),
        ({"sealed": Got.INVALID}, False, False),
        ({"answer": Answer.SAME, "got": Got.PASS}, True, False),
        ({"answer": Answer.SAME, "got": Got.FAIL}, False, False),
        ({"answer": Answer.SAME, "verdict": Got.FAIL, "got": Got.PASS}, False, True),
        ({"answer": Answer.NOT_BETTER, "got": Got.PASS}, True, False),
        ({"answer": Answer.NOT_BETTER, "verdict": Got.VETO, "got": Got.VETO}, True, False),
        ({"answer": Answer.NOT_BETTER, "verdict": Got.VETO, "got": Got.FAIL}, False, False),
        ({"answer": Answer.NOT_BETTER, "verdict": Got.FAIL, "got": Got.PASS}, False, True),
        ({"answer": Answer.NOT_BETTER, "verdict": Got.FAIL, "got": Got.INVALID}, True, False),
    ],
)
def test_an_answer_is_right_or_wrong(changes: dict[str, object], right: bool, wrong_pass: bool) -> None:
    """A veto that becomes a plain failure is better; a traceback is never right."""
    one = replace(TRIED, **changes)  # type: ignore[arg-type]  # fields by name
    assert (one.right, one.wrong_pass) == (right, wrong_pass)


def test_figures_come_with_the_bound_that_their_number_allows() -> None:
    """None in 300 is at most 1.2%, and each wrong one is listed with its seed."""
    assert bound(0, 300) == "0 of 300 (95%: at most 1.2%)"
    assert bound(0, 0) == "0 of 0"
    figures = VerdictFigures((TRIED, replace(TRIED, got=Got.PASS)), "codeblue selfcheck verdict")
    said = "\n".join(lines(figures))
    assert "wrong passes: 1 of 2 (95%: at most 98.7%)" in said
    assert "seed 1-x" in said
    assert "1 of 2 (95%: at most 98.7%)" in render_markdown(figures)
