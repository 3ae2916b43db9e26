"""Links ranked from spans alone, on hand-written traces of a front, a middle and two ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment.history import FaultEvent, Record, Row, Sample
from experiment.topology import System, load_system
from experiment.verdict import Verdict
from measurement.localisation import Localisation, at_least, localise
from measurement.properties import KINDS
from tests.measurement.histories import history, judged_by, read, record, scenario

TEXT = """\
name: chain
services:
  front: {command: [front]}
  middle: {command: [middle]}
  left: {command: [left]}
  right: {command: [right]}
  worker: {command: [worker]}
  collector: {command: [collector], endpoints: {records: /spans}}
  bus: {role: bus}
links:
  - {caller: front, callee: middle}
  - {caller: middle, callee: left}
  - {caller: middle, callee: right}
  - {caller: middle, callee: bus, protocol: nats}
  - {caller: worker, callee: bus, protocol: nats}
  - {caller: front, callee: collector, needed: off}
journeys:
  order: {entry: front, uses: [front -> middle]}
mixes: {visit: [{journey: order}]}
properties:
  found: {kind: localised, spans: collector, within: 10s}
"""
BASELINE, FAULT = [1.5 + number / 2 for number in range(18)], [11.5 + number / 2 for number in range(18)]


@pytest.fixture
def chain(tmp_path: Path) -> System:
    path = tmp_path / "system.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return load_system(path, KINDS)


def trace(
    at: float,
    left: float = 0.01,
    right: float = 0.01,
    ok: bool = True,
    limit: float = 9.0,
    calls: bool = True,
) -> list[Row]:
    """front asks middle, which asks left, then right; `limit` is how long the front waits for the middle.
    Where right fails (not `ok`), so does everybody above."""
    name = f"{at:g}"
    inner = 0.004 + left + right

    def span(
        kind: str, one: str, whose: str, parent: str, began: float, took: float, good: bool = ok
    ) -> Record:
        return record(
            "collector", kind, name, id=f"{name}-{one}", t=began, amount=took, caller=whose,
            value=f"{name}-{parent}" if calls else None, status="ok" if good else "error",
        )  # fmt: skip

    late = inner + 0.002 > limit
    rows = [
        span("request", "f", "front", "user", at, min(limit, inner + 0.002) + 0.002, ok and not late),
        span("call", "fm", "front -> middle", "f", at + 0.001, min(limit, inner + 0.002), ok and not late),
        span("request", "m", "middle", "fm", at + 0.002, inner),
        span("call", "ml", "middle -> left", "m", at + 0.003, left, True),
        span("request", "l", "left", "ml", at + 0.003, 0.005, True),
        span("call", "mr", "middle -> right", "m", at + 0.004 + left, right),
    ]
    if right <= 1.0:  # else it never arrived
        rows.append(span("request", "r", "right", "mr", at + 0.005 + left, 0.005))
    return [row for row in rows if calls or row.kind == "request"]


def injected(target: str, at: float = 11.0) -> FaultEvent:
    return FaultEvent("f1", "latency", target, "inject", at, at)


def found(system: System, *rows: Row) -> Localisation:
    return localise(history(*rows, with_fault=False), system, "collector")


def usual(**how: bool) -> list[Row]:
    return [row for at in BASELINE for row in trace(at, **how)]


def test_a_slow_end_is_suspected_and_not_who_waits_for_it(chain: System) -> None:
    """Front and middle are as slow as right: their time is explained by the call that they made."""
    slow = [row for at in FAULT for row in trace(at, right=0.9)]
    told = found(chain, *usual(), *slow, injected("middle -> right"))
    assert (told.suspect, told.place, told.found) == ("middle -> right", 1.0, True)
    assert told.detected_s is not None and 0 < told.detected_s <= 3.0
    first, *others = told.suspects
    assert (first.calls, first.bad) == (18, 18) and first.slower_s == pytest.approx(0.89)
    assert all(one.score == 0 for one in others)
    assert "collector" not in " ".join(one.link for one in told.suspects)


def test_a_limit_above_a_slow_end_is_no_reason(chain: System) -> None:
    """The front gave up: its call failed, and the one below it was still waiting."""
    cut = [row for at in FAULT for row in trace(at, right=1.5, limit=0.5)]
    assert found(chain, *usual(), *cut).suspect == "middle -> right"


def test_a_failure_is_blamed_on_the_last_that_failed(chain: System) -> None:
    """An error that a further error explains is nobody's own."""
    failed = [row for at in FAULT for row in trace(at, ok=False)]
    assert found(chain, *usual(), *failed).suspect == "middle -> right"


