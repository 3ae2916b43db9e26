"""Conditions that end a run: what counts in a second, and for how many in a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment.aborting import AbortCondition, AbortWatch, EndedOperation
from tests.experiment.mistakes import SCENARIO, problems_of, scenario, seen

GOOD = EndedOperation("pay", "acknowledged", 200, 0.1)
BAD = EndedOperation("pay", "indeterminate", None, 2.0)
REFUSED = EndedOperation("steal", "rejected", 403, 0.1)
LET_IN = EndedOperation("steal", "acknowledged", 200, 0.1)


def judged(condition: AbortCondition, *seconds: list[EndedOperation]) -> list[bool]:
    """In which seconds the run would end."""
    watch = AbortWatch([condition], {"steal": (403,)})
    return [bool(watch.judge(float(n), ended)) for n, ended in enumerate(seconds, 1)]


def test_errors_above_the_share_end_the_run_only_when_they_last() -> None:
    """Exactly at the share is allowed, and one second below it begins the row anew."""
    half, most = [GOOD, BAD], [GOOD, BAD, BAD]
    condition = AbortCondition(errors=0.5, lasting=3.0)
    assert judged(condition, most, most, half, most, most, most) == [False] * 5 + [True]


def test_a_second_in_which_nothing_ended_says_nothing() -> None:
    """Users who wait for an answer are not yet errors; the row goes on when they have given up."""
    assert judged(AbortCondition(errors=0.5, lasting=2.0), [BAD], [], [BAD]) == [False, False, True]


def test_a_journey_that_must_be_refused_fails_when_it_is_not() -> None:
    """A refusal with its own status is right, an answer is an error."""
    condition = AbortCondition(errors=0.1, lasting=1.0)
    assert judged(condition, [REFUSED], [LET_IN]) == [False, True]


def test_a_condition_of_a_journey_counts_only_its_operations() -> None:
    """The others may fail as they like; a time counts up to the second."""
    condition = AbortCondition(p95=1.0, journey="pay", lasting=0.5)
    slow = EndedOperation("look", "acknowledged", 200, 9.0)
    assert judged(condition, [GOOD, slow], [BAD, slow]) == [False, True]


def test_the_sentence_names_the_condition_and_the_last_second() -> None:
    """A reader sees the limit, for how long, and what was measured of how many."""
    watch = AbortWatch([AbortCondition(errors=0.2, lasting=1.0)], {})
    said = watch.judge(7.0, [GOOD, BAD])
    assert said == (
        "aborted at 7 s by the scenario: errors above 20% for 1 second "
        "(in the last second 50% of 2 operations)"
    )


MISTAKES = [
    ("{lasting: 3s}", "{lasting", "a condition without a figure", "errors (a share) or p95 (a time)", ""),
    (
        "{errors: 50%, p95: 2s}",
        "50%, p95",
        "both errors and p95",
        "errors (a share) or p95 (a time)",
        "",
    ),
    (
        "{errors: 100%}",
        "100%}",
        "errors 100%",
        "a share that can be exceeded, such as 50%",
        "",
    ),
    (
        "{errors: 50%, lasting: 40s}",
        "40s}",
        "a condition that must last 40s in a load of 26s",
        "one that can be met before the end",
        "",
    ),
    (
        "{p95: 40s}",
        "40s}",
        "a p95 of 40s in a load of 26s",
        "one that can be met before the end",
        "",
    ),
    ("{p95: 0s}", "0s}", "p95 0 s", "a time that operations can keep to, such as 2s", ""),
    (
        "{errors: 50%, journey: pai}",
        "pai}",
        'the unknown journey "pai"',
        "a journey of the system",
        'did you mean "pay"?',
    ),
]


@pytest.mark.parametrize(("text", "mark", "found", "expected", "hint"), MISTAKES)
def test_a_condition_that_cannot_be_is_found_at_its_place(
    text: str, mark: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """File, line, column, what was found, what was expected and the nearest right name."""
    whole = SCENARIO.replace("expect:", f"abort: [{text}]\nexpect:")
    told = [seen(problem, mark, whole) for problem in problems_of(lambda: scenario(tmp_path, whole))]
    assert (True, found, expected, hint) in told


def test_conditions_are_read_from_the_file(tmp_path: Path) -> None:
    """A share or a time, with how long it must last."""
    text = "abort: [{errors: 50%}, {p95: 3s, journey: pay, lasting: 2s}]\nexpect:"
    read = scenario(tmp_path, SCENARIO.replace("expect:", text))
    assert read.abort == (AbortCondition(errors=0.5), AbortCondition(p95=3.0, journey="pay", lasting=2.0))
