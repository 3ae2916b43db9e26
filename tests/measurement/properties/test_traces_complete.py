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
