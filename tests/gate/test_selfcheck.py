"""The gate's own figures, on a synthetic system whose scores and bugs are known."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from execution.campaigns.trials import trial_runs, trials_of
from execution.catalogue import default_catalogue
from execution.options import PROCESSES, SIMULATION, Options
from experiment.design import Design
from experiment.stop import Stop
from experiment.switches import Lack
from experiment.verdict import Verdict
from gate.play import CANDIDATE
from gate.seeded_bugs import minus_one
from gate.selfcheck import (
    Candidate,
    Draw,
    GateTrials,
    Runs,
    Variant,
    figures,
    lost_margin,
)
from gate.selfcheck_report import render_markdown
from measurement.histogram import quantile
from measurement.run_records import RunRecord
from tests.execution.builders import DESIGN, record

NAMED = {name: Design(name, DESIGN.links, DESIGN.services) for name in ("good", "unsafe", "worse")}
SPREAD = 3.0
WORSE = ("doubled p95", "halved goodput")
BUCKETS_OF_DOUBLE = 35  # 1.02^35 is 2
TRIALS = GateTrials(same=200, bugs=40)
TWIN: tuple[Options, str, Stop, Callable[[str], None]] = (
    Options(SIMULATION), "smoke/control", Stop(), lambda _: None,
)  # fmt: skip


def synthetic(variant: Variant, draw: Draw) -> RunRecord:
    """Scores spread around 90, latencies by a tenth; `worse` loses 15 points, `unsafe` is vetoed."""
    design = variant.design
    slow, served = BUCKETS_OF_DOUBLE if variant.slower == 2 else 0, variant.capacity or 1.0
    rng = random.Random(f"{design.name}-{draw}")
    unsafe = design.name == "unsafe"
    score = 0.0 if unsafe else min(100.0, rng.gauss(75 if design.name == "worse" else 90, SPREAD))
    return record(
        0, draw.seed, scenario=draw.scenario, design=design.name, score=score, vetoed=unsafe,
        verdict=Verdict.FAIL if unsafe else Verdict.PASS,
        safety=("no_duplicate_charge",) if unsafe else (),
        baseline_latency=((400 + slow + rng.randrange(-3, 4), 100),),
        good=round(served * (95 + rng.randrange(5))), offered=100,
    )  # fmt: skip


def trial(name: str, safety: bool = False) -> Candidate:
    return Candidate(name, Variant(NAMED[name]), ("a", "b"), safety)


def test_false_alarms_stay_below_their_bar() -> None:
    """Of 200 A/A trials at most 10 end as a regression, and most of them pass."""
    found = figures(Runs(synthetic), trial("good"), (), TRIALS, Stop())
    assert found.same.trials == 200
    assert found.same.regressions <= 10
    assert not found.missed


def test_bugs_are_found() -> None:
    """A broken invariant at the first pair, a lost quarter of the score and worse figures within seven."""
    bugs = (
        trial("unsafe", safety=True),
        trial("worse"),
        Candidate("doubled p95", Variant(NAMED["good"], slower=2.0), ("a", "b"), must_be_found=True),
        Candidate("halved goodput", Variant(NAMED["good"], capacity=0.5), ("a", "b"), must_be_found=True),
    )
    found = figures(Runs(synthetic), trial("good"), bugs, TRIALS, Stop())
    assert {bug.name: bug.regressions for bug in found.bugs} == dict.fromkeys(
        ("unsafe", "worse", "doubled p95", "halved goodput"), 40
    )
    assert found.bugs[0].most_pairs == 1
    assert max(bug.most_pairs for bug in found.bugs) <= 7


def test_a_loss_of_the_margin_rarely_passes() -> None:
    """What lost exactly three points passes in at most 5% of the gates; a pass is counted, and is the bar."""
    lost = Candidate("lost", Variant(NAMED["good"]), ("a", "b"), must_not_pass=True, shifted=lost_margin)
    found = figures(Runs(synthetic), trial("good"), (lost,), GateTrials(same=1, bugs=200), Stop())
    assert found.bugs[0].passes <= 10 and not found.missed
    assert "**Wrong passes** (lost)" in render_markdown(found)
    wrong = replace(found, bugs=(replace(found.bugs[0], passes=11),))
    assert "passed in" in wrong.missed[0]


def test_a_small_pool_gives_no_trial_a_seed_twice() -> None:
    """Live runs are few: trials draw from them, but never fewer than a gate has pairs."""
    played: set[int] = set()

    def source(variant: Variant, draw: Draw) -> RunRecord:
        played.add(draw.seed)
        return synthetic(variant, draw)

    found = figures(Runs(source), trial("good"), (), GateTrials(same=20, pool=3), Stop())
    assert played <= set(range(1, 8)) and found.same.trials == 20


def test_a_gate_that_misses_a_safety_bug_says_so() -> None:
    """A candidate said to be unsafe that breaks nothing is a missed bar."""
    bug = Candidate("harmless", Variant(NAMED["good"]), ("a",), safety=True)
    found = figures(Runs(synthetic), trial("good"), (bug,), GateTrials(same=20, bugs=20), Stop())
    assert any("harmless" in missed for missed in found.missed)
    assert "harmless (safety)" in render_markdown(found)


def test_a_run_that_its_machine_spoilt_is_no_false_alarm() -> None:
    """As in a gate, a pair whose load came late is left out: it makes no candidate invalid."""

    def late(variant: Variant, draw: Draw) -> RunRecord:
        run, broken = synthetic(variant, draw), ("generator_kept_up",)
        spoilt = draw.take == CANDIDATE
        return replace(run, score=None, verdict=Verdict.INVALID, broken=broken) if spoilt else run

    found = figures(Runs(late), trial("good"), (), GateTrials(same=5), Stop())
    assert (found.same.regressions, found.same.inconclusive) == (0, 5)


def test_an_interrupted_check_keeps_what_it_has() -> None:
    """The trials made until then are told, with their own number."""
    stop = Stop()
    played: list[int] = []

    def source(variant: Variant, draw: Draw) -> RunRecord:
        played.append(draw.seed)
        if len(played) > 100:
            stop.set()
        return synthetic(variant, draw)

    found = figures(Runs(source), trial("good"), (trial("worse"),), TRIALS, stop)
    assert 0 < found.same.trials < 200 and not found.bugs


def _minus() -> tuple[Design, dict[str, tuple[Design, Lack]]]:
    """The resilient design, and what it is without each of its switches."""
    catalogue = default_catalogue()
    system = catalogue.system()
    resilient = catalogue.design("resilient", system)
    return resilient, minus_one(resilient, system)


def test_every_switch_that_is_on_is_taken_away_once() -> None:
    """Each design lacks one switch of the resilient one, and differs from it."""
    resilient, minus = _minus()
    assert {"timeout", "retry", "idempotency_key", "outbox", "saga"} <= set(minus)
    assert all(
        design.links != resilient.links or design.services != resilient.services
        for design, _ in minus.values()
    )
    without, _ = minus["outbox"]
    assert not any(values["outbox"] for values in without.services.values())
    assert without.links == resilient.links


def test_every_switch_has_its_scenario_or_its_reason() -> None:
    """One of the two, and a scenario that there is: a switch that is added needs its entry."""
    _, minus = _minus()
    known = set(default_catalogue().scenario_files())
    for name, (_, lack) in minus.items():
        assert bool(lack.shown_by) != bool(lack.not_shown), name
        assert set(lack.shown_by) <= known
    without = {name for name, (_, lack) in minus.items() if lack.not_shown}
    assert without == {"partial_answers", "spool_limit", "encryption", "tls"}
    assert len(minus) - len(without) >= 30


@pytest.mark.parametrize(
    ("switch", "scenario"), [(name, one) for name, (_, lack) in _minus()[1].items() for one in lack.shown_by]
)
def test_the_lack_of_a_switch_shows_in_its_scenario(switch: str, scenario: str) -> None:
    """The resilient design passes there and the one without the switch fails, with each of three seeds."""
    catalogue = default_catalogue()
    resilient, minus = _minus()
    without = Variant(minus[switch][0])
    with trial_runs(catalogue, Options(SIMULATION), "smoke/control", Stop(), lambda _: None) as runs:
        for seed in range(1, 4):
            assert runs.play(Variant(resilient), Draw(scenario, seed)).verdict is Verdict.PASS
            assert runs.play(without, Draw(scenario, seed)).verdict is Verdict.FAIL


def test_both_sides_of_a_pair_play_one_plan_at_another_time() -> None:
    """The same operations; what a run takes is another time's, and the same again for the same take."""
    catalogue = default_catalogue()
    same, _ = trials_of(catalogue, ["smoke/charge_response_lost"])
    draws = [Draw("smoke/charge_response_lost", 1, take) for take in ("baseline", "candidate")]
    found = []
    for _ in range(2):
        with trial_runs(catalogue, Options(SIMULATION), "smoke/control", Stop(), lambda _: None) as runs:
            found.append([runs.play(same.variant, draw) for draw in draws])
    (one, other), again = found
    assert one.offered == other.offered
    assert one.load_latency != other.load_latency
    assert [one, other] == again


