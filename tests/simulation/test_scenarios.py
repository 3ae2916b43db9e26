"""The project's scenarios on the twin: the same plan, the same faults, the same history type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pytest

from experiment import fault_proof
from experiment.aborting import AbortCondition
from experiment.controls import CpuLimit
from experiment.errors import ExitCode, UnsupportedError
from experiment.history import History, build
from experiment.suite import Entry, load_suite
from experiment.verdict import Verdict, exit_code
from faults.latency import Latency
from measurement.analysis import Analysis
from measurement.judge import analyse
from simulation.engine.loop import run_until
from simulation.engine.randomness import Constant
from simulation.model.controls import SimulatedControls
from simulation.model.messages import CallEnd, Request
from simulation.model.models import models_of
from simulation.model.nodes import Node
from simulation.model.run import play, simulate
from simulation.model.world import World
from tests.simulation.reference import ROOT, design, plan, plan_of, scenario, system, usual_sizes

SMOKE = sorted(path.stem for path in (ROOT / "scenarios" / "smoke").glob("*.yaml"))
PRESETS = {"fragile": "fail", "resilient": "pass"}
EVERYTHING = sorted(
    f"{path.parent.name}/{path.stem}"
    for path in (ROOT / "scenarios").glob("*/*.yaml")
    if path.parent.name in ("smoke", "catalogue", "planted_bugs")
)


def played(scenario_name: str, design_name: str, seed: int = 1) -> tuple[History, Analysis]:
    history = simulate(plan(scenario_name, design_name, seed), usual_sizes())
    return history, analyse(history, scenario(scenario_name), system())


@pytest.mark.parametrize("design_name", ["fragile", "resilient"])
@pytest.mark.parametrize("name", SMOKE)
def test_the_smoke_suite_gives_its_expected_verdicts(name: str, design_name: str) -> None:
    """Each scenario shows the fragile design failing and the resilient one holding, as live."""
    suite = load_suite(ROOT / "scenarios" / "suites" / "smoke.yaml")
    expected = {
        (entry.scenario.rpartition("/")[2], entry.design): str(entry.expect) for entry in suite.entries
    }
    _, analysis = played(name, design_name)
    assert str(analysis.verdict) == expected[name, design_name], analysis.reasons


CONTAINERS = load_suite(ROOT / "scenarios" / "suites" / "containers.yaml").entries
FULL = load_suite(ROOT / "scenarios" / "suites" / "full.yaml").on("simulation").entries
ONLY_THERE = [entry for entry in CONTAINERS if entry not in FULL]


@pytest.mark.parametrize("entry", ONLY_THERE, ids=lambda entry: f"{entry.scenario}-{entry.design}")
def test_the_container_faults_break_fragile_and_not_resilient(entry: Entry) -> None:
    """On every seed, not on a lucky one, and on what the suite says: a scenario that fragile passes tests
    nothing."""
    for seed in range(1, 6):
        _, analysis = played(entry.scenario.rpartition("/")[2], entry.design, seed)
        assert str(analysis.verdict) == entry.expect, (seed, analysis.reasons)
        assert set(entry.violates) <= {check.checker for check in analysis.checks if check.violation_count}


def test_the_container_suite_asks_both_designs() -> None:
    """Every scenario of the suite is one that fragile must fail and resilient must pass. A full disk is asked
    of the resilient one only: on a real PostgreSQL what fragile has to book finds room (see the scenario)."""
    asked = {design: {e.scenario for e in CONTAINERS if e.design == design} for design in PRESETS}
    assert asked["fragile"] | {"catalogue/database_disk_full"} == asked["resilient"]
    assert {(entry.design, str(entry.expect)) for entry in CONTAINERS} == set(PRESETS.items())


def test_the_container_suite_shows_every_cause_on_both_designs() -> None:
    """What a pipeline plays in containers leaves out none of the seven causes."""
    for asked in PRESETS:
        covered = {
            cause
            for entry in CONTAINERS
            if entry.design == asked
            for cause in scenario(entry.scenario.rpartition("/")[2]).covers.causes
        }
        assert covered == set(range(1, 8)), asked


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["payer_slow", "payer_down"])
def test_an_insurer_that_is_slow_or_away_stops_only_the_fragile_front_door(name: str, seed: int) -> None:
    """On every seed, and never by an invented answer."""
    assert played(name, "fragile", seed)[1].verdict is Verdict.FAIL
    _, held = played(name, "resilient", seed)
    assert held.verdict is Verdict.PASS, held.reasons


@pytest.mark.parametrize(
    ("entry", "seed"),
    [(entry, 1 + index % 5) for index, entry in enumerate(FULL)],
    ids=lambda one: one if isinstance(one, int) else f"{one.scenario}-{one.design}",
)
def test_every_scenario_gives_the_verdict_that_live_runs_give(entry: Entry, seed: int) -> None:
    """And for the same reason, on one of five seeds each; `suite full --runtime simulation --repeats 5` plays
    all of them."""
    _, analysis = played(entry.scenario.rpartition("/")[2], entry.design, seed)
    assert str(analysis.verdict) == entry.expect, analysis.reasons
    assert set(entry.violates) <= {check.checker for check in analysis.checks if check.violation_count}


def allowing() -> list[str]:
    """Scenarios that say of a journey which refusals, or how late an answer, are right under their faults."""
    names = {entry.scenario.rpartition("/")[2] for entry in FULL}
    return sorted(
        name for name in names if any(e.refused or e.good_within for e in scenario(name).expect.fault)
    )


@pytest.mark.parametrize("name", allowing())
def test_who_does_what_a_scenario_allows_scores_well(name: str) -> None:
    """What is right is no harm. That a full spool refuses emergencies, too, is, and counts."""
    _, analysis = played(name, "resilient")
    assert analysis.score is not None and analysis.score.value is not None
    assert analysis.score.value > (50 if name == "audit_spool_full" else 80), analysis.score.parts


@pytest.mark.parametrize("looks", [0, 1, 7, 15])
def test_an_interrupted_run_keeps_what_happened(looks: int) -> None:
    """The loop looks whether to stop: what was played until then is a history that loads, has its header and
    its end, and is judged invalid. Looking changes nothing of a run that goes on."""
    asked = iter(range(1000))
    wanted = plan("payer_blackhole", "resilient")
    history = build(play(wanted, usual_sizes(), stop=lambda: next(asked) >= looks).rows)
    whole, _ = played("payer_blackhole", "resilient")
    assert history.end is not None
    assert (history.end.reason, history.end.t) == ("interrupted", float(looks))
    analysis = analyse(history, scenario("payer_blackhole"), system())
    assert analysis.verdict is Verdict.INVALID
    ended = whole.operations.filter(pl.col("ended") < looks).drop_nulls("sent")
    assert history.operations.height >= ended.filter(pl.col("journey") != "final_read").height
    alike = build(play(wanted, usual_sizes(), stop=lambda: False).rows)
    assert alike.operations.equals(whole.operations)


@pytest.mark.parametrize(
    ("name", "design_name", "invariant"),
    [
        ("charge_response_lost", "no_key", "no_duplicate_charge"),
        ("delayed_dose_event", "no_dispense_check", "no_superseded_dispense"),
        ("brown_out", "unlimited_retries", "no_retry_amplification"),
        ("payer_down", "presumed_cover", "no_invented_cover"),
        ("page_reply_lost", "no_page_key", "no_duplicate_page"),
        ("critical_result", "no_escalation", "unanswered_escalated"),
        ("critical_result", "forgotten_pages", "critical_told_in_time"),
        ("notify_crash", "forgotten_pages", "no_lost_notice"),
        ("notify_crash", "sessions_in_memory", "no_lost_session"),
        ("incompatible_event", "drops_unknown", "results_shown"),
        ("incompatible_event", "drops_unknown", "dashboard_staleness"),
        ("corrected_twice", "corrects_blindly", "no_lost_result"),
        ("hl7_lab_away", "hl7_forgets_deliveries", "hl7_delivered"),
        ("hl7_slow_lab", "no_message_context", "traces_complete"),
    ],
)
def test_planted_bugs_are_caught(name: str, design_name: str, invariant: str) -> None:
    """A resilient design with one remedy removed violates the invariant that the remedy is for."""
    _, analysis = played(name, design_name)
    broken = {check.checker for check in analysis.checks if check.violation_count}
    assert invariant in broken, analysis.reasons


def test_a_queue_that_a_crash_forgets_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: after its restart billing does not take up the claims that it had acknowledged."""
    model: Any = models_of(system()).nodes["billing"]
    opened = model.opened

    def forgetful(billing: Node) -> None:
        kept, billing.tables["claim"] = billing.tables.get("claim", {}), {}
        opened(billing)
        billing.tables["claim"] = kept

    monkeypatch.setattr(model, "opened", forgetful)
    usual = usual_sizes()
    batches = replace(usual, constants={**usual.constants, "claims_gather_s": 1.0})
    history = simulate(plan("billing_crash", "resilient"), batches)
    analysis = analyse(history, scenario("billing_crash"), system())
    (found,) = (check for check in analysis.checks if check.checker == "no_lost_claim")
    left = history.records.filter((pl.col("kind") == "claim") & (pl.col("status") == "queued"))
    assert found.violation_count == len(left) > 0


