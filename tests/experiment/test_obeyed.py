"""What a design tells a service to obey, and how two such accounts are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from execution.catalogue import default_catalogue
from experiment.design import Design, load_design
from experiment.obeyed import NOTHING, canonical, differences, digest_of, digest_of_rows, switch_of, wanted_of
from experiment.rows import Obeyed
from experiment.topology import System, load_system
from measurement.properties import KINDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shop() -> System:
    return load_system(ROOT / "examples/shop/system.yaml", KINDS)


def shop_design(shop: System, name: str) -> Design:
    return load_design(ROOT / f"examples/shop/designs/{name}.yaml", shop)


def test_a_module_is_to_show_its_switches_and_the_patterns_of_its_links() -> None:
    """Those that concern it, its database by name, and of stores and buses what acts there."""
    catalogue = default_catalogue()
    system = catalogue.system()
    wanted = wanted_of(system, catalogue.design("resilient", system))
    assert set(wanted) == {name for name, one in system.services.items() if one.is_code}
    pharmacy = wanted["pharmacy"]
    assert pharmacy["dispense_check"] == "reservation"
    assert pharmacy["database"] == "pharmacy"
    assert "saga" not in pharmacy
    assert pharmacy["pharmacy -> prescriptions: timeout"] == 0.8
    assert pharmacy["pharmacy -> bus: timeout"] == 2.0
    assert "pharmacy -> bus: breaker" not in pharmacy
    assert not any(name.startswith("prescriptions -> ") for name in pharmacy)


def test_a_shared_database_is_shown_by_its_name() -> None:
    """Where services share one, it is the one that they are to name."""
    catalogue = default_catalogue()
    system = catalogue.system()
    design = catalogue.design("fragile", system)
    design.services["billing"]["database"] = "shared"
    assert wanted_of(system, design)["billing"]["database"] == "shared"


def test_a_foreign_service_is_to_show_the_variables_that_the_design_decides(shop: System) -> None:
    """Not those with an address, which changes from start to start; what is off must not be set."""
    wanted = wanted_of(shop, shop_design(shop, "fixed"))
    assert wanted["orders"]["PAYMENTS_SEND_KEY"] == "true"
    assert "PAYMENTS_TIMEOUT_S" in wanted["orders"]
    assert "PAYMENTS_URL" not in wanted["orders"]
    assert wanted["stock"] == {}
    assert switch_of(shop, "orders", "PAYMENTS_SEND_KEY") == "charge_key (PAYMENTS_SEND_KEY)"
    assert switch_of(shop, "orders", "PAYMENTS_TIMEOUT_S") == "PAYMENTS_TIMEOUT_S"


@pytest.mark.parametrize(
    ("wanted", "shown", "found"),
    [
        ({"a": 1.0}, {"a": 1}, []),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": None}, {}, [("a", None, NOTHING)]),
        ({"a": {"b": 0.5, "c": None}}, {"a": {"c": None, "b": 0.5}, "more": 1}, []),
        ({"a": "on", "b": 2}, {"a": "off", "b": 2}, [("a", "on", "off")]),
    ],
)
def test_what_differs_is_named_with_both_values(
    wanted: dict[str, Any], shown: dict[str, Any], found: list[tuple[str, Any, Any]]
) -> None:
    """On is not one, and what is not shown is not off."""
    assert differences(wanted, shown) == found


def test_the_digest_does_not_depend_on_how_numbers_and_keys_are_written() -> None:
    """Two programs make the same one; on is not one."""
    assert digest_of({"b": 2.0, "a": {"y": 1, "x": None}}) == digest_of({"a": {"x": None, "y": 1.0}, "b": 2})
    assert digest_of({"a": 1}) != digest_of({"a": True})
    assert canonical({"b": 0.25, "a": "é"}) == '{"a":"é","b":0.25}'


def test_the_digest_of_a_run_is_of_what_was_shown_and_by_whom() -> None:
    """The same once or twice, in any order; another image is another run; nothing shown is nothing."""
    one, other = Obeyed(0.0, "a", "1" * 64), Obeyed(0.0, "b", "2" * 64)
    assert digest_of_rows([one, other]) == digest_of_rows([other, one, Obeyed(9.0, "a", "1" * 64)])
    assert digest_of_rows([one]) != digest_of_rows([Obeyed(0.0, "a", "1" * 64, image="sha256:1")])
    assert digest_of_rows([Obeyed(0.0, "a", "", trouble="no answer")]) == ""
