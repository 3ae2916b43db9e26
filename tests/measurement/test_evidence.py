"""Evidence against the plan, on a run of a few lines: each sentence with what is missing or too much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiment.asked import Asked, AskedFault, operations_digest
from experiment.forms import FinalReadForm
from experiment.history import build
from experiment.plan import PlannedPhase
from experiment.rows import (
    GENERAL_MODELS,
    LEFT_OUT,
    End,
    FaultEvent,
    Header,
    LoadReport,
    Operation,
    PhaseEvent,
    Record,
    Row,
    Sample,
    tally_of,
)
from experiment.services import Service
from experiment.topology import Journey, System
from experiment.verdict import Verdict
from measurement.analysis import ValidityCheck
from measurement.evidence import final_reads_made, judge_evidence
from tests.measurement.histories import ENDS, HEADER, STARTS, fault_events, op, read, record, sample

SYSTEM = System(
    "till",
    {"till": Service(module="till"), "ledger": Service(module="ledger", records=("charge",))},
    (),
    {"pay": Journey("till"), "look": Journey("till", writes=False)},
    {},
    final_reads={"inv": FinalReadForm("pay", "/invoices/{key}")},
)
PLANNED = [op(1, "pay", "inv-1", 5.0), op(2, "pay", "inv-2", 6.0), op(3, "look", "tab-1", 7.0)]
READS = [op(4, "final_read", "inv-1", 40.0), op(5, "final_read", "inv-2", 40.1)]
CHARGES = [record("ledger", "charge", "inv-1", t=5.0), record("ledger", "charge", "inv-2", t=6.0)]
FAULT = AskedFault("f1", "latency", "billing -> payments", 11.0, 21.0)


def digest(rows: Iterable[Operation]) -> str:
    ordered = list(rows)
    return operations_digest(
        np.array([row.id for row in ordered], np.int64),
        np.array([row.intended for row in ordered]),
        [row.journey for row in ordered],
        [row.key for row in ordered],
    )


ASKED = Asked(
    3, digest(PLANNED), tuple(PlannedPhase(name, STARTS[name], ENDS[name]) for name in STARTS), (FAULT,), {}
)
WHOLE: list[Row] = [
    HEADER,
    *(PhaseEvent(name, STARTS[name], ENDS[name]) for name in STARTS),
    LoadReport(8.0, 0, 2, 2, 0.001, 0.002, 0.003),
    LoadReport(8.0, 1, 1, 1, 0.001, 0.002, 0.003),
    *fault_events(),
    *PLANNED,
    *READS,
    *CHARGES,
    *read(ledger=2, till=0),
    sample(40.5, "load", LEFT_OUT, 0.0),
]


def judged(
    rows: Iterable[Row], asked: Asked | None = ASKED, system: System = SYSTEM, **end: Any
) -> list[ValidityCheck]:
    """With an end that counts these lines, and changes of it."""
    kept = list(rows)
    facts: dict[str, Any] = {"tally": tally_of(kept), "run_id": HEADER.run_id, **end}
    last = End(41.0, "completed", True, **facts)
    return judge_evidence(build([*kept, last]), system, asked)


def problems(rows: Iterable[Row], asked: Asked = ASKED, system: System = SYSTEM, **end: Any) -> str:
    """What is wrong in all conditions, in one text."""
    return "; ".join(check.statement for check in judged(rows, asked, system, **end) if not check.ok)


def less(*unwanted: Row) -> list[Row]:
    return [row for row in WHOLE if not any(row is one for one in unwanted)]


def instead(old: Row, **changes: Any) -> list[Row]:
    return [replace(row, **changes) if row is old else row for row in WHOLE]


def of(kind: type, number: int = 0, **facts: Any) -> Any:
    """The row of that type and number among those with these fields."""
    found = [row for row in WHOLE if isinstance(row, kind)]
    return [row for row in found if all(getattr(row, name) == value for name, value in facts.items())][number]


def test_a_run_with_all_its_evidence_is_believed() -> None:
    """Every condition says what was there."""
    checks = judged(WHOLE)
    assert [(check.name, check.ok) for check in checks] == [
        ("evidence_is_complete", True),
        ("rows_are_possible", True),
        ("run_is_the_planned_one", True),
        ("design_is_obeyed", True),
    ]
    assert checks[0].statement == f"all {len(WHOLE)} lines of the history are there"
    assert checks[2].statement == "operations, phases and faults are the planned ones"
    assert [check.name for check in judged(WHOLE, None)] == ["rows_are_possible"]


def test_of_a_run_that_was_not_completed_nothing_is_claimed() -> None:
    """It is invalid for that already."""
    assert judge_evidence(build([*WHOLE, End(9.0, "interrupted", True)]), SYSTEM, ASKED) == []
    assert judge_evidence(build(WHOLE), SYSTEM, ASKED) == []


def test_lines_are_counted_by_the_last_one() -> None:
    """By type; a type of which none is left is told too."""
    tally = tally_of(WHOLE)
    assert problems(WHOLE, tally={**tally, "op": 7, "sample": 3}) == "5 of 7 operations are there"
    assert problems(WHOLE, tally={**tally, "note": 2}) == "0 of 2 notes are there"
    assert problems(WHOLE, tally={**tally, "fault": 13}) == "14 of 13 fault events are there"
    assert problems(WHOLE, tally={}) == "the last line does not say how many lines there are"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (less(PLANNED[2]), "2 of 3 planned operations have a row"),
        ([*WHOLE, op(9, "look", "tab-9", 8.0)], "4 of 3 planned operations have a row"),
        (less(of(LoadReport, 1)), "the load generator counted 2 operations as due, 3 were planned"),
        (
            instead(of(LoadReport, 1), achieved=0),
            "the load generator counted 2 operations as started, by their rows it started 3",
        ),
        (less(CHARGES[1]), "1 of 2 records of ledger are there"),
        (less(*CHARGES), "0 of 2 records of ledger are there"),
        ([*WHOLE, record("ledger", "charge", "inv-3")], "3 of 2 records of ledger are there"),
        (less(of(Sample, source="ledger")), "the records of ledger were not read"),
        (less(of(Sample, source="till")), "the records of till were not read"),
        ([*WHOLE, record("vault", "coin", "c-1")], "the records of vault were not read"),
        (less(READS[1]), "1 of 2 final reads are there"),
        ([*WHOLE, op(6, "final_read", "inv-9", 40.2)], "1 final read that had not to be made"),
        (instead(READS[1], key="tab-1"), "1 final read that had not to be made"),
        (instead(READS[1], key="inv-1"), "1 final read of a key that was read already; 1 of 2 final reads"),
        (instead(of(Sample, name=LEFT_OUT), value=-1.0), "-1 final reads are said to be left out"),
        (instead(of(Sample, name=LEFT_OUT), value=0.5), "0.5 final reads are said to be left out"),
        (instead(of(Sample, source="ledger"), value=2.5), "the records of ledger were counted as 2.5"),
        (
            [*WHOLE, record("vault", "coin", "c-1"), *read(vault=1)],
            "records of vault, which keeps none that are read",
        ),
        ([*WHOLE, *read(vault=0)], "records of vault, which keeps none that are read"),
        (less(of(Sample, name=LEFT_OUT)), "is said 0 times, expected once"),
        ([*WHOLE, sample(40.6, "load", LEFT_OUT, 0.0)], "is said 2 times, expected once"),
    ],
)
def test_what_is_missing_or_too_much_is_counted(rows: list[Row], said: str) -> None:
    """Whatever the last line counts: the plan, the load's account, the stores and the final reads."""
    assert said in problems(rows)


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        (LoadReport(5.5, 0, 1, 1, 0, 0, 0), LoadReport(8.0, 0, 2, 2, 0, 0, 0), True),
        (LoadReport(5.5, 0, 3, 3, 0, 0, 0), LoadReport(8.0, 0, 0, 0, 0, 0, 0), False),
        (LoadReport(6.5, 0, 1, 1, 0, 0, 0), LoadReport(8.0, 0, 2, 2, 0, 0, 0), False),
        (LoadReport(5.0, 0, 0, 0, 0, 0, 0), LoadReport(7.5, 0, 3, 3, 0, 0, 0), True),
        (LoadReport(6.5, 0, 1, 1, 0, 0, 0), LoadReport(7.5, 1, 2, 2, 0, 0, 0), True),
        (LoadReport(5.5, 0, 2, 2, 0, 0, 0), LoadReport(7.5, 1, 1, 1, 0, 0, 0), False),
    ],
)
def test_the_load_is_counted_in_the_second_in_which_it_was_due(
    first: LoadReport, second: LoadReport, fits: bool
) -> None:
    """Never before; nor later, unless another worker has still to say."""
    found = problems([first, second, *(row for row in WHOLE if not isinstance(row, LoadReport))])
    assert ("as due by" not in found) is fits