def test_worse_figures_are_those_of_played_runs() -> None:
    """On the twin: everything takes twice as long, or half of what users ask for is served."""
    catalogue = default_catalogue()
    _, bugs = trials_of(catalogue, ["smoke/charge_response_lost"])
    slow, half = (next(bug.variant for bug in bugs if bug.name == name) for name in WORSE)
    usual = Variant(slow.design)
    with trial_runs(catalogue, Options(SIMULATION), "smoke/control", Stop(), lambda _: None) as runs:
        draw = Draw("smoke/charge_response_lost", 1)
        found = [runs.play(variant, draw) for variant in (usual, slow, half)]
    p95 = [quantile(run.baseline_latency, 0.95) or 0.0 for run in found]
    assert p95[1] / p95[0] == pytest.approx(2.0, rel=0.1)
    assert found[2].good / found[0].good == pytest.approx(0.5, rel=0.1)


def test_a_live_system_cannot_be_slowed() -> None:
    """There the doubled p95 is not among the trials, rather than made by arithmetic."""
    names = {
        runtime: [bug.name for bug in trials_of(default_catalogue(), ["smoke/control"], runtime)[1]]
        for runtime in (SIMULATION, PROCESSES)
    }
    assert set(names[SIMULATION]) - set(names[PROCESSES]) == {"doubled p95"}


