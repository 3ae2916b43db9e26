from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from experiment.decoding import Decoder
from experiment.errors import ConfigError
from experiment.units import Duration, Share, ShareBound
from experiment.yaml_source import parse_yaml
from tests.experiment.mistakes import NEEDS_UNIT, WRONG_UNIT, problems_of, seen


@dataclass(frozen=True)
class Wait:
    up: Duration
    down: Duration = 1.0

    def __post_init__(self) -> None:
        if self.up <= 0:
            raise ValueError("up 0 s; expected a time above 0")


@dataclass(frozen=True)
class Plan:
    """One of everything that a file can hold."""

    name: str
    wait: Duration = 1.0
    share: Share | None = 0.5
    bound: ShareBound | None = None
    mode: Literal["slow", "fast"] = "slow"
    count: int = 1
    weight: float = 1.0
    on: bool = False
    tags: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    repeat: Wait | None = None


def decode(text: str) -> Plan:
    return Decoder().root(parse_yaml(text, "f.yaml"), Plan)


def test_every_kind_of_value_is_read() -> None:
    """Annotations drive the reading; units end as plain floats."""
    text = (
        "{name: x, wait: 250ms, share: 20%, bound: '>= 99%', mode: fast, count: 3, weight: 2, on: yes, "
        "tags: [a, b], weights: {a: 1.5}, repeat: {up: 2s}}"
    )
    plan = decode(text)
    assert (plan.wait, plan.share, plan.mode, plan.count, plan.weight) == (0.25, 0.2, "fast", 3, 2.0)
    assert (plan.on, plan.tags, plan.weights, plan.repeat) == (True, ("a", "b"), {"a": 1.5}, Wait(2.0, 1.0))
    assert plan.bound is not None
    assert plan.bound.holds(0.995)


@pytest.mark.parametrize("word", ["none", "off", "~", ""])
def test_an_optional_value_may_be_none(word: str) -> None:
    """`none`, `off` and nothing at all switch an optional value off."""
    assert decode(f"name: x\nshare: {word}\n").share is None


BAD = [
    ("wait: 5", "5", '"5"', NEEDS_UNIT, ""),
    ("wait: 5m", "5m", '"5m"', WRONG_UNIT, ""),
    ("wait: [1s]", "[1s]", "a list", "a duration such as 250ms", ""),
    ("wait: none", "none", '"none"', "a duration such as 250ms", ""),
    ("wait:", "\nend", "nothing", "a duration such as 250ms", ""),
    ("share: 130%", "130%", '"130%"', "a share of at most 100%, such as 20%", ""),
    ("bound: 99%", "99%", '"99%"', 'a bound such as ">= 20%" or "<= 20%"', ""),
    ("bound: {a: 1}", "{a", "a mapping", 'a bound such as ">= 20%" or "<= 20%"', ""),
    ("mode: fats", "fats", '"fats"', "one of slow, fast", 'did you mean "fast"?'),
    ("mode: [slow]", "[slow", "a list", "one of slow, fast", ""),
    ("count: 1.5", "1.5", '"1.5"', "a whole number", ""),
    ("count: many", "many", '"many"', "a whole number", ""),
    ("weight: heavy", "heavy", '"heavy"', "a number", ""),
    ("weight: .nan", ".nan", '".nan"', "a number", ""),
    ("weight: 1.0e+999", "1.0e", '"1.0e+999"', "a number", ""),
    ("on: maybe", "maybe", '"maybe"', "on or off", ""),
    ("tags: a", "a\n", '"a"', "a list", ""),
    ("tags: [a, [b]]", "[b]", "a list", "text", ""),
    ("weights: [a]", "[a]", "a list", "a mapping of names", ""),
    ("weights: {a: b}", "b}", '"b"', "a number", ""),
    ("repeat: 3", "3", '"3"', "a mapping with the keys up, down", ""),
    ("repeat: {down: 1s}", "{down", 'no key "up"', "up: a duration such as 250ms", ""),
    ("repeat: {down: 1s, up: 0s}", "0s}", "up 0 s", "a time above 0", ""),
    ("wiat: 5s", "wiat", 'the unknown key "wiat"', "a key that is defined here", 'did you mean "wait"?'),
    (
        "zzz: 1",
        "zzz",
        'the unknown key "zzz"',
        "a key that is defined here",
        "known: bound, count, mode, name, on, repeat, share, tags, wait, weight, weights",
    ),
]


@pytest.mark.parametrize(("line", "mark", "found", "expected", "hint"), BAD, ids=[row[0] for row in BAD])
def test_a_wrong_value_is_found_at_its_own_place(
    line: str, mark: str, found: str, expected: str, hint: str
) -> None:
    """Line and column are those of the value, the sentence has both halves, and a near name is suggested."""
    text = f"name: x\n{line}\nend\n".replace("\nend", "") if mark != "\nend" else f"name: x\n{line}\n"
    shown = text if mark != "\nend" else text.replace(f"{line}\n", f"{line}\nend\n")
    (problem,) = problems_of(lambda: decode(text))
    assert problem.where.file == "f.yaml"
    assert seen(problem, mark, shown) == (True, found, expected, hint)


@pytest.mark.parametrize(
    ("text", "found"),
    [("- name: x\n", "a list"), ("just text\n", '"just text"'), ("---\n...\n", "nothing")],
)
def test_a_file_that_is_no_mapping_says_which_keys_it_should_have(text: str, found: str) -> None:
    """A list, a text and an empty document are no plan."""
    (problem,) = problems_of(lambda: decode(text))
    assert problem.found == found
    assert problem.expected.startswith("a mapping with the keys name, wait, share")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    """Nobody has to correct one mistake to learn of the next."""
    problems = problems_of(lambda: decode("wait: 5\nmode: fats\ncount: x\n"))
    assert [(p.where.line, p.where.column) for p in problems] == [(1, 1), (1, 7), (2, 7), (3, 8)]
    assert problems[0].found == 'no key "name"'


def test_the_message_of_the_error_holds_every_problem() -> None:
    """What the command line prints is all of them."""
    with pytest.raises(ConfigError) as caught:
        decode("name: x\nwait: 5\nmode: fats\n")
    assert str(caught.value).splitlines() == [
        'f.yaml:2:7: found "5", expected a duration with its unit (us, ms, s, min, h), such as 250ms',
        'f.yaml:3:7: found "fats", expected one of slow, fast',
        '    did you mean "fast"?',
    ]