def test_all_scenarios_simulate() -> None:
    """Every scenario file of the project plays to its end on both designs, in virtual time."""
    in_bytes = {"catalogue/hl7_split_frames", "catalogue/certificate_expired"}  # refused by name
    assert in_bytes <= set(EVERYTHING)
    for name in sorted(set(EVERYTHING) - in_bytes):
        for design_name in ("fragile", "resilient"):
            history = simulate(plan(name, design_name), usual_sizes())
            assert history.end is not None, name
            assert history.end.reason == "completed"
            assert history.header.source == "simulation"
            assert len(history.operations) > 0


def test_the_same_seed_gives_the_same_history() -> None:
    """Bit for bit, with faults and retries; another seed gives another."""
    first, _ = played("payer_blackhole", "resilient")
    again, _ = played("payer_blackhole", "resilient")
    other, _ = played("payer_blackhole", "resilient", seed=2)
    assert first.operations.equals(again.operations)
    assert first.records.equals(again.records)
    assert first.samples == again.samples
    assert first.faults == again.faults
    assert not first.operations.equals(other.operations)


def test_every_planned_operation_has_its_row() -> None:
    """What was planned is what the history holds, at its intended time, and its columns are the live ones."""
    wanted = plan("billing_crash", "fragile")
    history = simulate(wanted, usual_sizes())
    rows = history.operations.filter(pl.col("journey") != "final_read")
    assert rows["id"].to_list() == [op.id for op in sorted(wanted.operations, key=lambda o: (o.at_s, o.id))]
    assert rows["intended"].to_list() == [op.at_s for op in wanted.operations]


