"""The gate on the twin, on stored runs, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from execution.campaigns.campaign import Hooks
from execution.campaigns.gate import run_gate
from execution.campaigns.stored_runs import stored_records
from execution.catalogue import default_catalogue
from execution.options import Options
from execution.places import ROOT
from execution.runs.bench import RunResult
from experiment.errors import ExitCode, HistoryError, UsageError
from experiment.jobs import Job
from experiment.stop import Stop
from experiment.suite import Entry, Suite
from experiment.verdict import Verdict
from gate.decide import Decision, Unknown
from gate.formats import gate_schema
from gate.pairs import paired_runs
from gate.play import GateOrder, play_round
from gate.report import GateReport, gate_exit_code
from measurement.run_records import FinishedRuns, PropertyFigures, RunRecord
from tests.execution.builders import record

SUITE = Suite("one", (Entry("smoke/charge_response_lost", "resilient"),))


def silent(*_told: object) -> None:
    """Nobody watches."""


HOOKS = Hooks(lambda _plan: silent, silent, silent)


def gate(tmp_path: Path, **order: Any) -> tuple[GateReport, Path]:
    options = Options("simulation", out=tmp_path)
    chosen = GateOrder(**{"baseline": "resilient", "candidate": "resilient", **order})
    return run_gate(SUITE, default_catalogue(), options, chosen, HOOKS, Stop())


def stored(folder: Path, scores: list[float], **known: Any) -> Path:
    """The folder of a campaign of one design."""
    folder.mkdir()
    for seed, score in enumerate(scores):
        FinishedRuns(folder).append(record(0, seed, scenario="smoke/control", score=score, **known))
    return folder


def test_a_design_against_itself_passes_on_the_twin(tmp_path: Path) -> None:
    """Equal seeds give equal runs there: no difference at all, after the fewest pairs."""
    report, folder = gate(tmp_path)
    assert (report.decision, report.pairs) == (Decision.PASS, 3)
    assert gate_exit_code(report) is ExitCode.PASS
    sides = [(found.side, found.seed) for found in FinishedRuns(folder).read()]
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
    assert len(FinishedRuns(folder).read()) == 2
    places = {(v.file, v.line) for v in report.violations if v.invariant == "no_duplicate_charge"}
    assert places == {("scenarios/smoke/charge_response_lost.yaml", 9)}
    document = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(gate_schema()).validate(document)


def copied_system(folder: Path) -> Path:
    """A checkout whose designs are those of this one, the fragile one under the name of the resilient."""
    for name in ("reference_system", "scenarios"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_another_checkout_plays_with_its_own_system(tmp_path: Path) -> None:
    """A candidate's system file is the one whose designs and links its runs have; that the twin sees no more
    of it is told."""
    checkout = copied_system(tmp_path / "checkout")
    path = checkout / "reference_system" / "designs" / "resilient.yaml"
    shutil.copyfile(path.with_name("article_minimum.yaml"), path)
    path.write_text(path.read_text().replace("name: article_minimum", "name: resilient"), encoding="utf-8")
    report, folder = gate(tmp_path, candidate_system=checkout, n_max=2)
    assert report.candidate == f"resilient of {checkout}"
    assert {found.side for found in FinishedRuns(folder).read()} == {"baseline", "candidate"}
    assert any("invisible to the twin" in warning for warning in report.warnings)


def test_an_interrupted_gate_says_so_and_is_excused_by_no_policy(tmp_path: Path) -> None:
    """What more pairs would have told is not the reason that it has no answer."""
    stop = Stop()

    def last(_record: RunRecord, _result: RunResult) -> None:
        if len(list(tmp_path.glob("*charge*"))) >= 4:  # two pairs
            stop.set()

    order = GateOrder("resilient", "resilient", on_inconclusive="warn")
    options = Options("simulation", out=tmp_path)
    hooks = Hooks(lambda _plan: silent, silent, last)
    report, folder = run_gate(SUITE, default_catalogue(), options, order, hooks, stop)
    assert report.sentence == "the gate was interrupted" and not report.tolerated
    assert gate_exit_code(report) is ExitCode.INCONCLUSIVE
    assert 'skipped="0"' in (folder / "junit.xml").read_text(encoding="utf-8")


def test_code_alone_is_not_compared_on_the_twin(tmp_path: Path) -> None:
    """Two checkouts with one system.yaml and equal designs are refused: nothing of the code would be run."""
    checkout = copied_system(tmp_path / "checkout")
    with pytest.raises(UsageError, match="invisible to the twin"):
        gate(tmp_path / "out", candidate_system=checkout)
    assert not (tmp_path / "out").exists()


def test_an_image_needs_a_runtime_that_has_images(tmp_path: Path) -> None:
    """On the twin an image would be accepted and never run."""
    with pytest.raises(UsageError, match="--runtime containers"):
        gate(tmp_path, candidate_image="services:new")


def test_a_scenario_that_the_stored_baseline_lacks_does_not_pass(tmp_path: Path) -> None:
    """A vetoed candidate is stopped, and a clean one is not known, when the baseline never ran its
    scenario."""
    before = stored(tmp_path / "before", [90.0] * 4)
    for name, known, code in (
        ("vetoed", {"vetoed": True, "safety": ("no_duplicate_charge",)}, ExitCode.SAFETY_VETO),
        ("clean", {}, ExitCode.INCONCLUSIVE),
    ):
        after = stored(tmp_path / name, [90.0] * 4)
        for seed in range(4):
            FinishedRuns(after).append(record(1, seed, scenario="smoke/lost", **known))
        report, _ = gate(tmp_path / "out", baseline=str(before), candidate=str(after), on_inconclusive="warn")
        assert gate_exit_code(report) is code and "lost" in report.sentence


def test_runs_of_other_conditions_are_no_baseline(tmp_path: Path) -> None:
    """What is stored with another time scale is refused before anything is played, naming what differs."""
    _, folder = gate(tmp_path / "first", n_max=2)
    slower = Options("simulation", time_scale=1.5, out=tmp_path / "out")
    order = GateOrder(f"{folder}:baseline", "resilient")
    with pytest.raises(UsageError, match=r"another time scale 1\.0, now 1\.5"):
        run_gate(SUITE, default_catalogue(), slower, order, HOOKS, Stop())
    assert not (tmp_path / "out").exists()
    again, _ = gate(tmp_path / "again", baseline=f"{folder}:baseline")
    assert again.result.unknown is not Unknown.INCOMPLETE


def test_a_stored_run_is_what_its_folder_says(tmp_path: Path) -> None:
    """Whichever of the two was changed; without the folder nobody can tell. A history that was cut is
    refused too: the figures rest on it."""
    _, folder = gate(tmp_path / "first", n_max=2)
    finished = FinishedRuns(folder)
    first, *others = finished.read()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"verdict": Verdict.FAIL}, "found the verdict pass, expected fail"),
        ({"vetoed": True}, "found the veto False, expected True"),
        ({"score": 12.0}, r"found the score [\d.]+, expected 12\.0"),
        ({"seed": 77}, "found the seed 1, expected 77"),
        ({"scenario_hash": "0" * 16}, "found the scenario"),
        ({"source": "processes"}, "found the runtime simulation, expected processes"),
        ({"design": "fragile"}, "found the design resilient, expected fragile"),
    ]
    for changes, said in wrong:
        finished.path.unlink()
        for one in (replace(first, **changes), *others):
            finished.append(one)
        with pytest.raises(HistoryError, match=said):
            stored_records(f"{folder}:{first.side}")
    finished.path.unlink()
    for one in (first, *others):
        finished.append(one)
    assert stored_records(f"{folder}:{first.side}")
    history = Path(first.folder) / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-400])
    with pytest.raises(HistoryError, match=r"history\.jsonl: found another file"):
        stored_records(f"{folder}:{first.side}")
    shutil.rmtree(first.folder)
    assert stored_records(f"{folder}:{first.side}")


def test_every_stored_run_is_held_to_the_other(tmp_path: Path) -> None:
    """One run of another formula among four makes the gate inconclusive, and no policy excuses that."""
    before = stored(tmp_path / "before", [90.0] * 3)
    after = stored(tmp_path / "after", [90.0] * 3)
    for folder, formula in ((before, "1"), (after, "2")):
        FinishedRuns(folder).append(record(0, 3, scenario="smoke/control", formula=formula))
    report, _ = gate(tmp_path / "out", baseline=str(before), candidate=str(after), on_inconclusive="warn")
    assert gate_exit_code(report) is ExitCode.INCONCLUSIVE
    assert "formula of the score differs (1, 2)" in report.sentence


def test_what_is_invalid_on_both_sides_is_invalid(tmp_path: Path) -> None:
    """Exit code 3, whatever the policy."""
    lost: dict[str, Any] = {"verdict": Verdict.INVALID, "broken": ("effect_observed",)}
    sides = {}
    for side in ("baseline", "candidate"):
        sides[side] = str(stored(tmp_path / side, [90.0] * 4))
        for seed in range(4):
            FinishedRuns(Path(sides[side])).append(record(1, seed, scenario="smoke/lost", score=None, **lost))
    report, _ = gate(tmp_path / "out", on_inconclusive="warn", **sides)
    assert gate_exit_code(report) is ExitCode.INVALID


def test_incomplete_clean_up_is_no_pass(tmp_path: Path) -> None:
    """Exit code 5, and a sentence that names the run."""
    report, _ = gate(tmp_path)
    unclean = replace(report, unclean=("run-7",))
    assert gate_exit_code(unclean) is ExitCode.CLEANUP_INCOMPLETE
    assert unclean.decision is Decision.INCONCLUSIVE and "run-7" in unclean.sentence


def test_a_drop_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """--max-drop holds nothing when no pair was complete."""
    one = str(stored(tmp_path / "one", [90.0]))
    other = tmp_path / "other"
    stored(other, [90.0])
    (other / "finished.jsonl").unlink()
    FinishedRuns(other).append(record(0, 0, scenario="smoke/another"))
    report, _ = gate(tmp_path / "out", baseline=one, candidate=str(other), max_drop=5.0)
    assert report.decision is Decision.REGRESSION and "unknown number of points" in report.sentence


def test_a_run_that_is_invalid_is_tried_once_more() -> None:
    """The second attempt decides whether the first one was chance."""
    tried: list[Job] = []

    def play(job: Job) -> RunRecord:
        tried.append(job)
        score = None if job.side == "candidate" and tried.count(job) == 1 else 90.0
        return record(job.entry, job.seed, scenario=job.scenario, side=job.side, score=score, design="d")

    jobs = [Job(0, "s", "d", 1, "baseline"), Job(0, "s", "d", 1, "candidate")]
    found = play_round(jobs, play)
    assert tried == [*jobs, jobs[1]]
    (pair,) = paired_runs(found[:1], found[1:])
    assert pair.candidate.score == 90.0 and pair.candidate.lost == 1


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


def test_a_floor_that_pressure_alone_breaks_is_not_known(tmp_path: Path) -> None:
    """Scores beside others' work are no reason; the floor that quiet runs break holds."""
    pressed = {
        side: str(stored(tmp_path / side, [60.0] * 4, pressed=0.5)) for side in ("baseline", "candidate")
    }
    report, _ = gate(tmp_path / "out", min_score=80.0, max_drop=-1.0, **pressed)
    assert gate_exit_code(report) is ExitCode.INCONCLUSIVE
    assert report.result.unknown is Unknown.PRESSURE
    assert "4 of 4 pairs were played under pressure from outside" in report.sentence
    assert "expected at least 80" in report.sentence
    assert any("alone they show no regression" in warning for warning in report.warnings)
    assert gate_exit_code(replace(report, on_inconclusive="warn")) is ExitCode.INCONCLUSIVE
    for number in range(4, 8):
        for side in pressed.values():
            FinishedRuns(Path(side)).append(record(0, number, scenario="smoke/control", score=60.0))
    report, _ = gate(tmp_path / "out", min_score=80.0, **pressed)
    assert report.decision is Decision.REGRESSION and "expected at least 80" in report.refusals[0]