def test_where_runs_are_played_changes_no_figure() -> None:
    """One process or two, played ahead or not: the same trials end the same way, after the same pairs."""
    catalogue = default_catalogue()
    same, bugs = trials_of(catalogue, ["smoke/control"])
    bug = next(bug for bug in bugs if bug.name == "no_key")
    trials = GateTrials(same=2, bugs=1, pool=3, n_max=3)
    found = []
    for processes in (1, 2):
        with trial_runs(
            catalogue, Options(SIMULATION), "smoke/control", Stop(), lambda _: None, processes
        ) as runs:
            found.append(figures(runs, same, (bug,), trials, Stop()))
            found.append(figures(Runs(runs.play), same, (bug,), trials, Stop()))
    assert found[0].same.trials == 2 and found[0].bugs[0].regressions == 1
    assert all(other == found[0] for other in found)


def test_what_a_trial_needs_is_said_ahead() -> None:
    """The runs of three pairs, and of a planted bug one, as its veto ends the trial; no others."""
    said: list[Draw] = []
    played: list[Draw] = []

    def source(variant: Variant, draw: Draw) -> RunRecord:
        assert draw in said
        played.append(draw)
        return synthetic(variant, draw)

    runs, trials = Runs(source, lambda _variant, draw: said.append(draw)), GateTrials(1, 1, n_max=3)
    found = figures(runs, trial("good"), (trial("unsafe", True),), trials, Stop())
    assert found.same.most_pairs == 3 and found.bugs[0].most_pairs == 1
    assert sorted(map(str, said)) == sorted(map(str, played))