def test_a_crash_cuts_what_was_in_flight() -> None:
    """Billing's users see their connections cut, and a charge whose answer died with it stays charged."""
    history, analysis = played("billing_crash", "fragile")
    cut = history.operations.filter(pl.col("error").cast(str).is_in(["reset", "closed"]))
    assert len(cut) > 0
    charged = history.records.filter((pl.col("store") == "payments") & (pl.col("kind") == "charge"))
    paid = history.records.filter(
        (pl.col("store") == "billing") & (pl.col("kind") == "invoice") & (pl.col("status") == "paid")
    )
    assert len(charged) > len(paid)
    assert any(check.checker == "sagas_terminal" and check.violation_count for check in analysis.checks)


def test_each_fault_proves_its_effect_and_its_end() -> None:
    """The fault objects' own measurements decide, on simulated controls as on real ones."""
    history, _ = played("registry_flapping", "resilient")
    first = [event for event in history.faults if event.fault == "f1.1"]
    looks = [event for event in first if event.event == "still_active"]
    assert [event.event for event in first] == ["inject", "active", *7 * ["still_active"], "heal", "healed"]
    assert [round(look.t - first[0].t, 3) for look in looks] == [0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.45]
    assert first[0].measured["carried"] > looks[-1].measured["met"] > looks[0].measured["met"] >= 0
    assert all(event.t == pytest.approx(event.planned) for event in history.faults if event.event == "inject")


def test_a_fault_on_a_link_that_nobody_uses_is_invalid() -> None:
    """The virtual probe sees it, as a live one would; nobody's work met it."""
    base = scenario("delayed_dose_event")
    idle = replace(base, faults=(replace(base.faults[0], fault=Latency(0.3), target="billing -> payments"),))
    history = simulate(plan_of(idle, design("resilient")), usual_sizes())
    analysis = analyse(history, idle, system())
    assert analysis.verdict is Verdict.INVALID
    said = "f1 (latency on billing -> payments) had no effect: billing -> payments carried nothing while"
    assert any(said in reason for reason in analysis.reasons)
    assert "active" in [event.event for event in history.faults]


@dataclass(frozen=True, slots=True)
class Meteor:
    """A kind of fault that no runtime knows."""

    kind = "meteor"
    target_kind = "link"
    requires = "impact"
    fault_class = "impact"


def test_a_service_refuses_what_comes_above_its_rate() -> None:
    """Six requests a second are served, and a burst of half a second; the rest is refused, as live."""
    wanted = plan("charge_response_lost", "resilient")
    services = dict(wanted.design.services)
    services["billing"] = services["billing"] | {"max_rate": 6.0}
    limited = replace(wanted, design=replace(wanted.design, services=services))
    operations = simulate(limited, usual_sizes()).operations
    operations = operations.filter(pl.col("journey") != "final_read")
    served = operations.filter(pl.col("outcome") == "acknowledged").height
    assert served == pytest.approx(6.0 * (wanted.load_end_s + 0.5), rel=0.05)
    assert operations.filter(pl.col("error") == "shed").height > served


