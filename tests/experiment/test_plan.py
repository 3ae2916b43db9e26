"""Plans: every random choice made from the seed, and only from it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from execution.catalogue import read_system
from experiment.design import Design
from experiment.errors import Location
from experiment.plan import Plan, make_plan
from experiment.scenario import Arrivals, FaultSpec, Load, Phases, Repeat, Scenario
from experiment.topology import Step, System
from experiment.workload import load_workload
from faults.slow_tail import DRAWS, SlowTail, Tail
from reference_system.workload.population import generate
from tests.execution.builders import Board, ScriptedFault

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = read_system(ROOT / "reference_system" / "system.yaml")
SYSTEM = replace(
    REFERENCE,
    mixes={
        "visit": (
            Step("check_in"),
            Step("claim", at=0.4),
            Step("pay", at=0.8, needs="claim"),
            Step("prescribe", at=0.3, share=0.6),
            Step("change_dose", at=0.7, share=0.5, needs="prescribe"),
            Step("change_dose", at=0.9, share=0.5, needs="change_dose"),
            Step("dispense", at=1.5, needs="prescribe"),
        ),
        "arrival": (Step("check_in"),),
    },
)
PHASES = Phases(warm_up=1.0, baseline=20.0, fault=10.0, recovery=10.0, settle=5.0)
SCENARIO = Scenario("calm", "Calm", Load(Arrivals("poisson", 10.0), {"visit": 3.0, "arrival": 1.0}), PHASES)
DESIGN = Design("plain", {}, {})


def plan(
    seed: int = 1, scenario: Scenario = SCENARIO, design: Design = DESIGN, system: System = SYSTEM
) -> Plan:
    return make_plan(scenario, system, design, seed, generate(20, seed), load_workload(system))


def fingerprint() -> str:
    return hashlib.sha256(repr(plan(3).operations).encode()).hexdigest()


def faulty(*specs: FaultSpec) -> Plan:
    return plan(scenario=replace(SCENARIO, faults=specs))


def spec(
    during: str | None = "fault",
    at: float | None = None,
    lasting: float | None = None,
    repeat: Repeat | None = None,
) -> FaultSpec:
    return FaultSpec(ScriptedFault(Board()), "front -> back", during, at, lasting, repeat, Location("x"))


def test_the_same_seed_gives_the_same_plan_bit_for_bit() -> None:
    """Every operation and every step, to the last digit."""
    assert repr(plan(3)) == repr(plan(3))
    assert plan(3) == plan(3)
    assert plan(3).operations != plan(4).operations


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_makes_the_same_plan(hash_seed: str) -> None:
    """Nothing hangs on the hash seed of the interpreter."""
    code = "from tests.experiment.test_plan import fingerprint; print(fingerprint())"
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert made.stdout.strip() == fingerprint()


def test_phases_follow_each_other() -> None:
    """Each starts where the one before it ends; the load ends where the settling starts."""
    made = plan()
    assert [phase.name for phase in made.phases] == ["warm_up", "baseline", "fault", "recovery", "settle"]
    assert all(a.end_s == b.start_s for a, b in pairwise(made.phases))
    assert (made.phases[0].start_s, made.phases[-1].end_s, made.load_end_s) == (0.0, 46.0, 41.0)


def test_operations_are_in_order_and_within_the_load() -> None:
    """Ascending in intended start, none after the load's end, ids unique."""
    operations = plan().operations
    assert all(a.at_s <= b.at_s for a, b in pairwise(operations))
    assert operations[0].at_s >= 0
    assert operations[-1].at_s < 41.0
    assert len({op.id for op in operations}) == len(operations)


def test_what_an_operation_needs_is_planned_before_it_in_the_same_visit() -> None:
    """No operation waits for one that is not in the plan."""
    made = plan()
    by_id = {op.id: op for op in made.operations}
    needing = [op for op in made.operations if op.needs is not None]
    assert needing
    for op in needing:
        assert op.needs is not None
        needed = by_id[op.needs]
        assert needed.visit == op.visit
        assert needed.id < op.id


def test_what_is_cut_off_by_the_end_takes_its_dependents_with_it() -> None:
    """Also when a dependent is planned earlier than what it needs, and along a chain."""
    mixes: dict[str, tuple[Step, ...]] = {
        "odd": (
            Step("claim", at=2.0),
            Step("pay", at=0.5, needs="claim"),
            Step("dispense", at=0.6, needs="pay"),
            Step("check_in"),
        )
    }
    load = Load(Arrivals("constant", 1.0), {"odd": 1.0})
    scenario = Scenario("odd", "Odd", load, Phases(warm_up=0.0, baseline=1.0))
    made = plan(scenario=scenario, system=replace(SYSTEM, mixes=mixes))
    assert [op.journey for op in made.operations] == ["check_in"]


def test_business_keys_belong_to_their_visit() -> None:
    """Claim and payment share the invoice, the steps of a prescription share it; other visits have others."""
    made = plan()
    for op in made.operations:
        prefix = {"check_in": "enc", "claim": "inv", "pay": "inv"}.get(op.journey, "rx")
        assert op.key.startswith(f"{prefix}-")
        assert op.key.endswith(f"-{op.visit:06d}")
    assert len({op.key for op in made.operations if op.journey == "check_in"}) == len(
        [op for op in made.operations if op.journey == "check_in"]
    )


def test_runs_of_one_seed_but_different_designs_have_different_keys_and_the_same_choices() -> None:
    """Designs are compared under the same load; their records cannot be mixed up."""
    one, two = plan(1), plan(1, design=Design("other", {}, {}))
    assert one.run_id != two.run_id
    assert not {op.key for op in one.operations} & {op.key for op in two.operations}
    assert [replace(op, key="") for op in one.operations] == [replace(op, key="") for op in two.operations]


