"""Properties as a system declares them: each mistake at its place, and what a property in Python may do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiment.errors import ConfigError
from experiment.properties import Binding, Property
from experiment.rows import Row
from experiment.values import from_plain, to_plain
from experiment.verdict import Verdict
from measurement.judge import analyse
from measurement.properties import KINDS
from measurement.properties.python_property import PythonProperty
from tests.measurement.histories import REFERENCE, history, op, record, scenario
from tests.measurement.shop import judge, mistakes, shop, system_text

LINE = len(system_text("").splitlines())
ONCE = (
    "once: {kind: at_most_once, things: order, effect: {store: payments, kind: charge}, operations: [order]}"
)
MISTAKES = [
    (ONCE, "at_most_once", "at_most_twice", 'the unknown kind of property "at_most_twice"', "at_most_once"),
    (ONCE, "store: payments", "store: paymnts", 'the unknown store "paymnts"', "payments"),
    (
        ONCE,
        "store: payments",
        "store: search",
        'the unknown store "search"',
        "known: orders, payments, stock",
    ),
    (
        ONCE,
        "kind: charge",
        "kind: chargs",
        'the kind of record "chargs", which payments does not give',
        "charge",
    ),
    (ONCE, "[order]", "[ordr]", 'the unknown journey "ordr"', "order"),
    (ONCE, "things: order", "thing: order", 'the unknown key "thing"', "things"),
    (ONCE, "things: order, ", "", 'no key "things"', ""),
    (ONCE, "things: order", "things: [a, b, c]", "a list", ""),
    (ONCE, "things: order", 'things: "{order}"', '"{order}"', ""),
    (ONCE, "operations: [order]", "operations: order", '"order"', ""),
    ("price: {kind: register, things: price, writes: [change], reads: [show]}", "[show]", "[]", "reads", ""),
    (
        "e: {kind: terminates, things: a, state: {store: orders, kind: order}, ends: [a]}",
        "[a]",
        "[]",
        "ends",
        "",
    ),
    (ONCE, "kind: at_most_once", "safety: maybe, kind: at_most_once", '"maybe"', ""),
    (ONCE, "once: {kind: at_most_once, ", "once: {", 'a property without "kind"', "known: at_most_once"),
    (ONCE, "once:", "once upon:", 'the name "once upon"', ""),
    (ONCE, "once:", "recovers:", 'the name "recovers" for a property of kind at_most_once', ""),
    (ONCE, ONCE.partition(": ")[2], "nothing", '"nothing"', ""),
    ("waits: {kind: bounded_waiting, grace: 2s}", "2s", "2", '"2"', ""),
    ("calls: {kind: no_retry_amplification, limit: 2.0}", "2.0", "0.5", "limit 0.5", ""),
    (
        "calls: {kind: no_retry_amplification, links: [orders -> payments]}",
        "orders -> payments",
        "order -> payments",
        'the unknown link "order -> payments"',
        "orders -> payments",
    ),
    (
        "e: {kind: terminates, things: order, state: {store: orders, kind: order}, ends: [a], completed: a}",
        "completed: a",
        "completed: b",
        'completed "b"',
        "",
    ),
    (
        "e: {kind: terminates, things: a, state: {store: orders, kind: order}, ends: [a], completed: a, "
        "taken: {store: payments, kind: charge}}",
        "completed: a, ",
        "",
        "taken without completed",
        "",
    ),
    (
        "never: {kind: never_allowed, things: order, record: {store: orders, kind: order, status: [x]}}",
        ", status: [x]",
        "",
        "a record that is never right, so that nothing is exposed",
        "",
    ),
    (
        "never: {kind: never_allowed, things: order, answer: {operations: [order], status: [200]}}",
        "[200]",
        "[ok]",
        '"ok"',
        "",
    ),
    (
        "never: {kind: never_allowed, things: order, answer: {operations: [order], status: [200]}}",
        ", answer: {operations: [order], status: [200]}",
        "",
        "neither record nor answer",
        "",
    ),
    (
        "never: {kind: never_allowed, things: order, record: {store: orders, kind: order, status: [x]}}",
        "things: order",
        "things: order, answer: {operations: [order], status: [200]}",
        "both record and answer",
        "",
    ),
]


@pytest.mark.parametrize(
    ("binding", "good", "bad", "found", "hint"), MISTAKES, ids=[f"{row[2][:40]}" for row in MISTAKES]
)
def test_a_mistake_is_told_at_its_place(
    binding: str, good: str, bad: str, found: str, hint: str, tmp_path: Path
) -> None:
    """The right file is taken; the wrong one is refused with line, finding and nearest name."""
    assert mistakes(tmp_path, binding) == ()
    assert binding.count(good) >= 1
    # A key under a wrong name is missing, too.
    *others, problem = mistakes(tmp_path, binding.replace(good, bad, 1))
    assert len(others) == (bad == "thing: order")
    assert problem.where.line == LINE
    assert problem.found.startswith(found)
    assert hint in problem.hint
    assert problem.expected


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Three in one file, in its order."""
    broken = ONCE.replace("payments", "paymnts").replace("[order]", "[ordr]") + "\nother: {kind: no_such}"
    assert [problem.where.line for problem in mistakes(tmp_path, broken)] == [LINE, LINE, LINE + 1]