@pytest.mark.parametrize(
    ("broken", "spoilt", "counts"),
    [
        (("generator_kept_up",), False, False),
        (("complete", "baseline_met", "no_objection"), True, False),
        (("complete", "baseline_met", "no_objection"), False, True),
        (("generator_kept_up", "fault_observed"), False, True),
    ],
)
def test_a_run_that_its_machine_spoilt_accuses_nobody(
    broken: tuple[str, ...], spoilt: bool, counts: bool
) -> None:
    """A late load, also of an older record, or what others spoilt: the pair is left out."""
    invalid = record(0, 1, verdict=Verdict.INVALID, score=None, broken=broken, spoilt=spoilt)
    (pair,) = paired_runs([record(0, 1)], [invalid])
    assert pair.measured is counts


def test_what_both_break_is_told(tmp_path: Path) -> None:
    """An old violation does not stop a release, and is not hidden."""
    veto: dict[str, Any] = {"vetoed": True, "safety": ("sagas_terminal",), "verdict": Verdict.FAIL}
    both = {side: str(stored(tmp_path / side, [0.0] * 4, **veto)) for side in ("baseline", "candidate")}
    report, _ = gate(tmp_path / "out", **both)
    assert report.decision is Decision.PASS
    assert any("control: sagas_terminal" in warning for warning in report.warnings)
    texts = [rate.text for rate in report.rates]
    assert texts[1].startswith("candidate vetoed: 4 of 4 runs")
    assert texts[-2].startswith("baseline violates sagas_terminal: 4 of 4 runs")
    assert texts[-1].startswith("candidate violates sagas_terminal: 4 of 4 runs")


