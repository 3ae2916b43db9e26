from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest

from experiment import schema
from experiment.topology import System
from experiment.yaml_source import Mapping, Node, Scalar, parse_yaml
from measurement.properties import KINDS as PROPERTY_KINDS
from tests.experiment.mistakes import KINDS, SCENARIO, SYSTEM, system

DESIGN = """\
name: careful
link_defaults: {timeout: 2s, retry: {attempts: 3, jitter: full, budget: 20%}}
links: {desk -> billing: {breaker: {failures: 2}, retry: off}}
services: {billing: {saga: on, cache: none, shedding: {concurrent: 3}}}
"""
SUITE = """\
name: smoke
entries:
  - {scenario: slow_payments, design: careful, expect: fail, violates: [no_duplicate_charge], impact: 2}
"""
GOOD = {"system": SYSTEM, "scenario": SCENARIO, "design": DESIGN, "suite": SUITE}
BAD = [
    ("system", "role: store", "role: stroe"),
    ("system", "at: 100ms", "at: 100"),
    ("system", "callee: billing}", "calle: billing}"),
    ("system", "name: clinic", "name: ../clinic"),
    ("system", "kind: at_most_once", "kind: at_most_twice"),
    ("system", "things: invoice, ", ""),
    ("system", "things: check-in", "thing: check-in"),
    ("scenario", "kind: latency", "kind: latencey"),
    ("scenario", "delay: 500ms", "dealy: 500ms"),
    ("scenario", "delay: 500ms", "delay: 500"),
    ("scenario", "delay: 500ms", "delay: 20%"),
    ("scenario", "link: billing -> payments", "service: billing"),
    ("scenario", "link: billing -> payments", "link: billing"),
    ("scenario", "link: billing -> payments", "link: {one_of: [billing -> payments]}"),
    ("scenario", "link: billing -> payments", "link: {one_off: [billing -> payments, desk -> billing]}"),
    ("scenario", ", during: fault", ""),
    ("scenario", "during: fault", "during: faults"),
    ("scenario", "arrivals: 8/s", "arrivals: 8"),
    ("scenario", "phases: {warm_up", "phases: {warmup"),
    ("scenario", '">= 99%"', '"> 99%"'),
    ("scenario", "title: Slow", "titel: Slow"),
    ("design", "timeout: 2s", "timeout: 2"),
    ("design", "jitter: full", "jitter: ful"),
    ("design", "saga: on", "saga: maybe"),
    ("design", "saga: on", "sagas: on"),
    ("design", "saga: on", "copies: 0"),
    ("design", "concurrent: 3", "concurrent: 0"),
    ("design", "{billing: {saga", "{desk: {saga"),
    ("system", "type: switch", "type: swich"),
    ("design", "desk -> billing", "desk"),
    ("design", "breaker: {failures: 2}", "breaker: {failures: two}"),
    ("suite", "expect: fail", "expect: fails"),
    ("suite", "impact: 2", "impact: high"),
]


def _system() -> System:
    with TemporaryDirectory() as folder:
        return system(Path(folder))


def schemas() -> dict[str, dict[str, Any]]:
    return {
        "system": schema.system_schema(PROPERTY_KINDS),
        "scenario": schema.scenario_schema(KINDS),
        "design": schema.design_schema(_system()),
        "suite": schema.suite_schema(),
    }


def plain(node: Node, newer: bool) -> Any:
    """The node as editors see it: with YAML 1.1 `on` is true, with YAML 1.2 (`newer`) it is text."""
    if isinstance(node, Mapping):
        return {key.text: plain(value, newer) for key, value in node.items}
    if not isinstance(node, Scalar):
        return [plain(item, newer) for item in node.items]
    if node.kind == "null":
        return None
    if node.kind == "bool" and (not newer or node.text in ("true", "false")):
        return node.text.lower() in ("on", "yes", "true")
    if node.kind == "int":
        return int(node.text)
    return float(node.text) if node.kind == "float" else node.text


def valid(kind: str, text: str, newer: bool = False) -> bool:
    checker = jsonschema.Draft202012Validator(schemas()[kind])
    return bool(checker.is_valid(plain(parse_yaml(text, "f"), newer)))


@pytest.mark.parametrize("newer", [False, True], ids=["YAML 1.1", "YAML 1.2"])
@pytest.mark.parametrize("kind", GOOD)
def test_a_good_file_is_valid_in_every_editor(kind: str, newer: bool) -> None:
    """`on` and `off` are taken as truth values and as words."""
    assert valid(kind, GOOD[kind], newer)


@pytest.mark.parametrize(("kind", "good", "bad"), BAD, ids=[f"{row[0]}: {row[2]}" for row in BAD])
def test_a_mistake_that_an_editor_can_see_is_seen(kind: str, good: str, bad: str) -> None:
    """Unknown keys, wrong units, missing units, unknown kinds and choices."""
    assert GOOD[kind].count(good) >= 1
    assert not valid(kind, GOOD[kind].replace(good, bad, 1))


@pytest.mark.parametrize("kind", GOOD)
def test_every_schema_is_a_schema(kind: str) -> None:
    """Of draft 2020-12, with every reference leading somewhere."""
    made = schemas()[kind]
    jsonschema.Draft202012Validator.check_schema(made)
    assert _references(made) <= {f"#/$defs/{name}" for name in made["$defs"]}


def _references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in part.values()))
    return set().union(*(_references(item) for item in part)) if isinstance(part, list) else set()


def test_fields_carry_their_comment_and_their_default_as_it_would_be_written() -> None:
    """An editor shows what the source says, in the units of the file."""
    phases = schemas()["scenario"]["$defs"]["Phases"]["properties"]
    says = "How long the load runs before anything is measured. It takes a duration such as 250ms."
    assert phases["warm_up"] == {"$ref": "#/$defs/duration", "description": says, "default": "1s"}
    schedule = schemas()["design"]["$defs"]["switch_schedule"]
    assert (schedule["$ref"], schedule["default"]) == ("#/$defs/duration", "90s")
    assert schedule["description"] == "schedule. It takes a duration such as 250ms, from 1s to 2h."


def test_what_the_loader_fills_in_itself_is_no_key() -> None:
    """`source` is neither offered nor taken."""
    for made in schemas().values():
        assert "source" not in made["properties"]


def test_a_short_form_and_a_long_form_of_the_load_are_both_taken() -> None:
    """`8/s` is short for Poisson arrivals."""
    assert valid(
        "scenario", SCENARIO.replace("arrivals: 8/s", "arrivals: {process: ramp, rate: 1/s, to: 9/s}")
    )
    assert not valid("scenario", SCENARIO.replace("arrivals: 8/s", "arrivals: {process: ramps}"))


def test_a_fault_of_a_service_takes_no_link() -> None:
    """Each kind offers the key that says what it acts on."""
    line = "{kind: latency, link: billing -> payments, delay: 500ms, during: fault}"
    assert valid("scenario", SCENARIO.replace(line, "{kind: crash, service: billing, during: fault}"))
    assert not valid(
        "scenario", SCENARIO.replace(line, "{kind: crash, link: desk -> billing, during: fault}")
    )