def test_a_property_twice_is_a_key_twice(tmp_path: Path) -> None:
    """Refused before anything is decoded."""
    (problem,) = mistakes(tmp_path, f"{ONCE}\n{ONCE}")
    assert problem.found == 'the key "once" a second time'


def test_what_needs_no_binding_is_always_there(tmp_path: Path) -> None:
    """After the system's own, in the order of the registry; a system may set their figures."""
    assert list(shop(tmp_path, ONCE).properties) == [
        "once",
        "bounded_waiting",
        "no_retry_amplification",
        "recovers",
    ]
    own = shop(tmp_path, "bounded_waiting: {kind: bounded_waiting, grace: 2s, safety: on}")
    assert own.properties["bounded_waiting"].safety
    assert own.properties["bounded_waiting"].says == (
        "No request outlives its deadline by more than 2 s, and some are always answered."
    )


def test_a_noun_has_the_plural_that_it_is_given(tmp_path: Path) -> None:
    """Regular ones are derived."""
    judged = judge(tmp_path, ONCE.replace("things: order", "things: [person, people]"))
    rows = [_charge(key) for key in "ab"]
    assert judged(*rows).statement.startswith("none of 2 charged people was charged more than once")


def test_every_binding_is_kept_as_a_value() -> None:
    """A run folder holds the reference system's properties exactly."""
    for stated in REFERENCE.properties.values():
        assert from_plain(to_plain(stated), Property, {Binding: KINDS}) == stated


def test_a_store_that_the_twin_does_not_model_is_named(tmp_path: Path) -> None:
    """Of safety a simulated run says what it does not model, never pass."""
    system = shop(tmp_path, ONCE)
    seen = history(op(1, "order", "o-1", 1.0))
    simulated = replace(seen, header=replace(seen.header, source="simulation"))
    finding = system.properties["once"].binding.find(simulated, scenario(), system)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.statement == "not exercised: the records of payments are not modelled"


