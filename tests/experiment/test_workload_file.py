"""Mistakes of a workload in system.yaml, each told at its own place with what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiment.mistakes import problems_of, system

HEAD = """\
name: shop
services: {front: {module: front}}
links: []
mixes: {visit: [{journey: order}]}
"""
GOOD = f"""\
{HEAD}workload:
  arguments: {{amount: {{uniform: [5, 80], decimals: 2}}}}
journeys:
  order:
    entry: front
    key: ord
    arguments: {{sku: {{one_of: [a, b], weights: [1, 2]}}, currency: USD, count: {{integer: [1, 3]}}}}
    request:
      method: POST
      path: "/orders/{{key}}"
      headers: {{if-match: 'W/"{{version}}"'}}
      json: {{sku: "{{sku}}", amount: "{{amount}}", lines: [{{n: "{{count}}"}}]}}
    answer: {{version: header.etag, value: "body.lines[0].state", label: {{202: pending}}}}
    intended_value: "{{amount}}"
final_reads:
  ord: {{written_by: order, path: "/orders/{{key}}", answer: {{value: body.state}}}}
"""
PLACEHOLDER = "a value of the plan or an argument of this journey"
BAD = [
    ('"{amount}", lines', '"{amout}", lines', "{amout}", PLACEHOLDER, 'did you mean "amount"?'),
    ('/orders/{key}"\n      headers', '/orders/{kye}"\n      headers', "{kye}", PLACEHOLDER, '"key"?'),
    ('n: "{count}"', 'n: "{sku}-{conut}"', "{conut}", PLACEHOLDER, '"count"?'),
    ('intended_value: "{amount}"', 'intended_value: "{amuont}"', "{amuont}", PLACEHOLDER, '"amount"?'),
    ('n: "{count}"', 'n: "{"', "a single {", "{{ for {", ""),
    ('/orders/{key}"\n      h', '/orders?v={version}"\n      h', "{version} in the path", "in headers", ""),
    ('/orders/{key}"\n      h', 'orders"\n      h', 'the path "orders"', "begins with /", ""),
    ("if-match:", "Host:", 'the header "Host"', "the load writes this one", ""),
    ("if-match:", '"if match":', 'the name "if match"', "the name of a header", ""),
    ("      json:", "      text: x\n      json:", "the keys json and text", "one body", ""),
    ("method: POST", "method: FETCH", '"FETCH"', "one of GET, POST", ""),
    ("header.etag", "heder.etag", '"heder.etag"', "header.etag or status", 'did you mean "header"?'),
    ("header.etag", "header", '"header"', "the name of one header", ""),
    ('"body.lines[0].state"', '"body.lines[x]"', '"body.lines[x]"', "body.order.lines[0].price", ""),
    ('"body.lines[0].state"', "status.x", '"status.x"', "status alone", ""),
    ("{202: pending}", "{503: pending}", "the label of status 503", "200 to 299", ""),
    ("{202: pending}", "{soon: pending}", "a mapping", "text or a mapping", ""),
    ("uniform: [5, 80]", "uniform: [80, 5]", "uniform with another value", "the lower one first", ""),
    ("uniform: [5, 80]", "unifrom: [5, 80]", '"unifrom"', "one of uniform", 'did you mean "uniform"?'),
    ("decimals: 2", "decimals: 20", "decimals 20", "0 to 12", ""),
    ("integer: [1, 3]", "integer: [1, 3], decimals: 2", '"decimals"', "integer alone", ""),
    ("weights: [1, 2]", "weights: [1]", "the weights", "one for each value", ""),
    ("one_of: [a, b], weights: [1, 2]", "one_of: []", "one_of with another", "at least one value", ""),
    ("currency: USD", "currency: [USD]", "a list", "one kind of draw", "one_of"),
    ("currency: USD", "visit: USD", 'an argument called "visit"', "a placeholder has this one", ""),
    ("currency: USD", "amount: 3", 'the argument "amount" a second time', "or in workload.arguments", ""),
    ("key: ord", "key: or-d", 'the key "or-d"', "letters, digits", ""),
    ("  ord: {written_by", "  odr: {written_by", 'key prefix "odr"', "key of a journey", '"ord"?'),
    ("written_by: order", "written_by: ordr", 'the unknown journey "ordr"', "a journey", '"order"?'),
    ('order, path: "/orders/{key}"', 'order, path: "/orders/{amount}"', "{amount}", "{key}, {token}", ""),
    ("answer: {value: body.state}}", "answr: {value: body.state}}", '"answr"', "defined here", "answer"),
]


def test_a_workload_in_yaml_is_read(tmp_path: Path) -> None:
    """The parts of a journey, and what is drawn for it."""
    made = system(tmp_path, GOOD)
    order = made.journeys["order"]
    assert made.prefix("order") == "ord"
    assert order.request is not None and order.request.json["lines"] == [{"n": "{count}"}]
    assert order.arguments["currency"].of == "USD"
    assert order.answer is not None and order.answer.label == {202: "pending"}
    assert made.workload.arguments["amount"].decimals == 2


@pytest.mark.parametrize(("old", "new", "found", "expected", "hint"), BAD)
def test_a_mistake_is_told_at_its_place(
    tmp_path: Path, old: str, new: str, found: str, expected: str, hint: str
) -> None:
    """Line, what was found, what was expected and the nearest right name."""
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    problems = problems_of(lambda: system(tmp_path, text))
    assert len(problems) == 1, problems
    (problem,) = problems
    assert found in problem.found
    assert expected in problem.expected
    assert hint in problem.hint or hint in problem.expected
    changed = [
        n
        for n, lines in enumerate(zip(GOOD.splitlines(), text.splitlines(), strict=False), 1)
        if len(set(lines)) > 1
    ]
    assert problem.where.line - changed[0] in (0, 1), str(problem)


def test_a_journey_whose_name_cannot_begin_a_key_needs_one(tmp_path: Path) -> None:
    """A dash in its name is an underscore in its keys; a space is told."""
    text = GOOD.replace("journeys:\n", "journeys:\n  look-up: {entry: front}\n")
    assert system(tmp_path, text).prefix("look-up") == "look_up"
    (problem,) = problems_of(lambda: system(tmp_path, text.replace("look-up", "look up")))
    assert problem.found == 'the journey "look up", which its business keys begin with'
    assert (problem.where.line, problem.where.column) == (8, 3)
    assert system(tmp_path, text.replace("look-up: {", "look up: {key: look, ")).prefix("look up") == "look"


def test_a_second_journey_may_not_read_with_the_prefix_of_another(tmp_path: Path) -> None:
    """A final read is made at the entry of a journey that writes such keys."""
    text = GOOD.replace("final_reads:", "  browse: {entry: front}\nfinal_reads:").replace(
        "written_by: order", "written_by: browse"
    )
    (problem,) = problems_of(lambda: system(tmp_path, text))
    assert problem.found == '"browse", whose key is "browse"'
    assert problem.expected == 'a journey whose key is "ord"'