def test_a_final_read_that_was_left_out_is_not_missing() -> None:
    """It says so itself; then one fewer is due."""
    none, one = of(Sample, name=LEFT_OUT), sample(40.5, "load", LEFT_OUT, 1.0)
    rows = [one if row is none else row for row in less(READS[1])]
    assert problems(rows) == ""
    assert "2 of 1 final read are there" in problems([*rows, READS[1]])


def test_a_phase_that_was_not_planned_is_told() -> None:
    """Also one that scenarios may have."""
    fewer = replace(ASKED, phases=ASKED.phases[:-1])
    assert problems(WHOLE, fewer) == "the phase settle was never planned"


def test_a_late_operation_was_not_started() -> None:
    """The generator says so of it, and counts it as due."""
    late = op(3, "look", "tab-1", 7.0, outcome="rejected", sent=None, error="generator_late")
    rows = [late if row is PLANNED[2] else row for row in WHOLE]
    assert "counted 3 operations as started, by their rows it started 2" in problems(rows)
    fits = [replace(row, achieved=0) if row is of(LoadReport, 1) else row for row in rows]
    assert problems(fits) == ""


def test_a_twin_owes_what_its_models_give() -> None:
    """Its own models the records of their kinds, general ones none; it reads what it models."""
    twin = [replace(row, source="simulation") if isinstance(row, Header) else row for row in WHOLE]
    till = of(Sample, source="till")
    assert problems([row for row in twin if row is not till]) == ""
    ledger = of(Sample, source="ledger")
    without = [row for row in twin if row is not ledger and not isinstance(row, Record)]
    assert problems(without) == "the records of ledger were not read"
    general = [*without, sample(41.0, "twin", GENERAL_MODELS, 1.0)]
    assert problems([row for row in general if row not in READS]) == ""


