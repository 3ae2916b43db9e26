"""Traces that miss nothing, on hand-written histories of three services and a worker behind a bus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiment.history import Record, Row, Sample
from experiment.topology import load_system
from experiment.verdict import CheckResult, Verdict
from measurement.properties import KINDS
from tests.measurement.histories import history, judged_by, op, read, record, scenario

Judge = Callable[..., CheckResult]  # of rows
TEXT = """\
name: traced
services:
  front: {command: [front]}
  back: {command: [back]}
  worker: {command: [worker]}
  collector: {command: [collector], endpoints: {records: /spans}}
  bus: {role: bus}
links:
  - {caller: front, callee: back}
  - {caller: front, callee: bus, protocol: nats}
  - {caller: worker, callee: bus, protocol: nats}
journeys:
  order: {entry: front, uses: [front -> back, front -> bus, worker -> bus]}
mixes: {visit: [{journey: order}]}
properties:
  traces: {kind: traces_complete, spans: collector}
"""
ORDER = op(1, "order", "o-1", 2.0, trace="t1")
RECEIVED = Sample(36.0, "back", "received", 1.0, "front")


def span(kind: str, name: str, whose: str, parent: str | None = None, trace: str = "t1") -> Record:
    facts = {"status": "ok", "amount": 0.01, "value": parent, "caller": whose}
    return record("collector", kind, trace, id=name, t=2.0, **facts)


FRONT, CALL = span("request", "s1", "front"), span("call", "s2", "front -> back", "s1")
BACK, EVENT = span("request", "s3", "back", "s2"), span("delivery", "s4", "worker -> bus", "s1")
ALL = (FRONT, CALL, BACK, EVENT)


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    path = tmp_path / "system.yaml"
    path.write_text(TEXT, encoding="utf-8")
    system = load_system(path, KINDS)
    check = judged_by("traces", system)
    return lambda *rows: check(history(*rows), scenario(faults=()), system)


def test_without_spans_that_were_read_nothing_is_claimed(judged: Judge) -> None:
    """Nor without anything that happened."""
    assert judged(ORDER, RECEIVED).verdict is Verdict.INCONCLUSIVE
    assert judged(*read(collector=0)).verdict is Verdict.INCONCLUSIVE


def test_every_step_in_a_trace_passes(judged: Judge) -> None:
    """The operation, the request between services, and the event at the worker: three steps."""
    result = judged(ORDER, RECEIVED, *ALL)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 3)


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ((CALL, BACK, EVENT), "users -> front"),
        ((FRONT, BACK, EVENT), "front -> back"),
        ((FRONT, CALL, EVENT), "front -> back"),
        ((FRONT, CALL, span("request", "s3", "back", "s9"), EVENT), "front -> back"),
        ((FRONT, CALL, BACK), "worker -> bus"),
        ((FRONT, CALL, BACK, span("delivery", "s4", "worker -> bus", None, "t2")), "worker -> bus"),
    ],
)
def test_one_step_that_no_trace_has_is_found(judged, rows: tuple[Row, ...], where: str) -> None:  # type: ignore[no-untyped-def]
    """Also one whose spans are there and do not know of each other."""
    result = judged(ORDER, RECEIVED, *rows)
    assert result.verdict is Verdict.FAIL
    assert [violation.key for violation in result.violations] == [where]
    assert result.measures["found_edges"] == 2


def test_a_request_that_nobody_counted_is_not_expected(judged: Judge) -> None:
    """A call that never arrived is no step; an operation of unknown outcome may never have begun."""
    unknown = op(2, "order", "o-2", 3.0, outcome="indeterminate", trace="t2")
    lost = span("call", "s8", "front -> back", "s1")
    result = judged(ORDER, unknown, RECEIVED, *ALL, lost)
    assert (result.verdict, result.exposed) == (Verdict.PASS, 3)


def test_what_services_dropped_is_told(judged: Judge) -> None:
    """The last reading of each service counts."""
    drops = [Sample(t, "front", "spans_dropped", value) for t, value in ((1.0, 2.0), (36.0, 7.0))]
    assert "services dropped 7 spans" in judged(ORDER, RECEIVED, *ALL, *drops).statement


@pytest.mark.parametrize(("lost", "verdict"), [(1, Verdict.PASS), (2, Verdict.FAIL)])
def test_one_step_of_a_hundred_may_be_missing(judged: Judge, lost: int, verdict: Verdict) -> None:
    """99 of 100 are enough; then none of them is a violation."""
    rows: list[Row] = []
    for n in range(50):
        rows.append(op(n, "order", f"o-{n}", 3.0, trace=f"t{n}"))
        rows.append(span("delivery", f"d{n}", "worker -> bus", None, f"t{n}"))
        if n >= lost:
            rows.append(span("request", f"r{n}", "front", None, f"t{n}"))
    result = judged(*rows)
    assert (result.verdict, result.exposed) == (verdict, 100)
    assert result.measures == {"expected_edges": 100, "found_edges": 100 - lost, "spans_dropped": 0}
    assert result.violation_count == (lost if verdict is Verdict.FAIL else 0)
    assert result.statement.startswith(f"{100 - lost} of 100 steps between services ({100 - lost}.0%)")
    if verdict is Verdict.FAIL:
        assert [v.statement for v in result.violations] == ["users -> front: 2 of 50 steps stand in no trace"]


def test_what_a_callee_counted_is_the_growth_of_its_counter(judged: Judge) -> None:
    """From nothing at its first reading on, over a restart; more spans than requests do not count."""
    counted = [Sample(t, "back", "received", v, "front") for t, v in ((5.0, 1.0), (9.0, 2.0), (12.0, 1.0))]
    result = judged(ORDER, *counted, *ALL)
    assert (result.measures["expected_edges"], result.measures["found_edges"]) == (5, 3)
    more = [span("request", f"x{n}", "back", "s2") for n in range(4)]
    assert judged(ORDER, RECEIVED, *ALL, *more).measures["found_edges"] == 3
    nothing = [Sample(t, "back", "received", 0.0, "front") for t in (5.0, 9.0)]
    assert judged(ORDER, *nothing, *ALL).measures["expected_edges"] == 2
    strange = Sample(5.0, "collector", "received", 9.0, "front")
    assert judged(ORDER, RECEIVED, strange, *ALL).exposed == 3
