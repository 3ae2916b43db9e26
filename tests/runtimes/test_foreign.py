"""What a service that knows nothing of the harness is started with."""

from __future__ import annotations

from dataclasses import replace

from experiment.design import Design
from experiment.patterns import LinkPatterns, Retry
from experiment.services import CONTRACT, Endpoints, Service
from experiment.switches import Switch, Value
from experiment.topology import Link, System
from runtimes.foreign import Ground, Start, logins, start_of
from runtimes.keys import Keys
from runtimes.runtime import Address, RunSettings
from runtimes.service_files import restart_needed
from tests.standin.systems import settings

ORDERS = Service(
    command=("{python}", "-m", "orders", "--listen", "{host}:{port}", "--name", "{service}"),
    environment={
        "PAY": "http://{pay}/v1",
        "PAY_HOST": "{pay.host}",
        "PAY_TIMEOUT_S": "{pay.timeout}",
        "PAY_TRIES": "{pay.attempts}",
        "DB": "postgres://{db.user}:{db.password}@{db}/{db.database}",
    },
    ready_command=("probe", "{port}"),
)
SYSTEM = System(
    "shop",
    {"orders": ORDERS, "pay": Service(image="pay:1"), "db": Service("store")},
    (Link("orders", "pay"), Link("orders", "db", "postgres"), Link("pay", "db", "postgres")),
    {},
    {},
)
DOORS = {
    "orders -> pay": Address("proxy", 21001),
    "orders -> db": Address("proxy", 21002),
    "pay -> db": Address("proxy", 21003),
}
GROUND = Ground(DOORS, Keys("", {"orders": "secret", "pay": "hidden", "shared": "both"}), "python3")


def start(run: RunSettings) -> Start:
    return start_of(SYSTEM, "orders", Address("0.0.0.0", 8080), GROUND, run)


def test_every_callee_is_reached_at_the_proxy_of_its_own_link() -> None:
    """The command gets where to listen, the environment where the callees are and how to log in."""
    made = start(settings(SYSTEM))
    assert made.argv == ("python3", "-m", "orders", "--listen", "0.0.0.0:8080", "--name", "orders")
    assert made.ready_command == ("probe", "8080")
    assert dict(made.environment) == {
        "PAY": "http://proxy:21001/v1",
        "PAY_HOST": "proxy",
        "PAY_TIMEOUT_S": "",
        "PAY_TRIES": "1",
        "DB": "postgres://orders:secret@proxy:21002/orders",
    }


def test_the_patterns_of_a_design_reach_the_environment() -> None:
    """Another timeout is another start, which is how a service without /admin/reset gets it."""
    plain = settings(SYSTEM)
    patterns = {**plain.design.links, "orders -> pay": LinkPatterns(timeout=0.5, retry=Retry(attempts=3))}
    patient = replace(plain, design=Design("patient", patterns, plain.design.services))
    assert start(patient).environment["PAY_TIMEOUT_S"] == "0.5"
    assert start(patient).environment["PAY_TRIES"] == "3"
    assert start(patient) != start(plain) == start(replace(plain, run_id="r-2"))


def test_a_switch_reaches_the_environment_of_the_services_that_it_concerns() -> None:
    """It goes before a variable of the same name that the service has; what is off leaves that as it is."""
    switches = {
        "blind": Switch("switch", default=False, services=("orders",), environment={"BLIND": "{value}"}),
        "wait": Switch("duration", optional=True, environment={"PAY_TIMEOUT_S": "{value}"}),
    }
    shop = replace(SYSTEM, switches=switches)
    plain = settings(shop)
    values: dict[str, dict[str, Value]] = {**plain.design.services, "orders": {"blind": True, "wait": 2.0}}
    blind = replace(plain, design=replace(plain.design, services=values))
    where = Address("0.0.0.0", 8080)
    off, on = start_of(shop, "orders", where, GROUND, plain), start_of(shop, "orders", where, GROUND, blind)
    assert (off.environment["BLIND"], off.environment["PAY_TIMEOUT_S"]) == ("false", "")
    assert (on.environment["BLIND"], on.environment["PAY_TIMEOUT_S"]) == ("true", "2")
    assert "BLIND" not in start_of(shop, "pay", where, GROUND, blind).environment


def test_the_harness_logs_in_past_the_proxies() -> None:
    """What is read at the end must not depend on a link that may still be healing."""
    found = logins(SYSTEM, {"db": Address("db", 5432)}, settings(SYSTEM), GROUND.keys.passwords)
    assert found["pay"].address == Address("db", 5432)
    assert (found["pay"].user, found["pay"].password, found["pay"].database) == ("pay", "hidden", "pay")


def test_a_module_that_cannot_be_reset_starts_again_for_another_design() -> None:
    """Its file is read at the start only; one that takes a design by its endpoint goes on."""
    before = {"links": {}, "design": {"name": "plain"}, "seed": 1}
    other = {**before, "design": {"name": "other"}}
    moved = {**before, "links": {"db": {"port": 1}}}
    deaf = Endpoints(health="/health")
    assert restart_needed(before, other, deaf) and not restart_needed(before, other, CONTRACT)
    assert restart_needed(before, moved, CONTRACT)
    assert not restart_needed(before, {**before, "seed": 2}, deaf)