def test_each_dose_of_a_prescription_is_another_one() -> None:
    """A dose tells its version, or a stale read could not be told from a fresh one."""
    doses: dict[str, list[float]] = {}
    for op in plan().operations:
        if "dose_mg" in op.arguments:
            doses.setdefault(op.key, []).append(op.arguments["dose_mg"])
    assert max(len(values) for values in doses.values()) == 3
    assert all(len(set(values)) == len(values) for values in doses.values())


def test_a_write_knows_what_it_means_to_leave_behind_and_a_visit_has_one_amount() -> None:
    """The intended value of a dose is its text; claim and payment of a visit are about one amount."""
    amounts: dict[int, set[float]] = {}
    for op in plan().operations:
        writes_dose = op.journey in ("prescribe", "change_dose")
        assert ("dose_mg" in op.arguments) == writes_dose
        assert op.value == (f"{op.arguments['dose_mg']:g} mg" if writes_dose else None)
        amounts.setdefault(op.visit, set()).add(op.arguments["amount"])
    assert all(len(values) == 1 for values in amounts.values())


def test_mixes_and_shares_are_drawn_by_their_weights() -> None:
    """Three visits in four are whole visits, 60% of these have a prescription; within 4 standard
    deviations."""
    phases = Phases(warm_up=0.0, baseline=400.0)
    made = plan(scenario=replace(SCENARIO, phases=phases))
    visits = {op.visit for op in made.operations}
    whole = {op.visit for op in made.operations if op.journey == "claim"}
    prescribed = {op.visit for op in made.operations if op.journey == "prescribe"}
    assert abs(len(whole) - 0.75 * len(visits)) < 4 * (len(visits) * 0.75 * 0.25) ** 0.5 + 2
    assert abs(len(prescribed) - 0.6 * len(whole)) < 4 * (len(whole) * 0.6 * 0.4) ** 0.5 + 2


def spans(plan: Plan) -> list[tuple[str, float, float]]:
    return [(acting.id, acting.start_s, acting.end_s) for acting in plan.activations]


def test_a_fault_by_phase_lasts_as_long_as_the_phase() -> None:
    """Injected at its start, healed at its end."""
    assert spans(faulty(spec())) == [("f1", 21.0, 31.0)]


def test_a_fault_at_a_time_for_a_duration() -> None:
    """`at` counts from the phase when one is named, else from zero."""
    assert spans(faulty(spec(at=2.0, lasting=3.0))) == [("f1", 23.0, 26.0)]
    assert spans(faulty(spec(None, 25.0, 3.0))) == [("f1", 25.0, 28.0)]


def test_a_flapping_fault_has_an_activation_each_time() -> None:
    """Up, down, up ...; the last one is cut at the end of the phase."""
    assert spans(faulty(spec(repeat=Repeat(2.0, 2.0)))) == [
        ("f1.1", 21.0, 23.0),
        ("f1.2", 25.0, 27.0),
        ("f1.3", 29.0, 31.0),
    ]
    assert spans(faulty(spec(repeat=Repeat(2.0, 2.0, times=1)))) == [("f1.1", 21.0, 23.0)]
    assert spans(faulty(spec(repeat=Repeat(8.0, 1.0))))[-1][2] == 31.0


def test_activations_are_in_the_order_of_their_starts() -> None:
    """Whatever the order of the faults in the file; those that start together keep it."""
    later, sooner = spec(at=5.0, lasting=5.0), spec(at=0.0, lasting=5.0)
    assert spans(faulty(later, sooner)) == [("f2", 21.0, 26.0), ("f1", 26.0, 31.0)]
    assert [name for name, *_ in spans(faulty(sooner, sooner))] == ["f1", "f2"]


def test_the_seed_draws_the_place_of_a_fault_that_has_several() -> None:
    """The same seed gives the same place, and of many seeds every place has its turn. All else in the plan
    stays as it is."""
    links = ("billing -> payments", "checkin -> registry", "prescriptions -> registry")
    several = replace(SCENARIO, faults=(replace(spec(), target=links[0], one_of=links),))
    plans = [plan(seed, several) for seed in range(1, 21)]
    assert [made.activations[0].target for made in plans] == [
        plan(seed, several).activations[0].target for seed in range(1, 21)
    ]
    assert {made.activations[0].target for made in plans} == set(links)
    assert all(made.scenario.faults[0].target == made.activations[0].target for made in plans)
    assert plans[0].operations == plan(1, replace(SCENARIO, faults=(spec(),))).operations


def test_times_of_a_slow_tail_are_drawn_from_the_seed() -> None:
    """Each activation has times of its own: whole milliseconds around the median, and few of the tail."""
    tail = SlowTail(2.0, 0.5, Tail(0.1, 30.0, 0.3))
    flaps = replace(SCENARIO, faults=(replace(spec(), fault=tail, repeat=Repeat(2.0, 1.0)),))
    one, again, other = plan(1, flaps), plan(1, flaps), plan(2, flaps)
    drawn = [acting.fault.delays_s for acting in one.activations if isinstance(acting.fault, SlowTail)]
    assert drawn == [a.fault.delays_s for a in again.activations if isinstance(a.fault, SlowTail)]
    assert len(drawn) == len(set(drawn)) > 1
    assert drawn[0] != other.activations[0].fault.delays_s  # type: ignore[attr-defined]  # a SlowTail too
    assert all(len(times) == DRAWS and min(times) > 0 for times in drawn)
    assert 1.8 < sorted(drawn[0])[DRAWS // 2] < 2.5
    assert 0.04 < sum(each > 15 for each in drawn[0]) / DRAWS < 0.16
    assert one.scenario.faults[0].fault == tail, "the scenario itself stays as it was written"