def test_what_neither_side_exercised_is_told(tmp_path: Path) -> None:
    """A pass says of which safety properties nothing is known."""
    silent: dict[str, Any] = {"properties": (PropertyFigures("once", True, 0, 0),)}
    both = {side: str(stored(tmp_path / side, [90.0] * 4, **silent)) for side in ("baseline", "candidate")}
    report, _ = gate(tmp_path / "out", **both)
    assert report.decision is Decision.PASS
    assert "control: exercised on neither side, so nothing is known of it: once" in report.warnings


def test_sides_without_a_common_seed_are_no_pairs(tmp_path: Path) -> None:
    """The message names the seeds of both."""
    one, other = stored(tmp_path / "one", [90.0]), tmp_path / "other"
    other.mkdir()
    FinishedRuns(other).append(record(0, 8, score=90.0))
    with pytest.raises(UsageError, match="same seeds"):
        gate(tmp_path / "out", baseline=str(one), candidate=str(other))


def records(folder: Path, *designs: str) -> list[RunRecord] | None:
    folder.mkdir()
    for design in designs:
        FinishedRuns(folder).append(record(0, 1, design=design))
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
    first = FinishedRuns(folder).read()[0]
    (found,) = stored_records(first.folder) or []
    assert replace(found, side="baseline", scenario=first.scenario) == first


def test_a_candidate_that_ran_the_baseline_under_another_name_is_no_candidate(tmp_path: Path) -> None:
    """The two sides claim different designs, and every service obeyed the very same: nothing was tried."""
    renamed = tmp_path / "renamed.yaml"
    renamed.write_text("name: renamed\nextends: resilient\n")
    report, _ = gate(tmp_path, candidate=str(renamed))
    assert (report.decision, report.result.unknown) == (Decision.INCONCLUSIVE, Unknown.INCOMPLETE)
    assert "obeyed the very same design and code as resilient and as" in report.result.sentence
    assert gate_exit_code(report) is ExitCode.INCONCLUSIVE
