"""Reading JSON Lines register histories, good and bad."""

from __future__ import annotations

import json

import pytest

from experiment.errors import ConfigError
from measurement.linearizability import check_register
from measurement.register_events import MOST_PROBLEMS, read_events


def line(process: int, kind: str, function: str, value: object = None, **more: object) -> str:
    return json.dumps({"process": process, "type": kind, "f": function, "value": value, **more})


def test_a_history_is_read_with_its_line_numbers() -> None:
    """Values come from completions for reads and from invocations for the rest; times are lines."""
    operations = read_events(
        [
            line(0, "invoke", "write", 1, key="x"),
            line(1, "invoke", "read", key="x"),
            "",
            line(0, "ok", "write", 1, key="x"),
            line(1, "ok", "read", 1, key="x"),
            line(0, "invoke", "cas", [1, 2], key="x"),
            line(0, "info", "cas", "timed out", key="x"),
            line(1, "invoke", "write", 9, key="x"),
        ]
    ).operations
    seen = [(o.function, o.value, o.invoked, o.completed, o.key) for o in operations]
    assert seen == [
        ("write", 1, 1, 4, "x"),
        ("read", 1, 2, 5, "x"),
        ("cas", (1, 2), 6, None, "x"),
        ("write", 9, 8, None, "x"),
    ]
    assert operations[0].label == "line 4"


def test_a_failed_operation_did_not_happen() -> None:
    """A failed compare-and-set leaves no operation behind, and its process may go on."""
    events = [
        line(0, "invoke", "cas", [1, 2]),
        line(0, "fail", "cas", [1, 2]),
        line(0, "invoke", "read"),
        line(0, "ok", "read", None),
    ]
    read = read_events(events)
    assert [o.function for o in read.operations] == ["read"]
    assert read.failed == 1
    assert check_register(read.operations).linearizable is True


def test_lines_of_the_nemesis_are_skipped_and_counted() -> None:
    """What Jepsen's fault injector did, whatever it calls it, is no operation on a register."""
    events = [
        line("nemesis", "info", "start-partition", "majority"),  # type: ignore[arg-type]
        line(0, "invoke", "write", "a"),
        line(":nemesis", "info", "stop", None),  # type: ignore[arg-type]
        line(0, "ok", "write", "a"),
    ]
    read = read_events(events)
    assert len(read.operations) == 1
    assert (read.skipped, read.nothing) == (2, "")
    assert read_events(events[:1]).nothing == "only lines of the nemesis"
    assert read_events(["", " "]).nothing == "the file has no event"


@pytest.mark.parametrize(
    "refused",
    [
        line(0, "invoke", "cas", [1]),
        line(0, "invok", "read"),
        line(0, "invoke", "reed"),
        '{"process": 0, "type"',
        '{"type": "invoke", "f": "read"}',
    ],
)
def test_a_refused_line_gives_one_message(refused: str) -> None:
    """What follows of the same process is not blamed for an invocation that was refused."""
    rest = [line(0, "ok", "read", 1), line(0, "invoke", "read"), line(0, "ok", "read", 1)]
    with pytest.raises(ConfigError) as caught:
        read_events([refused, *rest])
    assert len(caught.value.problems) == 1


def test_a_refused_completion_does_not_leave_its_operation_open() -> None:
    """The next invocation of the process is no second mistake."""
    events = [line(0, "invoke", "write", 1), line(0, "ok", "wriet", 1), line(0, "invoke", "read")]
    with pytest.raises(ConfigError) as caught:
        read_events(events)
    assert [problem.where.line for problem in caught.value.problems] == [2]


def test_values_may_be_of_any_plain_kind() -> None:
    """Text, numbers, true, false and null are told apart, and deep nesting is no value."""
    for value in ("a", 1, 1.5, True, None):
        events = [line(0, "invoke", "write", value), line(0, "ok", "write", value)]
        assert read_events(events).operations[0].value == value
    with pytest.raises(ConfigError, match="found no JSON"):
        read_events(['{"process": 0, "value": ' + "[" * 100_000])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "h.jsonl:2:1: found no JSON"),
        ("[1]", "found a list, expected a JSON object"),
        (line(0, "invoke", "reed"), 'found f "reed", expected read, write, cas\n    did you mean "read"?'),
        (line(0, "invok", "read"), 'did you mean "invoke"?'),
        ('{"type": "invoke", "f": "read"}', 'found no process, expected a whole number, or "nemesis"'),
        ('{"process": null, "type": "invoke", "f": "read"}', "found process null, expected a whole number"),
        ('{"process": 0, "type": "invoke"}', "found no f, expected read, write, cas"),
        (line(0, "invoke", "cas", [1]), "found cas value [1], expected [expected, new]"),
        (
            '{"process": 0, "type": "invoke", "f": "write"}',
            "found no write value, expected a plain JSON value",
        ),
        (line(3, "ok", "read", 1), 'found "ok" by process 3, which has nothing open'),
        (line(9, "invoke", "read"), "found an invocation by process 9 within its write of line 1"),
        (line(9, "ok", "read", 1), 'found "ok" of a read, expected the write that line 1 invoked'),
        (line(9, "ok", "write", 2), "found write value 2, expected 1 as invoked on line 1"),
        (line(0, "invoke", "read", key=[1]), "found key [1], expected a string or a whole number"),
    ],
)
def test_a_bad_line_is_named(text: str, message: str) -> None:
    """Every mistake carries file, line, what was found and what was expected."""
    with pytest.raises(ConfigError) as caught:
        read_events([line(9, "invoke", "write", 1), text], "h.jsonl")
    assert message in str(caught.value)
    assert caught.value.problems[0].where.line == 2


def test_a_file_of_another_format_gives_a_bounded_list() -> None:
    """A thousand bad lines do not give a thousand messages."""
    with pytest.raises(ConfigError) as caught:
        read_events(["nonsense"] * 1000)
    assert len(caught.value.problems) == MOST_PROBLEMS


@pytest.mark.parametrize("value", [[1, [2]], [[1], 2], [1], [1, 2, 3], 1, None, {"from": 1, "to": 2}])
def test_a_cas_has_two_plain_values(value: object) -> None:
    """One that is not plain cannot be compared, whichever of the two it is."""
    with pytest.raises(ConfigError) as caught:
        read_events([line(0, "invoke", "cas", value)])
    (problem,) = caught.value.problems
    assert problem.expected == "[expected, new], two plain values"


@pytest.mark.parametrize("pair", [[1, 2], [None, "a"], ["a", None], [True, 0.5]])
def test_plain_values_are_all_that_json_has_but_lists_and_objects(pair: list[object]) -> None:
    """Null is one: a register that was never written."""
    (operation,) = read_events([line(0, "invoke", "cas", pair), line(0, "ok", "cas", pair)]).operations
    assert operation.value == tuple(pair)
