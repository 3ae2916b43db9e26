"""What others take of the machine is told where it can have made a figure worse, and excuses no violation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiment.history import Row
from experiment.scenario import Expectation, Recovery
from experiment.units import DURATION, parse_bound
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.expectations import describe
from measurement.judge import analyse
from measurement.pressure import Moment, machine_alone, machine_use, moments, pressure_text, spoilt
from tests.measurement.histories import SYSTEM, history, op, record, sample, scenario

SLOW_S = 0.5
PROMPT = {
    "fault": (Expectation("pay", p95=parse_bound("<= 300ms", DURATION)),),
    "invariants": ("no_duplicate_charge",),
}


def machine(others: float, start: float, end: float, own: float = 0.3, waiting: float = 0.9) -> list[Row]:
    """Two cores, of which others took so many from `start` to `end`, and a tenth of one before and after."""
    rows: list[Row] = []
    for t in range(1, 41):
        taken = others if start < t <= end else 0.1
        figures = {"cores": 2.0, "own_cores": own, "other_cores": taken}
        rows += [sample(float(t), "machine", name, value) for name, value in figures.items()]
        rows.append(sample(float(t), "machine", "waiting", waiting if start < t <= end else 0.1, "cpu"))
    return rows


def run(*more: Row, slow: bool = True, twice: bool = False) -> Analysis:
    """Payments at 10/s, slow under the fault (11 s to 21 s) or not, the first one charged twice or not."""
    rows: list[Row] = []
    for i in range(360):
        took = SLOW_S if slow and 11 <= i / 10 < 21 else 0.05
        rows.append(op(i, "pay", f"inv-{i}", i / 10, took))
        charged: dict[str, Any] = {"t": i / 10, "amount": 5.0, "status": "captured"}
        rows.append(record("payments", "charge", f"inv-{i}", id=f"ch-{i}", **charged))
        rows.append(record("billing", "invoice", f"inv-{i}", status="paid", amount=5.0))
    if twice:
        rows.append(record("payments", "charge", "inv-3", id="again", t=0.4, amount=5.0, status="captured"))
    return analyse(history(*rows, *more), scenario(expect=PROMPT), SYSTEM)


def missed(analysis: Analysis) -> str:
    (result,) = (result for result in analysis.expectations if result.status == "not met")
    return describe(result)


def test_an_objective_that_was_missed_under_pressure_says_so() -> None:
    """It is missed all the same: the verdict is that of the run without pressure."""
    analysis = run(*machine(1.7, 11.0, 16.0))
    assert analysis.verdict is Verdict.FAIL
    said = missed(analysis)
    assert said == (
        "pay p95 during the fault: 500 ms, expected <= 300ms; "
        "under pressure from outside: others took 1.7 of 2 cores for 5 s of 10 s"
    )
    assert said in analysis.reasons


@pytest.mark.parametrize(
    "rows",
    [
        [],  # of the twin, or of a machine that does not say
        machine(1.7, 24.0, 36.0),  # at another time than that of the objective
        machine(1.7, 11.0, 11.9),  # for a moment
        machine(0.9, 11.0, 21.0),  # one core is left for the run, which needs a third of it
        machine(0.3, 11.0, 21.0, own=1.7),  # the run itself takes what there is
    ],
    ids=["not sampled", "another time", "a moment", "room left", "its own doing"],
)
def test_a_failure_without_pressure_stands_alone(rows: list[Row]) -> None:
    """Nothing is excused that others have not done."""
    assert missed(run(*rows)) == "pay p95 during the fault: 500 ms, expected <= 300ms"


def test_an_objective_that_was_met_says_nothing() -> None:
    """Under pressure and fast enough all the same."""
    analysis = run(*machine(1.7, 11.0, 21.0), slow=False)
    assert analysis.verdict is Verdict.PASS
    assert not any(result.pressure for result in analysis.expectations)


def test_safety_is_judged_as_ever() -> None:
    """Two charges of one invoice are two charges, whoever had the machine."""
    analysis = run(*machine(2.0, 0.0, 40.0), slow=False, twice=True)
    assert analysis.vetoed
    assert "pressure" not in " ".join(check.statement for check in analysis.checks if check.safety)


def test_a_property_that_bounds_times_says_so_too() -> None:
    """The recovery is one: payments stay slow to the end, on a machine that others took."""
    rows = [op(i, "pay", f"inv-{i}", i / 10, 0.05 if i < 110 else 2.0) for i in range(360)]
    expect = {"recovery": Recovery(within=5.0, hold=5.0), "invariants": ("recovers",)}
    analysis = analyse(history(*rows, *machine(2.0, 0.0, 40.0)), scenario(expect=expect), SYSTEM)
    (check,) = (check for check in analysis.checks if check.checker == "recovers")
    assert check.verdict is Verdict.FAIL
    assert "under pressure from outside: others took 2.0 of 2 cores" in check.statement


def test_what_was_used_of_the_machine_is_told() -> None:
    """Means over the load by time, the worst second, and the share under pressure."""
    use = run(*machine(1.7, 11.0, 21.0)).machine
    assert use is not None
    assert use.cores == 2.0 and use.most_others == 1.7
    assert use.own == pytest.approx(0.3)
    assert use.pressed == pytest.approx(10 / 35)
    assert use.others == pytest.approx((10 * 1.7 + 25 * 0.1) / 35)
    assert use.waiting == pytest.approx((10 * 0.9 + 25 * 0.1) / 35)
    assert run().machine is None


def test_samples_that_are_not_whole_are_left_out() -> None:
    """A time with one figure alone tells nothing; one without PSI tells all but the waiting."""
    rows = [row for row in machine(1.7, 0.0, 40.0) if not (row.name == "waiting" or row.t == 3.0)]  # type: ignore[union-attr]
    every = moments(history(*rows, sample(3.0, "machine", "cores", 2.0)))
    assert [(moment.start, moment.end) for moment in every[:3]] == [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0)]
    use = machine_use(every, (0.0, 10.0))
    assert use is not None and use.waiting is None
    assert machine_use(every, (100.0, 101.0)) is None
    assert not replace(every[0], others=0.4, own=1.6).pressed


@pytest.mark.parametrize(
    ("broken", "pressed", "late", "alone"),
    [
        (("generator_kept_up",), 0.0, False, True),
        (("generator_kept_up", "fault_observed"), 0.0, False, False),
        (("complete", "baseline_met"), 0.5, False, True),
        (("complete", "baseline_met"), 0.05, False, False),
        (("fault_observed",), 0.5, True, True),
        (("fault_observed",), 0.5, False, False),
        (("fault_observed",), 0.05, True, False),
        ((), 1.0, True, False),
    ],
)
def test_what_a_machine_alone_can_spoil(
    broken: tuple[str, ...], pressed: float, late: bool, alone: bool
) -> None:
    """A load that came late; under pressure a baseline, or a fault that was injected late. Nothing else."""
    assert machine_alone(broken, pressed, late) is alone


def test_figures_are_weighted_by_their_time_within_the_span() -> None:
    """One second and three of a moment of nine: of the others' 2 and 1 cores, 1.25."""
    every = (Moment(0.0, 1.0, 4.0, 0.4, 2.0, 0.5), Moment(1.0, 10.0, 4.0, 0.8, 1.0, 0.1))
    use = machine_use(every, (0.0, 4.0))
    assert use is not None
    assert use.own == pytest.approx(0.7)
    assert use.others == pytest.approx(1.25)
    assert (use.most_others, use.cores) == (2.0, 4.0)
    assert use.waiting == pytest.approx(0.2)
    silent = (replace(every[0], waiting=None), every[1])
    told = machine_use(silent, (0.0, 4.0))
    assert told is not None and told.waiting == pytest.approx(0.1)
    assert machine_use(every, (10.0, 12.0)) is None


