"""Who is asked for the token of an instance, and where it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.access import shown, with_token, without_token
from experiment.services import Service
from experiment.topology import Link, System
from runtimes.foreign import Ground, start_of
from runtimes.keys import Keys, asks_for_token, new_token
from runtimes.runtime import Address
from runtimes.service_files import callees, callers
from tests.standin.systems import settings

KEYS = Keys("0123abcd", {"probe": "hidden", "front": "other"})
FRONT = Service(module="front")
FOREIGN = Service(command=("run", "{bus}"))
KNOWING = replace(FOREIGN, environment={"BUS": "nats://{bus.token}@{bus}"})


def system(front: Service) -> System:
    return System(
        "mixed",
        {"front": front, "back": Service(module="back"), "bus": Service("bus"), "db": Service("store")},
        (Link("front", "back"), Link("front", "bus", "nats"), Link("back", "db", "postgres")),
        {},
        {},
    )


@pytest.mark.parametrize(
    ("front", "back", "bus"), [(FRONT, True, True), (FOREIGN, False, False), (KNOWING, False, True)]
)
def test_a_token_is_asked_for_where_every_caller_can_show_it(front: Service, back: bool, bus: bool) -> None:
    """A caller that knows nothing of the harness shows one only where its own file names it."""
    found = system(front)
    assert (asks_for_token(found, "back"), asks_for_token(found, "bus")) == (back, bus)
    assert not asks_for_token(found, "db")
    assert asks_for_token(found, "front") is (front is FRONT)


def test_a_module_is_told_the_token_of_what_it_calls() -> None:
    """Of services and of the bus; a store has a login."""
    found = system(FRONT)
    doors = {link.name: Address("proxy", 1) for link in found.links}
    told = callees(found, "front", doors, settings(found), KEYS)
    assert {name: one["token"] for name, one in told.items()} == {"back": KEYS.token, "bus": KEYS.token}


def test_each_link_of_two_modules_has_a_key_of_its_own() -> None:
    """The caller shows it, the callee knows whose it is; who has the token alone cannot make it."""
    found, keys = system(FRONT), replace(KEYS, root="of the instance")
    doors = {link.name: Address("proxy", 1) for link in found.links}
    shown = callees(found, "front", doors, settings(found), keys)["back"]["key"]
    assert callers(found, "back", keys) == {"front": shown}
    assert callers(found, "front", keys) == {}
    assert len({shown, keys.token, keys.of_caller("back", "front"), keys.secret_of("front")}) == 4
    assert callers(system(FOREIGN), "back", keys) == {}, "a foreign caller can show no key"


def test_a_service_that_names_the_token_gets_it() -> None:
    """In its variables, not in its arguments, unless its own file wants it there."""
    found = system(KNOWING)
    doors = {link.name: Address("proxy", 1) for link in found.links}
    begin = start_of(found, "front", Address("here", 2), Ground(doors, KEYS, "python3"), settings(found))
    assert begin.environment["BUS"] == "nats://0123abcd@proxy:1"
    assert begin.argv == ("run", "proxy:1")


def test_links_are_measured_with_what_lets_one_in() -> None:
    """The password of the measuring role, or the token of the callee."""
    found = system(FRONT)
    assert [KEYS.over(found, link) for link in found.links] == [KEYS.token, KEYS.token, "hidden"]


def test_no_representation_has_a_secret() -> None:
    """Values land in messages and logs."""
    address = Address("127.0.0.1", 8080, KEYS.token)
    assert not any(secret in f"{KEYS} {address} {address!r}" for secret in (KEYS.token, "hidden", "other"))
    assert new_token() != new_token()


def test_a_base_address_gives_its_token_back() -> None:
    """What is written down has none."""
    assert without_token(with_token("127.0.0.1", 80, "abc")) == ("http://127.0.0.1:80", "abc")
    assert without_token("http://[::1]:80") == ("http://[::1]:80", "")
    assert (shown("abc"), shown("")) == ({"x-access-token": "abc"}, {})
