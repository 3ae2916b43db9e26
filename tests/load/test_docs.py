"""The page about the load says what the code does."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.design import Design
from experiment.outcomes import TABLE
from experiment.plan import Plan, make_plan
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.topology import System
from experiment.workload import Known, Workload, load_workload
from tests.experiment.mistakes import system

PAGE = Path(__file__).resolve().parents[2] / "docs" / "load.md"


def test_the_outcomes_in_the_docs_are_those_of_the_table() -> None:
    """Row by row, in order."""
    text = PAGE.read_text(encoding="utf-8")
    shown = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [f"| `{row.seen}` | {row.write} | {row.read} | {row.error or ''} | {row.why} |" for row in TABLE]
    assert [line for line in shown if line.count("|") == 6] == rows


def example(language: str, number: int = 0) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found[number])


def test_the_login_on_the_page_gives_the_next_step_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is the environment's, the session that of the answer."""
    monkeypatch.setenv("STOCK_PASSWORD", "s3cret")
    made = system(tmp_path, "name: x\nservices: {stock: {module: m}}\nlinks: []\n" + example("yaml", 1))
    plan, workload = planned(made)
    login, again = plan.operations[:2]
    assert json.loads(workload.request(login, Known()).body) == {"user": "tester", "password": "s3cret"}
    kept = workload.read(login, 200, {}, b'{"token": "t-1"}').kept
    assert workload.request(again, Known(kept=kept)).headers == {"authorization": "Bearer t-1"}


def planned(made: System) -> tuple[Plan, Workload]:
    phases = Phases(baseline=2.0, settle=1.0)
    scenario = Scenario("s", "S", Load(Arrivals("constant", 2.0), {"visit": 1.0}), phases)
    workload = load_workload(made)
    population = workload.population(None, 1)
    return make_plan(scenario, made, Design("d", {}, {}), 1, population, workload), workload


def test_the_journey_on_the_page_is_planned_sent_and_read(tmp_path: Path) -> None:
    """With all that it says: draws, placeholders, places of the answer, and its final read."""
    rest = "name: x\nservices: {stock: {module: m}}\nlinks: []\nmixes: {visit: [{journey: reserve}]}\n"
    made, workload = planned(system(tmp_path, rest + example("yaml")))
    op = made.operations[0]
    assert op.value == f"{op.arguments['count']} of {op.arguments['size']}"
    request = workload.request(op, Known(3))
    token = op.key.split("-")[1]
    assert request.path == f"/items/{op.key}?size={op.arguments['size']}"
    assert request.headers["idempotency-key"] == f"reserve-{token}-000000-{op.id}"
    assert request.headers["if-match"] == 'W/"3"'
    assert "if-match" not in workload.request(op, Known()).headers
    assert json.loads(request.body) == {
        "customer": f"customer-{token}-000000",
        "lines": [{"count": op.arguments["count"], "total": f"{op.arguments['price']} EUR"}],
    }
    answer = workload.read(op, 202, {"etag": 'W/"4"'}, b'{"lines": [{"state": "kept"}], "age_ms": 250}')
    assert (answer.version, answer.value, answer.label, answer.age) == (4, "kept", "pending", 0.25)
    assert workload.read_last("item", 200, {"etag": "5"}, b'{"lines": [{"state": "kept"}]}').version == 5


def test_the_client_on_the_page_works(tmp_path: Path) -> None:
    """As it stands there, for a journey that says nothing of its request in YAML."""
    (tmp_path / "client.py").write_text(example("python"), encoding="utf-8")
    text = (
        "name: x\nservices: {front: {module: m}}\nlinks: []\nmixes: {visit: [{journey: transfer}]}\n"
        "workload: {client: client.py}\njourneys: {transfer: {entry: front, key: acc}}\n"
        'final_reads: {acc: {written_by: transfer, path: "/accounts/{key}"}}\n'
    )
    made, workload = planned(system(tmp_path, text))
    op = made.operations[0]
    assert made.population.data == {"accounts": list(made.population.subjects)}
    assert op.value == f"{op.arguments['amount']:g}"
    assert json.loads(workload.request(op, Known(2)).body) == dict(op.arguments)
    assert made.requests["transfer"].conditional
    assert workload.read(op, 202, {"etag": '"3"'}, b'{"balance": "7"}').label == "held"
    assert workload.read_last("acc", 200, {}, b'{"balance": "7"}').value == "7"
    later = replace(op, arguments={**op.arguments, "amount": 0.5})
    assert workload.intended_value(later) == "0.5"