@pytest.mark.parametrize(
    ("own", "others", "pressed"),
    [(2.0, 1.0, True), (1.9, 1.1, True), (2.1, 0.9, False), (1.9, 1.0, False), (0.0, 3.0, True)],
)
def test_others_press_with_a_quarter_of_the_machine_of_which_a_quarter_is_idle(
    own: float, others: float, pressed: bool
) -> None:
    """Of four cores: one at least for others, one at most left idle."""
    assert Moment(0.0, 1.0, 4.0, own, others).pressed is pressed


def test_a_tenth_of_the_time_under_pressure_is_told() -> None:
    """With the mean of what others took meanwhile, not over all."""
    calm, busy = Moment(0.0, 9.0, 2.0, 0.5, 0.1), Moment(9.0, 10.0, 2.0, 0.3, 1.5)
    assert pressure_text((calm, busy), (0.0, 10.0)) == (
        "under pressure from outside: others took 1.5 of 2 cores for 1 s of 10 s"
    )
    assert pressure_text((calm, busy), (0.0, 9.9)) == ""
    two = (replace(busy, start=0.0, end=3.0), Moment(3.0, 4.0, 2.0, 0.1, 1.9))
    assert "others took 1.6 of 2 cores for 4 s of 4 s" in pressure_text(two, (0.0, 4.0))


@pytest.mark.parametrize(
    ("broken", "late_by", "alone"),
    [
        (("generator_kept_up",), 0.0, True),
        (("fault_observed",), 1.1, True),
        (("fault_observed",), 1.0, False),
        (("complete",), 1.1, False),
    ],
)
def test_a_run_that_its_machine_alone_has_spoilt(
    broken: tuple[str, ...], late_by: float, alone: bool
) -> None:
    """A fault that began more than a second late, under pressure; another verdict is not spoilt."""
    whole = run(*machine(1.7, 0.0, 40.0))
    (window,) = whole.faults
    spoiled = replace(
        whole,
        verdict=Verdict.INVALID,
        faults=(replace(window, start=window.planned_start + late_by),),
        validity=tuple(replace(check, ok=check.name not in broken) for check in whole.validity),
    )
    assert spoilt(spoiled) is alone
    assert not spoilt(replace(spoiled, verdict=Verdict.FAIL))
    assert not spoilt(replace(spoiled, faults=(replace(window, start=None),))) or broken[0].startswith("gen")
    calm = replace(spoiled, machine=None)
    assert spoilt(calm) is (broken == ("generator_kept_up",))
