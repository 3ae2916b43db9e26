from __future__ import annotations

import re
from math import inf

import pytest

from experiment.units import (
    BANDWIDTH,
    DURATION,
    RATE,
    SHARE,
    RelativeBound,
    Unit,
    format_duration,
    latency_bound_pattern,
    noun,
    parse_bound,
    parse_latency_bound,
    parse_quantity,
    signed,
)
from tests.experiment.mistakes import NEEDS_UNIT, WRONG_UNIT


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("250ms", DURATION, 0.25),
        ("1.5 s", DURATION, 1.5),
        ("2min", DURATION, 120.0),
        ("80us", DURATION, 80e-6),
        ("1h", DURATION, 3600.0),
        ("8/s", RATE, 8.0),
        ("90/min", RATE, 1.5),
        ("20%", SHARE, 0.2),
        ("100%", SHARE, 1.0),
        ("0%", SHARE, 0.0),
        ("100KB/s", BANDWIDTH, 1e5),
    ],
)  # fmt: skip
def test_a_quantity_is_read_into_its_base_unit(text: str, unit: Unit, value: float) -> None:
    """Seconds, per second, a share of one, bytes."""
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-12)
    assert re.match(unit.pattern(), text), "the pattern for editors takes the same text"


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("5", DURATION, NEEDS_UNIT),
        ("0", DURATION, NEEDS_UNIT),
        ("-5", DURATION, NEEDS_UNIT),
        ("5m", DURATION, WRONG_UNIT),
        ("5 sec", DURATION, WRONG_UNIT),
        ("20%", DURATION, WRONG_UNIT),
        ("8/s", SHARE, "a share in one of %, such as 20%"),
        ("120%", SHARE, "a share of at most 100%, such as 20%"),
        ("-5s", DURATION, "a duration such as 250ms"),
        ("soon", DURATION, "a duration such as 250ms"),
        ("", DURATION, "a duration such as 250ms"),
        ("1e3s", DURATION, WRONG_UNIT),
        ("1s 2s", DURATION, WRONG_UNIT),
        ("9" * 400 + "s", DURATION, "a duration that is a number, such as 250ms"),
    ],
)
def test_a_quantity_that_is_wrong_says_what_was_expected(text: str, unit: Unit, expected: str) -> None:
    """A missing unit lists the units, a wrong one too; a share is at most the whole."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        parse_quantity(text, unit)
    if "at most" not in expected and "is a number" not in expected:
        assert not re.match(unit.pattern(), text), "the pattern for editors refuses the same text"


def test_a_bound_has_a_side_and_a_limit() -> None:
    """`>=` is a floor, `<=` a ceiling, and the text is kept for reports."""
    floor, ceiling = parse_bound(">= 99%", SHARE), parse_bound("<=250ms", DURATION)
    assert (floor.at_least, floor.text) == (True, ">= 99%")
    assert floor.limit == pytest.approx(0.99)
    assert floor.holds(0.99)
    assert not floor.holds(0.98)
    assert ceiling.holds(0.25)
    assert not ceiling.holds(0.26)


@pytest.mark.parametrize("text", ["99%", "> 99%", "== 99%", "at least 99%", ""])
def test_a_bound_without_its_sign_is_refused(text: str) -> None:
    """Strict signs and bare figures are not guessed at."""
    with pytest.raises(ValueError, match=re.escape('a bound such as ">= 20%" or "<= 20%"')):
        parse_bound(text, SHARE)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.00008, "80 us"), (0.25, "250 ms"), (3.2, "3.2 s"), (119.0, "119 s"), (300.0, "5 min")],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    """Four digits and the unit that fits."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 vetoes"), (1, "1 veto"), (2, "2 vetoes"), (1200, "1,200 vetoes")]
)
def test_a_count_agrees_with_its_noun(count: int, text: str) -> None:
    """One is singular, nought and all others are not."""
    assert noun(count, "veto", "vetoes") == text
    assert noun(count, "run") == text.replace("vetoes", "runs").replace("veto", "run")


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("<= baseline + 5%", (0.0, 0.105)),
        ("<=baseline+5%+20ms", (0.0, 0.125)),
        ("<= baseline + 20ms", (0.0, 0.12)),
        ("<= baseline + 150%", (0.0, 0.25)),
        ("baseline +- 10%", (0.09, 0.11)),
        (" baseline +- 10% +- 20ms ", (0.07, 0.13)),
        ("baseline +- 100%", (0.0, 0.2)),
    ],
)
def test_a_bound_beside_the_baseline_follows_it(text: str, limits: tuple[float, float]) -> None:
    """Of a baseline of 100 ms: a share of it, a time of its own, or both; downwards too where it says so."""
    bound = parse_latency_bound(text)
    assert isinstance(bound, RelativeBound)
    assert bound.limits(0.1) == pytest.approx(limits)
    assert bound.limits(inf)[1] == inf
    assert bound.text == text.strip()
    assert re.match(latency_bound_pattern(), text), "the pattern for editors takes the same text"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("baseline + 5%", "a bound beside the baseline such as"),
        ("<= baseline", "a bound beside the baseline such as"),
        ("<= baseline - 5%", "a bound beside the baseline such as"),
        ("<= baseline +- 5%", "a bound beside the baseline such as"),
        (">= baseline + 5%", "a bound beside the baseline such as"),
        ("<= base line + 5%", "a duration such as 250ms"),
        ("<= baseline + 5", "a duration with its unit"),
        ("<= baseline + 5% + 3%", "one share and then one duration"),
        ("<= baseline + 20ms + 5%", "one share and then one duration"),
        ("<= baseline + 2000%", "a share of at most 1000%"),
        ("<= baseline + 0%", "a bound that can be met"),
        ("baseline +- 10% + 20ms", "a bound beside the baseline such as"),
    ],
)
def test_a_bound_beside_the_baseline_that_is_wrong_says_what_was_expected(text: str, expected: str) -> None:
    """Its message shows a right form; so does the pattern for editors refuse it, but for what has a zero or
    too much."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        parse_latency_bound(text)
    if "0%" not in text:
        assert not re.match(latency_bound_pattern(), text)


@pytest.mark.parametrize(
    ("points", "text"), [(1.46, "+1.5"), (-0.3, "-0.3"), (-0.04, "+0.0"), (-0.0, "+0.0"), (0.04, "+0.0")]
)
def test_a_difference_that_rounds_to_nothing_is_not_less_than_nothing(points: float, text: str) -> None:
    """Nobody reads -0.0 points."""
    assert signed(points) == text
