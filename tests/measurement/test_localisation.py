"""Links ranked from spans alone, on hand-written traces of a front, a middle and two ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiment.history import FaultEvent, Record, Row, Sample
from experiment.topology import System, load_system
from experiment.verdict import Verdict
from measurement.localisation import (
    A_USER_CALLS_S,
    Judged,
    Localisation,
    Suspect,
    _alarm,
    _guessed,
    _limit,
    _own,
    _ranked,
    _repair_s,
    at_least,
    localise,
)
from measurement.properties import KINDS
from measurement.spans import Span
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


@pytest.mark.parametrize("calls", [True, False])
def test_all_spans_are_counted(chain: System, calls: bool) -> None:
    """Of requests and of calls, where a collector keeps both."""
    rows = usual(calls=calls)
    assert found(chain, *rows, injected("middle -> right")).spans == len(rows) > 0


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


def test_the_lower_end_of_a_share_is_wilsons() -> None:
    """8 of 10 by hand: (0.8 + z^2/20 - z sqrt(0.016 + z^2/400)) / (1 + z^2/10) with z = 1.96."""
    z = 1.96
    by_hand = (0.8 + z * z / 20 - z * (0.016 + z * z / 400) ** 0.5) / (1 + z * z / 10)
    assert at_least(8, 10) == pytest.approx(by_hand)
    assert at_least(10, 10) == pytest.approx(1 / (1 + z * z / 10))


@pytest.mark.parametrize(
    ("values", "median", "slow"),
    [
        ([], 0.0, 0.75),
        ([0.1] * 7, 0.1, 0.75),
        ([0.4] * 7, 0.4, 1.2),
        ([0.1] * 8, 0.1, 0.3),
        ([0.01] * 8, 0.01, 0.06),
        ([*[0.1] * 19, 9.0], 0.1, 0.3),
        ([*[0.1] * 18, 1.0, 9.0], 0.1, 3.0),
        ([0.3, 0.1, 0.2], 0.2, 0.9),
    ],
)
def test_what_is_slow_is_learned_from_eight_calls_on(values: list[float], median: float, slow: float) -> None:
    """Three times the usual p95, 50 ms more at least; of fewer calls three times a quarter of a second, or
    of the slowest."""
    assert _limit(values) == pytest.approx((median, slow))


def call(name: str, began: float, took: float, whose: str = "a -> b") -> Span:
    return Span("t", name, None, whose, began, took, True)


@pytest.mark.parametrize(
    ("below", "own"),
    [
        ([], 1.0),
        ([(0.2, 0.5)], 0.5),
        ([(0.2, 0.3), (0.6, 0.2)], 0.5),
        ([(0.2, 0.4), (0.3, 0.5)], 0.4),
        ([(0.3, 0.5), (0.2, 0.4)], 0.4),
        ([(0.2, 0.6), (0.3, 0.1)], 0.4),
        ([(0.8, 0.9)], 0.8),
        ([(-0.5, 0.7)], 0.8),
        ([(-0.5, 2.0)], 0.0),
        ([(1.5, 1.0)], 1.0),
    ],
)
def test_what_a_call_took_itself_is_what_its_own_calls_do_not_cover(
    below: list[tuple[float, float]], own: float
) -> None:
    """One second; calls side by side count once, and only while the call lasted."""
    request = Span("t", "r", "c", "b", 0.0, 1.0, True)
    made = [call(f"{number}", *span) for number, span in enumerate(below)]
    assert _own(call("c", 0.0, 1.0), {"c": request}, {"r": made}) == pytest.approx(own)
    assert _own(call("c", 0.0, 1.0), {}, {"r": made}) == 1.0


def bad_at(*times: float, good: int = 0, whose: str = "a -> b") -> list[Judged]:
    """Bad calls that ended then, and as many good ones beside each."""
    found = [Judged(whose, t, 1.0, 0.1, True) for t in times]
    found += [Judged(whose, t, 0.1, 0.1, False) for t in times for _ in range(good)]
    return sorted(found, key=lambda one: one.ended)


@pytest.mark.parametrize(
    ("judged", "alarm", "about"),
    [
        ([], None, (0.0, 0.0)),
        (bad_at(12.5, 12.6), None, (11.0, 11.0)),
        (bad_at(12.1, 12.2, 12.3), 13.0, (11.0, 13.0)),
        (bad_at(12.1, 12.2, 12.3) + bad_at(30.0), 13.0, (11.0, 15.0)),
        (bad_at(13.0, 13.0, 13.0), 13.0, (11.0, 14.0)),
        (bad_at(13.0, 13.0, 13.0) + bad_at(30.0), 13.0, (11.0, 15.0)),
        (bad_at(16.1, 17.1, 18.1), 19.0, (16.0, 19.0)),
        (bad_at(16.1, 17.1, 19.2), None, (11.0, 11.0)),
        (bad_at(12.1, 12.2, 12.3, good=4), 13.0, (11.0, 13.0)),
        (bad_at(12.1, 12.2, 12.3, good=5), None, (11.0, 11.0)),
        (bad_at(5.1, 5.2, 5.3), None, (11.0, 11.0)),
        (bad_at(12.1, 12.2) + bad_at(12.3, whose="a -> c"), None, (11.0, 11.0)),
        (bad_at(12.1, 12.2, 12.3, 20.1, 20.2, 20.3), 13.0, (11.0, 21.0)),
    ],
)
def test_three_bad_calls_of_a_link_within_three_seconds_raise_an_alarm(
    judged: list[Judged], alarm: float | None, about: tuple[float, float]
) -> None:
    """After the baseline (until 11 s), a fifth of its calls at least; looked at once a second until
    the last call."""
    first, (began, ended) = _alarm(judged, 11.0)
    assert first == alarm
    assert (began, ended if alarm is not None else began) == about


def test_links_are_ranked_by_what_is_bad_of_their_own() -> None:
    """Of equal shares the one that was slower by more; those that nothing tells apart share their place."""
    judged = bad_at(*[12.0] * 5) + [Judged("a -> c", 12.0, 3.0, 0.1, True)] * 5
    judged += [Judged("a -> d", 12.0, 0.1, 0.1, False)] * 5 + [Judged("x -> y", 12.0, 9.0, 0.1, True)]
    ranked = _ranked(judged, ("a -> b", "a -> c", "a -> d", "a -> e"))
    assert [(one.link, one.place, one.calls, one.bad) for one in ranked] == [
        ("a -> c", 1.0, 5, 5),
        ("a -> b", 2.0, 5, 5),
        ("a -> d", 3.5, 5, 0),
        ("a -> e", 3.5, 0, 0),
    ]
    assert [one.slower_s for one in ranked] == pytest.approx([2.9, 0.9, 0.0, 0.0])
    assert ranked[0].score == ranked[1].score == pytest.approx(at_least(5, 5))
    assert ranked[2].score == 0.0


def test_without_calls_a_caller_is_suspected_that_is_slow_where_its_callee_is_not() -> None:
    """Or one that counts failed calls; the larger of the two."""
    judged = bad_at(*[12.0] * 9, whose="a") + [Judged("b", 12.0, 0.1, 0.1, False)] * 9
    judged += bad_at(*[12.0] * 9, whose="c")
    ranked = _guessed(judged, ("a -> b", "a -> c", "b -> c"), {"b -> c": (10, 10)})
    assert [(one.link, one.place) for one in ranked] == [("b -> c", 1.0), ("a -> b", 2.0), ("a -> c", 3.0)]
    assert [one.score for one in ranked] == pytest.approx([at_least(10, 10), at_least(9, 9), 0.0])
    assert [(one.calls, one.bad, one.slower_s) for one in ranked] == [(9, 0, 0.0), (9, 9, 0.0), (9, 9, 0.0)]


def told_of(*scores: float, alarm: float | None = 13.0) -> Localisation:
    suspects = tuple(Suspect(f"a -> {n}", score, n + 1.0, 10, 5, 0.1) for n, score in enumerate(scores))
    return Localisation(suspects, alarm, 100, True, 4)


def test_a_suspect_stands_out_or_there_is_none() -> None:
    """It is named; without an alarm, or where two are alike, nobody is."""
    assert told_of(0.5, 0.4).suspect == told_of(0.5).suspect == "a -> 0"
    assert told_of(0.5, 0.5).suspect == told_of().suspect == told_of(0.5, alarm=None).suspect == ""
    assert told_of(0.5, 0.4).told == "suspect: a -> 0 (5 of 10 calls bad of their own)"
    assert told_of(0.0, 0.0).told == told_of().told == "an alarm, and nothing that tells 4 links apart"
    assert told_of(alarm=None).told == "no alarm, so that none of 4 links is suspected"
    shared = told_of(0.5, 0.5, 0.1)
    alike = replace(
        shared, suspects=tuple(replace(s, place=1.5) if s.score == 0.5 else s for s in shared.suspects)
    )
    assert alike.told == "suspect: a -> 0 or a -> 1 (5 of 10 calls bad of their own)"


def test_an_operator_goes_from_link_to_link(chain: System) -> None:
    """From the alarm on down the ranking, two to eight minutes a link; without an alarm a user calls after a
    quarter of an hour, and the order is by lot."""
    slow = [row for at in FAULT for row in trace(at, right=0.9)]
    first = found(chain, *usual(), *slow, injected("middle -> right"))
    last = found(chain, *usual(), *slow, injected("middle -> left"))
    assert first.repair_s is not None and last.repair_s is not None and first.detected_s is not None
    assert 120.0 <= first.repair_s - first.detected_s <= 480.0
    assert last.repair_s > first.repair_s + 120.0
    calm = [row for at in FAULT for row in trace(at)]
    silent = found(chain, *usual(), *calm, injected("middle -> right"))
    assert silent.repair_s is not None
    assert A_USER_CALLS_S + 120.0 <= silent.repair_s <= A_USER_CALLS_S + 5 * 480.0
    again = found(chain, *usual(), *calm, injected("middle -> right"))
    assert again.repair_s == silent.repair_s
    early = found(chain, *usual(), *slow, injected("middle -> right", at=30.0))
    assert early.detected_s is None
    assert early.repair_s is not None and early.repair_s >= A_USER_CALLS_S


def test_a_look_at_a_link_takes_two_to_eight_minutes() -> None:
    """The times of a thousand operators fill that span, and do not leave it."""
    times = [_repair_s(told_of(0.5), "a -> 0", 0.0, seed) - 13.0 for seed in range(1000)]
    assert 120.0 <= min(times) < 121.0
    assert 479.0 < max(times) <= 480.0
