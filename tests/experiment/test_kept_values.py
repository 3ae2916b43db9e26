"""What requests take from earlier answers and from the environment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from execution.catalogue import read_system
from experiment.answers import Answered
from experiment.design import Design
from experiment.errors import ConfigError
from experiment.plan import Plan, make_plan
from experiment.playing import Heard, Prepared, Users
from experiment.requests import Known, PlannedOperation
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.topology import System
from experiment.workload import load_workload
from load.script import unsendable
from tests.experiment.test_playing import Terms

SYSTEM = """\
name: shop
services: {front: {image: front}}
links: []
journeys:
  login:
    entry: front
    request: {method: POST, path: /login, json: {secret: "{env.SHOP_SECRET}"}}
    answer: {keep: {session: "body.token", basket: "header.x-basket?"}}
  order:
    entry: front
    key: ord
    request:
      method: POST
      path: "/baskets/{kept.basket}/orders"
      headers: {authorization: "Bearer {kept.session}"}
      json: {number: "{key}", basket: "{kept.basket}"}
mixes:
  visit: [{journey: login}, {journey: order, at: 100ms, needs: login}]
final_reads:
  ord:
    {written_by: order, path: "/orders/{key}", headers: {x-key: "{env.SHOP_SECRET}"}, answer: {value: status}}
"""
LOGIN = PlannedOperation(1, "login", 0.0, "login-ab-000001", 7)
ORDER = PlannedOperation(2, "order", 0.1, "ord-ab-000001", 7, 1)


def system(folder: Path, text: str = SYSTEM) -> System:
    (folder / "system.yaml").write_text(text, encoding="utf-8")
    return read_system(folder / "system.yaml")


def test_what_an_answer_gives_is_in_the_next_request_of_its_visit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its JSON type where a placeholder stands alone; a secret comes from the environment."""
    monkeypatch.setenv("SHOP_SECRET", "s3cret")
    workload = load_workload(system(tmp_path))
    assert json.loads(workload.request(LOGIN, Known()).body) == {"secret": "s3cret"}
    said = workload.read(LOGIN, 200, {"x-basket": "b 7"}, b'{"token": "t-1"}')
    assert said.kept == {"session": "t-1", "basket": "b 7"}
    request = workload.request(ORDER, Known(kept=said.kept))
    assert (request.path, request.headers["authorization"]) == ("/baskets/b%207/orders", "Bearer t-1")
    none = workload.read(LOGIN, 200, {}, b'{"token": 5}')
    request = workload.request(ORDER, Known(kept=none.kept))
    assert json.loads(request.body) == {"number": "ord-ab-000001", "basket": None}


def test_each_visit_keeps_its_own_and_what_failed_gives_nothing() -> None:
    """What is kept is forgotten with the last operation of its visit."""
    seen: dict[int, Known] = {}

    def prepare(op: PlannedOperation, known: Known) -> Prepared:
        seen[op.id] = known
        return Prepared("request")

    ops = [replace(LOGIN, id=n, visit=n // 10) for n in (10, 20, 30)]
    ops += [replace(ORDER, id=n, visit=n // 10, needs=None) for n in (11, 21, 31)]
    users = Users(dict.fromkeys(("login", "order"), Terms()), 10.0, lambda: 1.0, prepare, operations=ops)
    for op, heard in zip(
        ops,
        [
            Heard("2xx", 200, Answered(kept={"session": "a"})),
            Heard("2xx", 200, Answered(kept={"session": "b"})),
            Heard("500", 500, Answered(kept={"session": "c"})),
            *[Heard("2xx", 200)] * 3,
        ],
        strict=True,
    ):
        work = users.operate(op)
        next(work)
        with pytest.raises(StopIteration):
            work.send(heard)
    assert [dict(seen[n].kept) for n in (11, 21, 31)] == [{"session": "a"}, {"session": "b"}, {}]
    assert users._kept == {} and not users._visits


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (", needs: login}", "}", r"\{kept\.session\} in the request of order, which no step before it gives"),
        ("session: ", "sessions: ", r'kept\.session\}.*\n +did you mean "sessions"\?'),
        ('{session: "body.token"', '{session: "boby.token"', r"session in keep: .*boby\.token"),
        ('{session: "body.token"', '{"a b": "body.token"', r'the name "a b" in keep'),
        ("{kept.session}", "{keep.session}", r"the placeholder \{keep\.session\}"),
        ('secret: "{env.SHOP_SECRET}', 'secret: "{env.SHOP SECRET}', r"env\.SHOP SECRET"),
        ('x-key: "{env.SHOP_SECRET}"', 'x-key: "{key}"', r"the headers with \{key\}"),
    ],
)
def test_what_nothing_gives_is_a_mistake_of_the_file(old: str, new: str, said: str, tmp_path: Path) -> None:
    """Told before anything starts, at its place."""
    assert old in SYSTEM
    with pytest.raises(ConfigError, match=said):
        system(tmp_path, SYSTEM.replace(old, new))


def test_a_variable_that_is_not_set_is_refused_before_a_live_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, for requests and final reads; a plan can be made without it."""
    monkeypatch.delenv("SHOP_SECRET", raising=False)
    loaded = system(tmp_path)
    plan = _plan(loaded)
    assert [line.partition("found ")[2] for line in unsendable(plan)] == [
        "no variable SHOP_SECRET in the environment, expected it for the journey login",
        "no variable SHOP_SECRET in the environment, expected it for the final read of ord",
    ]
    monkeypatch.setenv("SHOP_SECRET", "s3cret")
    assert unsendable(_plan(loaded)) == []
    assert "s3cret" not in repr(_plan(loaded))


def _plan(loaded: System) -> Plan:
    workload = load_workload(loaded)
    load = Load(Arrivals("poisson", 5.0), {"visit": 1.0})
    scenario = Scenario("one", "one", load, Phases(5.0))
    return make_plan(scenario, loaded, Design("plain", {}, {}), 1, workload.population(None, 1), workload)
