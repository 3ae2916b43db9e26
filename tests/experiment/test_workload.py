"""A workload at work: requests that YAML says, answers, arguments from the seed, and the mistakes of a
client's own Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiment.design import Design
from experiment.errors import ConfigError, ExitCode
from experiment.forms import AnswerForm, Draw, RequestForm
from experiment.plan import Plan, make_plan
from experiment.requests import PlannedOperation
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.topology import Journey, Service, Step, System, WorkloadFiles
from experiment.visits import rehearse
from experiment.workload import (
    Answered,
    Known,
    Population,
    Request,
    Unreadable,
    WorkloadFault,
    load_workload,
)

SCENARIO = Scenario(
    "calm", "Calm", Load(Arrivals("constant", 5.0), {"visit": 1.0}), Phases(baseline=4.0, settle=1.0)
)
OP = PlannedOperation(
    8, "order", 0.5, "ord-ab12cd-000007", 7, None, {"amount": 12.5, "sku": "a b", "gift": True, "note": None}
)


def shop(
    journey: Journey | None = None, client: str = "", folder: Path | None = None, **arguments: Draw
) -> System:
    """One service, one journey, and a client when its text is given."""
    source = folder / "system.yaml" if folder is not None else Path("system.yaml")
    if client:
        (source.parent / "client.py").write_text(client, encoding="utf-8")
    return System(
        "shop",
        {"front": Service()},
        (),
        {"order": journey or Journey("front", key="ord")},
        {"visit": (Step("order"), Step("order", at=0.1))},
        workload=WorkloadFiles("client.py" if client else "", "", arguments),
        source=str(source),
    )


def asking(**form: object) -> Journey:
    return Journey("front", key="ord", request=RequestForm(**form))  # type: ignore[arg-type]


def request_of(known: Known | None = None, **form: Any) -> Request:
    return load_workload(shop(asking(**form))).request(OP, known or Known())


def answered(form: AnswerForm, status: int, headers: dict[str, str], body: bytes) -> Answered:
    workload = load_workload(shop(Journey("front", request=RequestForm("/"), answer=form)))
    return workload.read(OP, status, headers, body)


def plan(system: System, seed: int = 1) -> Plan:
    workload = load_workload(system)
    population = workload.population(None, seed)
    return make_plan(SCENARIO, system, Design("plain", {}, {}), seed, population, workload)


# requests


def test_a_lone_placeholder_keeps_its_json_type_and_others_become_text() -> None:
    """Numbers, booleans and null stay what they are; inside a text they are written as JSON writes them."""
    request = request_of(
        path="/o",
        method="POST",
        json={"a": "{amount}", "t": "{amount} of {sku}", "g": ["{gift}", "{note}"], "n": "{operation}"},
    )
    assert json.loads(request.body) == {"a": 12.5, "t": "12.5 of a b", "g": [True, None], "n": 8}
    assert request.headers == {"content-type": "application/json"}


def test_values_are_escaped_where_they_stand() -> None:
    """In paths and forms by percent signs, in JSON as JSON strings, in texts not at all."""
    assert request_of(path="/o/{sku}?q={amount}").path == "/o/a%20b?q=12.5"
    form = request_of(path="/o", method="POST", form={"sku": "{sku}", "to pay": "{amount}"})
    assert (form.body, form.headers["content-type"]) == (
        b"sku=a+b&to+pay=12.5",
        "application/x-www-form-urlencoded",
    )
    text = request_of(path="/o", method="PUT", text="{{{sku}}} {gift}{note}")
    assert text.body == b"{a b} true"


def test_the_parts_of_a_key_are_placeholders_too() -> None:
    """So that another key of the same visit can be made."""
    request = request_of(path="/o/{key}", headers={"Idempotency-Key": "pay-{token}-{visit}"})
    assert request.path == "/o/ord-ab12cd-000007"
    assert request.headers == {"idempotency-key": "pay-ab12cd-000007"}
    assert request.keyed


def test_a_header_with_the_version_waits_until_a_version_is_known() -> None:
    """Without one there is nothing to expect; with one the row says which was expected."""
    form: dict[str, Any] = {
        "path": "/o",
        "method": "PUT",
        "headers": {"If-Match": 'W/"{version}"', "accept": "*/*"},
    }
    fresh, known = request_of(**form), request_of(Known(4), **form)
    assert (fresh.headers, fresh.expected_version) == ({"accept": "*/*"}, None)
    assert (known.headers["if-match"], known.expected_version) == ('W/"4"', 4)
    body = request_of(Known(4), path="/o", method="PUT", json={"expected": "{version}"})
    assert (body.body, body.expected_version) == (b'{"expected":4}', 4)


def test_json_is_written_as_an_encoder_writes_the_whole() -> None:
    """Empty parts, nesting, quotes and letters beyond ASCII."""
    plain = {"a": [], "b": {}, "c": 'x"y', "d": [[1, 2.5], {"é": None}], "e": "{{}}"}
    assert json.loads(request_of(path="/o", method="POST", json=plain).body) == {**plain, "e": "{}"}


# answers


@pytest.mark.parametrize(
    ("form", "status", "headers", "body", "expected"),
    [
        (AnswerForm("header.ETag", "body.state"), 200, {"etag": 'W/"3"'}, b'{"state":"paid"}', (3, "paid")),
        (AnswerForm("body.v[1]", "body[0]?"), 200, {}, b'{"v":[1,"7"]}', (7, None)),
        (AnswerForm(value="body.total"), 200, {}, b'{"total":12.5}', (None, "12.5")),
        (AnswerForm(value="body.ok"), 200, {}, b'{"ok":true}', (None, "true")),
        (AnswerForm(value="status"), 201, {}, b"anything", (None, "201")),
        (AnswerForm(value="body.lines[-1].state"), 200, {}, b'{"lines":[{},{"state":"x"}]}', (None, "x")),
        (AnswerForm(), 200, {}, b"<html>", (None, None)),
    ],
)
def test_an_answer_is_read_where_the_form_says(
    form: AnswerForm, status: int, headers: dict[str, str], body: bytes, expected: tuple[object, object]
) -> None:
    """Version and value; a body that nothing is read from need not be JSON."""
    found = answered(form, status, headers, body)
    assert (found.version, found.value) == expected


def test_a_label_comes_from_the_status_a_place_or_the_header_that_all_may_send() -> None:
    """x-label goes before what the form says; an age has the unit that the form says."""
    pending = AnswerForm(label={202: "pending"})
    assert answered(pending, 202, {}, b"").label == "pending"
    assert answered(pending, 200, {}, b"").label is None
    assert answered(pending, 202, {"x-label": "held"}, b"").label == "held"
    aged = AnswerForm(label="body.of", age="body.age", age_in="ms")
    assert answered(aged, 200, {}, b'{"of":"cache","age":250}') == Answered(label="cache", age=0.25)
    assert answered(aged, 200, {"x-age-ms": "1500"}, b'{"of":"cache","age":250}').age == 1.5


@pytest.mark.parametrize(
    ("form", "headers", "body"),
    [
        (AnswerForm(value="body.state"), {}, b"<html>"),
        (AnswerForm(value="body.state"), {}, b""),
        (AnswerForm(value="body.state"), {}, b"[1]"),
        (AnswerForm(value="body[0]"), {}, b'{"a":1}'),
        (AnswerForm(version="header.etag"), {}, b"{}"),
        (AnswerForm(version="header.etag"), {"etag": '"abc"'}, b"{}"),
        (AnswerForm(version="body.v"), {}, b'{"v":1.5}'),
        (AnswerForm(version="body.v"), {}, b'{"v":true}'),
        (AnswerForm(version="body.v"), {}, b'{"v":99999999999999999999}'),
        (AnswerForm(age="body.age"), {}, b'{"age":"old"}'),
        (AnswerForm(), {"x-age-ms": "old"}, b"{}"),
        (AnswerForm(value="body.a"), {}, b"[" * 100_000),
    ],
)
def test_an_answer_that_does_not_say_it_is_unreadable(
    form: AnswerForm, headers: dict[str, str], body: bytes
) -> None:
    """Never a guess, and never a mistake of the workload."""
    with pytest.raises(Unreadable, match="200 with"):
        answered(form, 200, headers, body)


# arguments


def test_arguments_are_drawn_from_the_seed() -> None:
    """Each kind gives what it says, the same for the same seed; a visit shares what it has drawn once."""
    draws = {
        "price": Draw("uniform", [5, 80], 2),
        "count": Draw("integer", [1, 3]),
        "sku": Draw("one_of", ["a", "b"], None, (0.0, 1.0)),
        "currency": Draw("constant", "USD"),
        "number": Draw("sequence", 100),
        "mail": Draw("unique", "mail"),
    }
    system = shop(Journey("front", key="ord", arguments=draws), customer=Draw("integer", [0, 10**9]))
    made, again, other = plan(system), plan(system), plan(system, 2)
    assert made.operations == again.operations
    assert [op.arguments for op in made.operations] != [op.arguments for op in other.operations]
    drawn = [op.arguments for op in sorted(made.operations, key=lambda op: op.id)]
    assert all(5 <= one["price"] <= 80 and round(one["price"], 2) == one["price"] for one in drawn)
    assert {one["count"] for one in drawn} == {1, 2, 3}
    assert {(one["sku"], one["currency"]) for one in drawn} == {("b", "USD")}
    assert [one["number"] for one in drawn] == list(range(100, 100 + len(drawn)))
    assert len({one["mail"] for one in drawn} | {op.arguments["mail"] for op in other.operations}) == (
        len(drawn) + len(other.operations)
    )
    customers: dict[int, set[int]] = {}
    for op in made.operations:
        customers.setdefault(op.visit, set()).add(op.arguments["customer"])
    assert all(len(each) == 1 for each in customers.values())
    assert len({next(iter(each)) for each in customers.values()}) == len(customers)


def test_a_write_says_what_it_means_to_leave_behind() -> None:
    """Also when nobody answers: a register check needs it."""
    journey = Journey("front", arguments={"n": Draw("integer", [1, 9])}, intended_value="{n} left")
    assert all(op.value == f"{op.arguments['n']} left" for op in plan(shop(journey)).operations)


def test_a_plan_says_which_requests_are_keyed_and_conditional() -> None:
    """The twin needs no client to know it."""
    form = RequestForm("/", "PUT", {"idempotency-key": "{key}", "if-match": "{version}"})
    traits = plan(shop(Journey("front", request=form))).requests["order"]
    assert (traits.keyed, traits.conditional) == (True, True)
    assert plan(shop()).requests == {}


# a client


CLIENT = """\
from experiment.workload import Answered, Population, Request