PYTHON = "own: {kind: python, file: workload/own.py}"
JUDGED = """
from experiment.findings import Finding, conclude, not_exercised
from experiment.verdict import Violation

def find(history, scenario, system):
    slow = history.operations.filter(history.operations["value"] == "slow")
    if history.operations.height == 0:
        return not_exercised("no order")
    bad = [Violation(f"order {key} was slow", key, None) for key in slow["key"]]
    n = history.operations.height
    return conclude(n, bad, len(bad), f"none of {n} orders was slow", f"{len(bad)} slow orders", {})
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "workload" / "own.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_property_in_python_is_judged_as_any_other(tmp_path: Path) -> None:
    """Empty, good and bad; with its veto and the bound of its sample."""
    written(tmp_path, JUDGED)
    judged = judge(tmp_path, PYTHON)
    assert judged().statement == "not exercised: no order"
    good = judged(*_orders("fast"))
    assert good.statement == "none of 1 orders was slow (1 exposed: too few to bound the true share)"
    bad = judged(*_orders("slow"))
    assert (bad.verdict, bad.safety, bad.violations[0].key) == (Verdict.FAIL, True, "o-1")


@pytest.mark.parametrize(
    ("text", "binding", "found"),
    [
        (None, PYTHON, 'file "workload/own.py", which is not there'),
        ("find = 3", PYTHON, 'function "find", which workload/own.py does not have'),
        (JUDGED, PYTHON.replace("own.py", "own.py, function: finds"), 'function "finds", which'),
        ("import no_such_module", PYTHON, "ModuleNotFoundError while it was imported: No module named"),
        ("def find(:", PYTHON, "SyntaxError while it was imported"),
        ("raise SystemExit(3)", PYTHON, "SystemExit while it was imported"),
    ],
)
def test_a_file_that_cannot_judge_is_refused(
    text: str | None, binding: str, found: str, tmp_path: Path
) -> None:
    """Before anything starts: the place in the system's file, or the line of the Python file."""
    if text is not None:
        written(tmp_path, text)
    (problem,) = mistakes(tmp_path, binding)
    assert problem.found.startswith(found)
    assert Path(problem.where.file).name in ("system.yaml", "own.py")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "def find(history, scenario, system):\n    return 1 / 0",
            "ZeroDivisionError: division by zero (own.py:2)",
        ),
        ("def find(history, scenario, system):\n    return True", "find returned True, expected a Finding"),
        ("def find():\n    pass", "TypeError: find() takes 0 positional arguments but 3 were given"),
    ],
)
def test_what_a_property_in_python_raises_makes_the_run_invalid(text: str, told: str, tmp_path: Path) -> None:
    """It is a mistake of the property, never a failure or a pass of the system, named in the scenario or
    not."""
    written(tmp_path, text)
    system = shop(tmp_path, PYTHON)
    analysis = analyse(history(*_orders("fast")), scenario(), system)
    assert analysis.verdict is Verdict.INVALID
    assert analysis.score.value is None
    assert any(reason.startswith(f"own: not judged: {told}") for reason in analysis.reasons)


def test_a_file_that_went_away_is_told(tmp_path: Path) -> None:
    """A run is judged again elsewhere, where the property is not."""
    path = written(tmp_path, JUDGED)
    system = shop(tmp_path, PYTHON)
    binding = system.properties["own"].binding
    assert isinstance(binding, PythonProperty)
    moved = replace(binding, folder=str(tmp_path / "no_such_folder"))
    assert path.is_file()
    finding = moved.find(history(), scenario(), system)
    assert finding.verdict is Verdict.INVALID
    assert "no such file" in finding.statement


def _orders(value: str) -> list[Row]:
    return [op(1, "order", "o-1", 1.0, value=value)]


def _charge(key: str) -> Row:
    return record("payments", "charge", key, id=key, t=1.0, amount=3.0)


def test_the_nearest_kind_is_named_in_the_error(tmp_path: Path) -> None:
    """As the command line prints it: file, line, column, found, expected, hint."""
    with pytest.raises(ConfigError) as error:
        shop(tmp_path, ONCE.replace("at_most_once", "at_most_one"))
    assert str(error.value) == (
        f'{tmp_path / "system.yaml"}:{LINE}:16: found the unknown kind of property "at_most_one", '
        'expected a kind of property\n    did you mean "at_most_once"?'
    )


@pytest.mark.parametrize(("said", "safety"), [("", True), ("safety: off, ", False), ("safety: on, ", True)])
def test_a_property_in_python_is_one_of_safety_unless_it_says_otherwise(
    said: str, safety: bool, tmp_path: Path
) -> None:
    """What is violated vetoes a release, as with every kind of its own sort."""
    written(tmp_path, JUDGED)
    assert shop(tmp_path, PYTHON.replace("kind:", f"{said}kind:")).properties["own"].safety is safety


def test_the_nearest_function_is_one_that_others_may_call(tmp_path: Path) -> None:
    """Neither a private one nor what is not a function."""
    written(tmp_path, "_finds = lambda: None\nfinds_ = 3\ndef finding():\n    pass")
    (problem,) = mistakes(tmp_path, PYTHON.replace("own.py", "own.py, function: finds"))
    assert 'did you mean "finding"?' in f"{problem.found} {problem.expected} {problem.hint}"