def test_what_is_injected_does_not_move_the_ranking(chain: System) -> None:
    """The same spans give the same suspects; another target makes them wrong."""
    slow = [row for at in FAULT for row in trace(at, left=0.9)]
    right = found(chain, *usual(), *slow, injected("middle -> right"))
    left = found(chain, *usual(), *slow, injected("middle -> left"))
    assert right.suspects == left.suspects
    assert (right.found, left.found) == (False, True)
    assert right.place == 3.5  # four links share the places 2 to 5


def test_late_events_are_the_consumers_link(chain: System) -> None:
    """Unless the publisher was late already."""

    def event(at: float, age: float, publish: float) -> list[Row]:
        name = f"e{at:g}"

        def span(kind: str, one: str, whose: str, took: float, of: str = name, parent: str = "") -> Record:
            facts = {"amount": took, "caller": whose, "status": "ok", "value": parent or None}
            return record("collector", kind, of, id=f"{name}-{one}", t=at, **facts)

        return [
            span("request", "m", "middle", 0.01),
            span("call", "p", "middle -> bus", publish, of=f"p{name}"),
            span("delivery", "d", "worker -> bus", age, parent=f"{name}-m"),
        ]

    before = [row for at in BASELINE for row in event(at, 0.2, 0.01)]
    late = [row for at in FAULT for row in event(at, 4.0, 0.01)]
    blocked = [row for at in FAULT for row in event(at, 4.0, 3.9)]
    assert found(chain, *before, *late).suspect == "worker -> bus"
    assert found(chain, *before, *blocked).suspect == "middle -> bus"


def test_nothing_bad_is_no_alarm(chain: System) -> None:
    """And two slow calls are none either."""
    calm = [row for at in FAULT for row in trace(at)]
    told = found(chain, *usual(), *calm, injected("middle -> right"))
    assert (told.alarm_s, told.place, told.found) == (None, None, False)
    odd = [row for at in FAULT[:2] for row in trace(at, right=0.9)]
    assert found(chain, *usual(), *odd, *calm[12:]).alarm_s is None


def test_without_calls_the_links_of_the_slow_service_share_their_places(chain: System) -> None:
    """Who only knows of itself tells which service is slow, and not for whom it waits; counters tell more."""
    slow = [row for at in FAULT for row in trace(at, right=0.9, calls=False)]
    rows = [*usual(calls=False), *slow, injected("middle -> right")]
    told = found(chain, *rows)
    assert (told.calls_told, told.place, told.suspect) == (False, 2.0, "")
    counted = [
        Sample(t, "middle", name, value, "right")
        for t, attempts, errors in ((11.0, 20.0, 0.0), (36.0, 40.0, 20.0))
        for name, value in (("attempts", attempts), ("errors", errors))
    ]
    assert found(chain, *rows, *counted).suspect in ("middle -> right", "")


def test_the_property_on_no_spans_good_ones_and_bad_ones(chain: System) -> None:
    """Without a single faulted link there is nothing to name."""
    check = judged_by("found", chain)

    def judged(*rows: Row) -> tuple[Verdict, str]:
        result = check(history(*rows, with_fault=False), scenario(), chain)
        return result.verdict, result.statement

    slow = [*usual(), *(row for at in FAULT for row in trace(at, right=0.9))]
    assert judged(injected("middle -> right"))[0] is Verdict.INCONCLUSIVE
    assert judged(*slow)[0] is Verdict.INCONCLUSIVE
    assert judged(*slow, injected("middle -> right"), injected("middle -> left"))[0] is Verdict.INCONCLUSIVE
    assert judged(*slow, injected("middle -> right"))[0] is Verdict.PASS
    verdict, said = judged(*slow, injected("middle -> left"))
    assert verdict is Verdict.FAIL and "at place 3.5" in said
    assert judged(*slow, injected("middle -> right", at=0.5))[0] is Verdict.FAIL  # an alarm 10 s later
    early = judged(*slow, injected("middle -> right", at=20.0))
    assert early[0] is Verdict.FAIL and "before the fault" in early[1]
    none = judged(*read(collector=0), injected("middle -> right"))
    assert none[0] is Verdict.FAIL and "no alarm" in none[1]


def test_few_calls_show_little() -> None:
    """Three of three are more than a third, and less than half."""
    assert at_least(0, 100) == at_least(0, 0) == 0.0
    assert 0.4 < at_least(3, 3) < 0.5
    assert at_least(90, 100) > at_least(9, 10) > at_least(1, 10)
