from __future__ import annotations

from pathlib import Path

import pytest

from experiment.services import CONTRACT, Endpoints, Service, filled, placeholders
from experiment.topology import System
from tests.experiment.mistakes import problems_of, seen, system

SHOP = """\
name: shop
services:
  front: {command: ["{python}", -m, front, --port, "{port}"], environment: {ORDERS: "http://{orders}"}}
  orders:
    command: ["{python}", app.py]
    folder: code
    build: code
    environment: {DB: "postgresql://{postgres.user}:{postgres.password}@{postgres}/{postgres.database}"}
    endpoints: {health: /healthz}
  ledger: {role: instrument, image: "ledger:1", port: 9000}
  postgres: {role: store}
  bus: {role: bus}
links:
  - {caller: front, callee: orders}
  - {caller: orders, callee: ledger}
  - {caller: orders, callee: postgres, protocol: postgres}
  - {caller: orders, callee: bus, protocol: nats}
journeys:
  buy: {entry: front, uses: [front -> orders]}
mixes:
  visit: [{journey: buy}]
records:
  - {store: orders, kind: order, sql: "SELECT id AS key FROM orders"}
  - {store: ledger, kind: charge, http: /entries, entries: entries, fields: {key: reference, t: booked}}
"""
WAYS = "one of command, module, image, build, compose"
OF_LINK = "a placeholder that front has: its own address or a link that it calls over"
BAD = [
    (
        '{role: instrument, image: "ledger:1", port: 9000}',
        "{role: instrument}",
        "ledger:",
        "no way to start ledger",
        WAYS,
        "",
    ),
    (
        "folder: code",
        "module: code",
        'command: ["{python}", app.py]',
        "two ways to start orders: module and command",
        "one of them",
        "",
    ),
    (
        "    build: code\n",
        "    build: code\n    image: x\n",
        "build",
        "two ways to start orders: image and build",
        "one of them",
        "",
    ),
    (
        "folder: code",
        "folder: cod",
        "cod\n",
        'the folder "cod", which is not there',
        "a folder beside this file, in {here}",
        'did you mean "code"?',
    ),
    (
        "build: code",
        "build: empty",
        "empty",
        'the folder "empty" without a Dockerfile',
        "one with a Dockerfile",
        "",
    ),
    (
        "http://{orders}",
        "http://{ordrs}",
        '"http://{ordrs}',
        'the unknown placeholder "{ordrs}"',
        OF_LINK,
        'did you mean "orders"?',
    ),
    (
        "http://{orders}",
        "http://{ledger}",
        '"http://{ledger}',
        'the unknown placeholder "{ledger}"',
        OF_LINK,
        "known: host, orders, orders.attempts, orders.backoff, orders.host, orders.port, orders.timeout, "
        "orders.token, port, python, service",
    ),
    (
        "health: /healthz",
        "health: healthz",
        "healthz",
        'health "healthz"',
        "a path such as /health, or none",
        "",
    ),
    ("health: /healthz", "health: [a]", "[a]", "a list", "text", ""),
    (
        "health: /healthz",
        "helth: /healthz",
        "helth",
        'the unknown key "helth"',
        "a key that is defined here",
        'did you mean "health"?',
    ),
    ("port: 9000", "port: 90000", "90000", "port 90000", "one from 1 to 65535", ""),
    (
        "postgres: {role: store}",
        "postgres: {role: store, image: x}",
        "image: x",
        'the key "image" of the store postgres',
        "none: a store is started by the runtime",
        "",
    ),
    (
        "callee: ledger}",
        "callee: ledgr}",
        "ledgr}",
        'the unknown service "ledgr"',
        "a service of this file",
        'did you mean "ledger"?',
    ),
    (
        ", protocol: nats",
        "",
        "{caller: orders, callee: bus}",
        "the protocol http on orders -> bus, where bus is a bus",
        "the protocol nats",
        "",
    ),
    (
        "store: orders",
        "store: order",
        "order,",
        'the unknown service "order"',
        "a service of this file",
        'did you mean "orders"?',
    ),
    (
        "http: /entries",
        "sql: x",
        "x, entries",
        "sql for ledger, which has no database",
        "http, database, or a link from ledger to a PostgreSQL store",
        "",
    ),
    ("http: /entries,", "", "charge", "neither sql nor http for ledger", "one of sql, http", ""),
    (
        "{key: reference",
        "{kee: reference",
        "kee",
        'the unknown column "kee"',
        "a column of a record",
        'did you mean "key"?',
    ),
    ("/entries,", "entries,", "entries, entries", '"entries"', "a path such as /ledger", ""),
]


def shop(folder: Path, text: str = SHOP) -> System:
    """A small shop of services that know nothing of the harness."""
    for name in ("code", "empty"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "code" / "Dockerfile").write_text("FROM scratch\n")
    return system(folder, text)


def test_a_service_is_started_by_a_command_an_image_or_what_a_folder_builds(tmp_path: Path) -> None:
    """The file of these tests is right, so that each change below is the one mistake."""
    services = shop(tmp_path).services
    assert services["orders"].command == ("{python}", "app.py")
    assert services["orders"].control == Endpoints(health="/healthz")
    assert services["ledger"].foreign and services["ledger"].control == Endpoints()
    assert not services["postgres"].is_code
    assert shop(tmp_path).without("health") == ("front", "ledger")


def test_a_module_has_the_whole_contract_unless_it_says_otherwise() -> None:
    """What the harness starts as a module of its own kind need not list its endpoints."""
    assert Service(module="services.desk").control == CONTRACT
    assert Service(module="services.desk", endpoints=Endpoints(health="/h")).control.backlog is None


@pytest.mark.parametrize(
    ("good", "bad", "mark", "found", "expected", "hint"), BAD, ids=[row[3] for row in BAD]
)
def test_a_mistake_of_a_service_is_found_at_its_own_place(
    good: str, bad: str, mark: str, found: str, expected: str, hint: str, tmp_path: Path
) -> None:
    """Nothing is started: the file alone says what is wrong, where, and what is near."""
    text = SHOP.replace(good, bad, 1)
    assert text != SHOP
    first = problems_of(lambda: shop(tmp_path, text))[0]
    assert seen(first, mark, text) == (True, found, expected.format(here=tmp_path), hint)


def test_placeholders_are_filled_and_doubled_braces_stay() -> None:
    """Only what stands in single braces is a placeholder."""
    assert filled("http://{orders}/{{x}} {port}", {"orders": "h:1", "port": "2"}) == "http://h:1/{x} 2"
    with pytest.raises(KeyError):
        filled("{other}", {"orders": "h:1"})


def test_a_link_to_a_database_gives_a_login_too() -> None:
    """The runtime makes a database and a role for each service that has such a link."""
    assert "postgres.password" in placeholders({"postgres": "postgres"})
    assert "orders.password" not in placeholders({"orders": "http"})