def test_a_limited_service_shares_its_cpu_among_its_requests() -> None:
    """What an operation takes inside a service is its own work: under a tenth of a core it takes ten times
    as long, and two requests do not work at the same time. Without a limit they do."""
    sizes = replace(usual_sizes(), work={"registry/read": Constant(0.01)})
    world = World(plan("registry_starved", "fragile"), sizes)
    spans = world.spans.setdefault(("registry", "read"), [])

    def ask_twice() -> list[float]:
        spans.clear()
        for _ in range(2):
            request = Request("read", {"patient": "pat-00001"}, "checkin")
            world.channels["checkin -> registry"].call(CallEnd("checkin -> registry", request), request)
        run_until(world.clock, world.clock.now + 1.0)
        return spans

    assert ask_twice() == [pytest.approx(0.01, abs=0.005)] * 2
    registry = SimulatedControls(world).node("registry")
    registry.act("f1", CpuLimit(0.1))
    assert ask_twice() == [pytest.approx(0.1, abs=0.01), pytest.approx(0.2, abs=0.01)]
    registry.undo("f1")
    assert ask_twice() == [pytest.approx(0.01, abs=0.005)] * 2


def test_what_the_model_does_not_know_is_refused_by_name() -> None:
    """An unknown capability ends the run before it starts."""
    wanted = plan("payer_blackhole", "resilient")
    meteor: Any = Meteor()
    spec = replace(wanted.scenario.faults[0], fault=meteor)
    changed = replace(wanted, scenario=replace(wanted.scenario, faults=(spec,)))
    with pytest.raises(UnsupportedError) as caught:
        simulate(changed, usual_sizes())
    message = str(caught.value)
    assert "meteor on eligibility -> payer, which the twin cannot do; it can: blackhole" in message


def test_the_header_names_the_calibration() -> None:
    """A reader of a simulated run sees where its magnitudes are from."""
    history, _ = played("control", "resilient")
    assert history.header.calibration.startswith("uncalibrated, made ")


@pytest.mark.parametrize("name", ["registry_flapping", "payer_lossy"])
def test_looking_at_a_fault_again_changes_nothing_of_the_run(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Looks while a fault lasts draw by themselves: what users meet stays what it was."""
    looked, _ = played(name, "fragile")
    monkeypatch.setattr(fault_proof.FaultProof, "_lasting", lambda *_: iter(()))
    without, _ = played(name, "fragile")
    assert len(looked.faults) > len(without.faults)
    assert looked.operations.equals(without.operations)
    assert looked.samples == without.samples


def test_a_run_that_its_scenario_aborts_is_healed_and_judged_as_nothing_else() -> None:
    """The payer is silent, most check-ins fail: the run ends seconds later, with its fault healed."""
    one = plan("smoke/payer_blackhole", "fragile", 1)
    given = (AbortCondition(p95=1.0, journey="check_in", lasting=1.0),)
    asked = replace(one.scenario, abort=given)
    history = simulate(replace(one, scenario=asked), usual_sizes())
    analysis = analyse(history, asked, system())
    fault = one.phase("fault")
    assert history.end is not None and history.end.reason == "aborted"
    assert history.operations.filter(pl.col("ended") > fault.end_s).height == 0
    assert [event.event for event in history.faults][-2:] == ["heal", "healed"]
    assert (analysis.verdict, analysis.score.value) == (Verdict.ABORTED, None)
    assert exit_code(analysis.verdict, analysis.vetoed, history.end) is ExitCode.FAIL
    assert analysis.reasons[0].startswith("aborted at "), analysis.reasons
    assert {check.name for check in analysis.validity if not check.ok} == {"complete"}


def test_a_run_that_stays_within_its_conditions_is_played_as_if_it_had_none() -> None:
    """The watch changes nothing: the same rows, and the verdict of the same run."""
    one = plan("smoke/payer_blackhole", "resilient", 1)
    asked = replace(one.scenario, abort=(AbortCondition(errors=0.9, lasting=10.0),))
    watched, free = simulate(replace(one, scenario=asked), usual_sizes()), simulate(one, usual_sizes())
    assert watched.operations.equals(free.operations) and watched.faults == free.faults


def test_an_end_that_says_aborted_of_a_scenario_without_conditions_is_invalid() -> None:
    """Nothing could have aborted it: whoever wrote that line, the run shows nothing."""
    history = simulate(plan("smoke/payer_blackhole", "fragile", 1), usual_sizes())
    assert history.end is not None
    changed = replace(history, end=replace(history.end, reason="aborted"))
    assert analyse(changed, scenario("smoke/payer_blackhole"), system()).verdict is Verdict.INVALID
