"""Scores follow harm: what is monotone in them, and what nothing can outweigh."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from measurement.analysis import RecoveryResult
from measurement.harm import Counts
from measurement.resilience import Quality
from measurement.score import FORMULA_BEFORE, score_run

SECONDS, FAULT, LOAD = 30, (5, 10), (10, 30)  # too short a fault for an interval, which takes its time
BACK = RecoveryResult(0.0, False, 10.0, "")


def run_of(goods: dict[str, list[int]], criticality: dict[str, float], each: int = 4) -> Quality:
    """`each` operations of every journey a second, so many of them good."""
    counts = {n: (np.full(SECONDS, float(each)), np.array(good, float)) for n, good in goods.items()}
    curves = {name: good / offered for name, (offered, good) in counts.items()}
    total = sum(criticality[name] for name in curves)
    combined = sum(criticality[name] * curve for name, curve in curves.items()) / total
    usual = dict.fromkeys(goods, 1.0)
    return Quality(
        pl.DataFrame(),
        usual,
        curves,
        np.asarray(combined),
        np.ones(SECONDS),
        counts,
        criticality,
        SECONDS,
        (0, 5),
        FAULT,
        LOAD,
        float(FAULT[1]),
    )


def bad_during_fault(names: set[str], criticality: dict[str, float]) -> Quality:
    """Those journeys have nothing good in the whole fault, the others nothing bad."""
    down = [0 if FAULT[0] <= second < FAULT[1] else 4 for second in range(SECONDS)]
    return run_of({name: down if name in names else [4] * SECONDS for name in criticality}, criticality)


def scored(quality: Quality, apart: tuple[str, ...] = ()) -> float:
    value = score_run(quality, apart, BACK, 1.0, seed=1).value
    assert value is not None
    return value


@given(st.integers(1, 40), st.floats(0.05, 0.5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_one_critical_journey_down_costs_more_than_all_minor_ones(
    minor: int, criticality: float, apart: bool
) -> None:
    """However many there are, at most half as critical, and all of them as bad as can be in the whole fault;
    also when the fault should not have reached them."""
    journeys = {"dose": 1.0, **{f"minor{number}": criticality for number in range(minor)}}
    small = tuple(name for name in journeys if name != "dose")
    critical = scored(bad_during_fault({"dose"}, journeys), small if apart else ())
    minors = scored(bad_during_fault(set(small), journeys), small if apart else ())
    assert critical < minors


def test_dispensing_down_is_seen_among_nine_others() -> None:
    """The case that the formula before scored 84 and more: one of the most critical journeys is wholly down
    through the fault, and back at once; all minor ones being slow leave more."""
    journeys = {"dispense": 3.0, "pay": 3.0, "dose": 3.0, **{f"look{number}": 1.0 for number in range(7)}}
    down = score_run(bad_during_fault({"dispense"}, journeys), (), BACK, 1.0, seed=1)
    slow = scored(bad_during_fault({name for name in journeys if name.startswith("look")}, journeys))
    assert down.value is not None and down.value < 45 < 70 < slow
    before = down.before[FORMULA_BEFORE]
    assert before is not None and before > 84
    everything = scored(bad_during_fault(set(journeys), journeys))
    assert everything < 25 < down.value


goods = st.lists(st.integers(0, 4), min_size=SECONDS, max_size=SECONDS)


@given(
    st.fixed_dictionaries({"dose": goods, "pay": goods, "look": goods}),
    st.sampled_from(["dose", "pay", "look"]),
    st.integers(0, SECONDS - 1),
    st.lists(st.sampled_from(["dose", "pay", "look"]), unique=True),
)
@settings(max_examples=60, deadline=None)
def test_less_harm_never_scores_lower(
    before: dict[str, list[int]], journey: str, second: int, apart: list[str]
) -> None:
    """One more good operation of any journey in any second."""
    criticality = {"dose": 3.0, "pay": 2.0, "look": 1.0}
    better = {name: list(counts) for name, counts in before.items()}
    better[journey][second] = min(4, better[journey][second] + 1)
    low, high = (scored(run_of(counts, criticality), tuple(apart)) for counts in (before, better))
    assert high >= low - 1e-9


@given(st.fixed_dictionaries({"dose": goods, "pay": goods, "look": goods}))
@settings(max_examples=30, deadline=None)
def test_the_order_of_journeys_does_not_matter(given_goods: dict[str, list[int]]) -> None:
    """Names and places of journeys are no part of their harm."""
    criticality = {"dose": 2.0, "pay": 2.0, "look": 2.0}
    values = list(given_goods.values())
    turned = dict(zip(given_goods, [*values[1:], values[0]], strict=True))
    assert scored(run_of(given_goods, criticality)) == pytest.approx(scored(run_of(turned, criticality)))


def test_more_journeys_down_is_more_harm() -> None:
    """Each further critical journey that is down costs something."""
    journeys = dict.fromkeys(("a", "b", "c", "d"), 2.0)
    scores = [scored(bad_during_fault(set(list(journeys)[:down]), journeys)) for down in range(5)]
    assert scores == sorted(scores, reverse=True)
    assert len({round(score, 3) for score in scores}) == 5


def test_few_operations_have_the_benefit_of_the_doubt() -> None:
    """One failure of two says less than a hundred of two hundred; none failing says nothing bad."""

    def level(good: float, offered: float) -> float:
        counts = Counts.of(
            {"pay": (np.array([offered]), np.array([good])), "look": (np.ones(1) * 9, np.ones(1) * 9)},
            {},
            {"pay": 1.0, "look": 1.0},
        )
        return float(counts.together())

    assert level(1, 2) > level(10, 20) > level(100, 200) > 0.55
    assert level(2, 2) == 1.0
    assert level(0, 0) == 1.0  # not offered: only the other one counts


def test_what_nobody_asked_for_has_no_standing() -> None:
    """Nothing offered at all is not a number."""
    run = run_of({"pay": [4] * SECONDS}, {"pay": 1.0})
    empty = Counts.of({"pay": (np.zeros(3), np.zeros(3))}, {}, {"pay": 1.0})
    assert np.isnan(empty.together())
    assert scored(replace(run, fault=(5, 6))) == pytest.approx(100.0)