def population(folder, seed):
    return Population("two people", ({"who": "ada"}, {"who": "ben"}), {"people": ["ada", "ben"]})

def visit(people, rng):
    return rng.choice(people.subjects)

def arguments(subject, journey, nth):
    return {**subject, "nth": nth}

def intended_value(op):
    return op.arguments["who"]

def order(op, known):
    return Request("POST", f"/orders/{op.key}", {"Idempotency-Key": op.key}, b"x")

def ordered(op, reply):
    return Answered(value=reply.at("body.state"))

REQUESTS = {"order": order}
ANSWERS = {"order": ordered}
"""


def test_a_client_says_what_yaml_cannot(tmp_path: Path) -> None:
    """Whom users act for, what an operation carries, its request and its answer."""
    system = shop(client=CLIENT, folder=tmp_path)
    made, workload = plan(system), load_workload(system)
    assert made.population.source == "two people"
    assert (
        {op.arguments["who"] for op in made.operations}
        == {"ada", "ben"}
        == {op.value for op in made.operations}
    )
    assert {op.arguments["nth"] for op in made.operations} == {0, 1}
    assert made.requests["order"].keyed
    request = workload.request(made.operations[0], Known())
    assert (request.path, request.body) == (f"/orders/{made.operations[0].key}", b"x")
    assert workload.read(made.operations[0], 200, {}, b'{"state": "new"}') == Answered(value="new")
    with pytest.raises(Unreadable):
        workload.read(made.operations[0], 200, {}, b"{}")


def test_a_subject_gives_its_entries_where_there_is_no_function(tmp_path: Path) -> None:
    """A client with a population alone, and a request in YAML."""
    client = CLIENT.partition("def visit")[0]
    made = plan(shop(asking(path="/{who}"), client, tmp_path))
    assert {op.arguments["who"] for op in made.operations} == {"ada", "ben"}


BROKEN = [
    ("def visit", "1 / 0\ndef visit", ":6:", "ZeroDivisionError while it was imported: division by zero"),
    ("def visit(", "def visit(:", ":6:", "SyntaxError while it was imported"),
    ("import Answered", "import Answerd", ":1:", "ImportError while it was imported"),
    ("def visit(people, rng)", "def visit(people)", ":6:", "visit: too many positional arguments"),
    ("REQUESTS = {", "REQUESTS = [] or {'ordr': 3, ", ":1:", "REQUESTS['ordr'] = 3"),
    ('REQUESTS = {"order"', 'REQUESTS = {"ordr"', ":1:", 'the unknown journey "ordr" in REQUESTS'),
    ('REQUESTS = {"order": order}', "REQUESTS = 7", ":1:", "REQUESTS = 7"),
    ('return Population("two', 'return ("two', ":3:", "population gave ('two people'"),
    ('"people": ["ada", "ben"]}', '"people": {"ada"}}', ":3:", "population gave {'ada'}, a set"),
    ('{"people": ["ada", "ben"]}', '{"design": 7}', ":3:", 'population gave data called "design"'),
    ("rng.choice(people.subjects)", "exit(3)", ":7:", "visit raised SystemExit: 3"),
    ("rng.choice(people.subjects)", "people", ":6:", "visit gave Population("),
    ("rng.choice(people.subjects)", "rng.chose(1)", ":7:", "visit raised AttributeError: "),
    ('"nth": nth}', '"nth": {nth}}', ":9:", "arguments of order gave {0}, a set"),
    ('"nth": nth}', '"nth": float("nan")}', ":9:", "arguments of order gave nan, a float"),
    ('{**subject, "nth": nth}', "{1: 2}", ":9:", "arguments of order gave 1, a int"),
    ('{**subject, "nth": nth}', "[subject]", ":9:", "arguments of order gave [{'who': "),
    ('{**subject, "nth": nth}', 'subject["name"]', ":10:", "arguments of order raised KeyError: 'name'"),
    ('{**subject, "nth": nth}', '{**subject, "key": 3}', ":9:", 'arguments of order gave "key"'),
    ('return op.arguments["who"]', "return 7", ":12:", "intended_value gave 7"),
    ('return Request("POST"', 'return ("POST"', ":15:", "request of order: ('POST'"),
    ('"/orders/{op.key}"', '"/orders/{op.kye}"', ":16:", "request of order raised AttributeError: "),
    ('"/orders/{op.key}"', '"/my orders/"', ":15:", "request of order: the path '/my orders/'"),
    ('"Idempotency-Key": op.key', '"a": "b\\r\\nc: d"', ":15:", "request of order: the path"),
    (
        '"Idempotency-Key": op.key',
        '"a": "\\u20ac"',
        ":15:",
        "request of order: '\u20ac' in the path or a header",
    ),
    (
        '"Idempotency-Key": op.key',
        '"a": 3',
        ":15:",
        "request of order: a method, a path or a header that",
    ),
    (', b"x")', ', "x")', ":15:", "request of order: a body of str"),
]


@pytest.mark.parametrize(("old", "new", "place", "found"), BROKEN, ids=[new for _, new, *_ in BROKEN])
def test_a_mistake_of_a_client_is_told_with_file_and_line(
    tmp_path: Path, old: str, new: str, place: str, found: str
) -> None:
    """Before anything starts, as a mistake of configuration."""
    assert old in CLIENT
    with pytest.raises(ConfigError) as caught:
        plan(shop(client=CLIENT.replace(old, new, 1), folder=tmp_path))
    assert caught.value.exit_code is ExitCode.BAD_CONFIGURATION
    assert f"client.py{place}" in str(caught.value)
    assert f"found {found}" in str(caught.value)
    assert ", expected " in str(caught.value)


def test_a_journey_that_neither_side_can_send_is_told_at_its_place(tmp_path: Path) -> None:
    """With the client that could, and the nearest name that it has."""
    client = CLIENT.replace('{"order": order}', "{}").replace('{"order": ordered}', "{}")
    with pytest.raises(ConfigError, match=r"the journey order without a request.*in REQUESTS of"):
        load_workload(shop(client=client, folder=tmp_path))


def test_a_request_is_said_once(tmp_path: Path) -> None:
    """In YAML or in Python: nobody has to know which goes first."""
    with pytest.raises(ConfigError, match="a second request in REQUESTS"):
        load_workload(shop(asking(path="/"), CLIENT, tmp_path))


def test_a_placeholder_that_nobody_draws_is_told_at_its_place(tmp_path: Path) -> None:
    """A client draws its arguments when it plans; the name is told then, at the line of system.yaml."""
    client = CLIENT.replace('{"order": order}', "{}")
    system = shop(asking(path="/{whom}"), client, tmp_path)
    (tmp_path / "system.yaml").write_text("journeys:\n  order:\n    request: {path: '/{whom}'}\n")
    with pytest.raises(ConfigError, match=r"system\.yaml:3:21: found the placeholder \{whom\}") as caught:
        plan(system)
    assert 'did you mean "who"?' in str(caught.value)


def test_an_argument_is_drawn_once(tmp_path: Path) -> None:
    """By YAML or by the client: nobody has to know which value goes first."""
    system = shop(client=CLIENT, folder=tmp_path, who=Draw("constant", "eve"))
    with pytest.raises(ConfigError, match='the argument "who", which the client gives order as well'):
        plan(system)


def test_an_intended_value_needs_what_it_names(tmp_path: Path) -> None:
    """Also where the client makes the request."""
    journey = Journey("front", key="ord", intended_value="{amuont}")
    with pytest.raises(ConfigError, match=r"the placeholder \{amuont\}"):
        plan(shop(journey, CLIENT, tmp_path, amount=Draw("constant", 1)))


def test_a_rehearsal_makes_every_journey_whatever_its_share(tmp_path: Path) -> None:
    """A system can be checked without a scenario that plays it."""
    system = replace(shop(client=CLIENT, folder=tmp_path), mixes={"rare": (Step("order", share=1e-9),)})
    rehearse(system, load_workload(system))
    broken = replace(system, workload=WorkloadFiles("other.py"))
    (tmp_path / "other.py").write_text(CLIENT.replace("{op.key}", "{op.kye}"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"other\.py:16:1: found request of order raised AttributeError"):
        rehearse(broken, load_workload(broken))


def test_a_population_is_refused_where_nobody_reads_one() -> None:
    """A folder that would be passed over in silence is a mistake."""
    with pytest.raises(ConfigError, match=r"found the population people, expected none"):
        load_workload(shop()).population(Path("people"), 1)
    assert load_workload(shop()).population(None, 1) == Population()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('Answered("W/\\"3\\"", 7, True, 2)', Answered(3, "7", "true", 2.0)),
        ("Answered(value={'a': [1]})", Answered(value='{"a":[1]}')),
        ("Answered(version='x')", None),
        ("Answered(version=10**30)", None),
        ("Answered(age='old')", None),
        ("Answered(value=object())", None),
    ],
)
def test_what_a_client_takes_from_an_answer_fits_into_a_row(
    tmp_path: Path, given: str, expected: Answered | None
) -> None:
    """A number where a text belongs is written as JSON; what cannot be is an answer that says nothing."""
    client = CLIENT.replace('Answered(value=reply.at("body.state"))', given)
    workload = load_workload(shop(client=client, folder=tmp_path))
    if expected is None:
        with pytest.raises(Unreadable):
            workload.read(OP, 200, {}, b"{}")
    else:
        assert workload.read(OP, 200, {}, b"{}") == expected


def test_a_request_of_yaml_that_cannot_be_sent_is_told_with_its_file() -> None:
    """An argument with a line break in a header, say."""
    system = shop(asking(path="/", headers={"x-note": "{note}"}), note=Draw("constant", "a\nb"))
    with pytest.raises(WorkloadFault, match=r"^system\.yaml:1:1: found request of order: the path '/'"):
        plan(system)


def test_what_a_client_raises_while_it_plays_is_told_in_one_line(tmp_path: Path) -> None:
    """The last line of the traceback, with file and line: an error of the workload, never of the system."""
    client = CLIENT.replace('reply.at("body.state")', 'reply.body["state"]')
    workload = load_workload(shop(client=client, folder=tmp_path))
    with pytest.raises(WorkloadFault) as caught:
        workload.read(OP, 200, {}, b"{}")
    assert caught.value.line == f"answer of order raised KeyError: 'state' ({tmp_path}/client.py:19)"