def test_a_store_that_the_run_left_out_may_be_read_all_the_same() -> None:
    """It was up for other runs of the suite."""
    rows = [*WHOLE, record("vault", "coin", "c-1"), *read(vault=1)]
    assert problems(rows, system=replace(SYSTEM, left_out=("vault",))) == ""


def test_a_system_without_final_reads_owes_none() -> None:
    """Neither one whose form is written by a journey that it does not have."""
    rows = [row for row in less(*READS) if getattr(row, "name", "") != LEFT_OUT]
    assert problems(rows, system=replace(SYSTEM, final_reads={})) == ""
    strange = {"inv": FinalReadForm("nobody", "/x/{key}")}
    assert problems(rows, system=replace(SYSTEM, final_reads=strange)) == ""


@pytest.mark.parametrize(
    "changes",
    [{"id": 7}, {"intended": 7.001}, {"journey": "pay"}, {"key": "tab-2"}],
    ids=lambda c: next(iter(c)),
)
def test_operations_are_those_of_the_plan(changes: dict[str, Any]) -> None:
    """By id, journey, key and intended start."""
    said = problems(instead(PLANNED[2], **changes))
    assert "ids, journeys, keys or intended starts of the operations are not those of the plan" in said


@pytest.mark.parametrize(
    ("name", "changes", "fits"),
    [
        ("fault", {"start": 11.0005}, True),
        ("fault", {"start": 11.002}, False),
        ("fault", {"start": 10.998}, False),
        ("fault", {"end": 20.9995}, True),
        ("fault", {"end": 20.9}, False),
        ("warm_up", {"start": 0.001}, True),
        ("fault", {"end": None}, True),
        ("settle", {"end": 40.9}, True),
    ],
)
def test_phases_are_those_of_the_plan(name: str, changes: dict[str, Any], fits: bool) -> None:
    """To the millisecond; settling may end sooner."""
    found = [one for one in judged(instead(of(PhaseEvent, name=name), **changes)) if "planned" in one.name]
    assert found[0].ok is fits
    if not fits:
        assert found[0].statement == "the phase fault was not that of the plan, 11 s to 21 s"


def test_stores_that_were_not_read_are_named_in_order() -> None:
    """Whatever order a set of names has in this process."""
    names = [f"store-{letter}" for letter in "hgfedcba"]
    rows = [*WHOLE, *(record(name, "coin", "c-1") for name in names)]
    said = [f"the records of {name} were not read" for name in sorted(names)]
    assert problems(rows) == "; ".join(said)


def test_the_last_line_names_its_run() -> None:
    """An end that was copied from elsewhere is another run's."""
    assert problems(WHOLE, run_id="r-2") == 'the last line is that of the run "r-2"'


def event(name: str, number: int = 0) -> Any:
    return of(FaultEvent, number, event=name)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (instead(event("active"), kind="crash"), "f1 (latency on billing -> payments) is told as crash on"),
        (instead(event("active"), target="a -> b"), "is told as latency on a -> b"),
        (instead(event("inject"), planned=11.1), "inject is told as planned for 11.1 s"),
        (instead(event("inject"), planned=21.0), "inject is told as planned for 21 s"),
        (instead(event("active"), planned=21.0), "active is told as planned for 21 s"),
        (instead(event("heal"), planned=11.0), "heal is told as planned for 11 s"),
        (instead(event("healed"), planned=11.0), "healed is told as planned for 11 s"),
        (instead(event("still_active"), planned=12.0), "still_active is told as planned for 12 s"),
        (less(event("inject")), "has 0 inject events, expected one"),
        ([*WHOLE, event("inject")], "has 2 inject events, expected one"),
        (less(event("heal")), "has 0 heal events, expected one"),
        ([*WHOLE, event("heal")], "has 2 heal events, expected one"),
        (less(event("active")), "nobody says whether it acted"),
        (less(event("healed")), "nobody says whether it is gone"),
        (less(event("still_active", 3)), "was looked at 9 times, its heal says 10"),
        (instead(event("heal"), measured={}), "was looked at 10 times, its heal says None"),
        (instead(event("still_active", 3), measured={"looks": 5}), "are not numbered in their order"),
        (
            instead(event("still_active"), fault="f2"),
            "latency on billing -> payments (f2) was never planned",
        ),
    ],
)
def test_faults_are_those_of_the_plan(rows: list[Row], said: str) -> None:
    """Kind, target, times, every event once, and every look by its number."""
    assert said in problems(rows)


def test_a_look_may_be_planned_for_the_begin_or_the_end() -> None:
    """Both are times of its activation; one that was lost may say that it has faded."""
    assert problems(instead(event("still_active"), planned=11.0)) == ""
    assert problems(instead(event("still_active"), event="faded")) == ""
    assert problems(instead(event("active"), event="no_effect")) == ""
    assert problems(instead(event("healed"), event="not_healed")) == ""


def test_a_fault_is_injected_with_what_was_planned() -> None:
    """Where both say it; the sentence tells both."""
    asked = replace(ASKED, faults=(replace(FAULT, parameters={"kind": "latency", "delay": 0.5}),))
    right = instead(event("inject"), parameters={"delay": 0.5, "kind": "latency"})
    assert problems(right, asked) == ""
    wrong = instead(event("inject"), parameters={"delay": 0.1, "kind": "latency"})
    assert problems(wrong, asked) == (
        "f1 (latency on billing -> payments) was injected with delay 0.1, kind latency, "
        "planned was delay 0.5, kind latency"
    )
    assert "was injected with none, planned was delay 0.5" in problems(WHOLE, asked)
    assert problems(wrong) == ""


def made(left_out: float, count: int, source: str = "processes") -> list[ValidityCheck]:
    reads = [op(i, "final_read", f"inv-{i}", 40.0) for i in range(count)]
    header = replace(HEADER, source=source)
    return final_reads_made(build([header, *reads, sample(40.5, "load", LEFT_OUT, left_out)]))


def test_nine_final_reads_of_ten_must_be_made() -> None:
    """Fewer leave a live run inconclusive; of a twin, or where nobody says, nothing is asked."""
    (good,), (bad,) = made(1.0, 9), made(2.0, 9)
    assert (good.ok, bad.ok, bad.verdict_if_broken) == (True, False, Verdict.INCONCLUSIVE)
    assert bad.statement == "9 of 11 final reads were made, expected 90% at least"
    assert made(9.0, 1, "simulation") == []
    assert final_reads_made(build([HEADER])) == []
    assert made(0.0, 0)[0].ok


@pytest.mark.parametrize(("planned", "then"), [(0.0, True), (0.001, True), (0.002, False)])
def test_a_time_that_was_planned_is_the_planned_one_to_a_millisecond(planned: float, then: bool) -> None:
    """Rounding is no difference; its border is still rounding."""
    rows = [replace(row, planned=planned) if row is of(FaultEvent, event="inject") else row for row in WHOLE]
    from_the_start = replace(ASKED, faults=(replace(FAULT, start_s=0.0),))
    assert ("inject is told as planned" in problems(rows, from_the_start)) is not then
