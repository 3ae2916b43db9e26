"""Variants: images and variables by design, how they reach a start, and what must be shown of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution.catalogue import read_system
from experiment.design import Design, differences, load_design
from experiment.errors import ConfigError, UsageError
from experiment.obeyed import started_with
from experiment.services import Service
from experiment.variants import Variant, images_in, with_images

ROOT = Path(__file__).resolve().parents[2]
SHOP = read_system(ROOT / "examples" / "shop" / "system.yaml")
RELEASE = """
name: release
extends: as_it_is
variants:
  orders: {image: "shop/orders:1.5", environment: {PAYMENTS_SEND_KEY: "true", LOG: debug}}
"""


def load(folder: Path, text: str) -> Design:
    path = folder / "release.yaml"
    path.write_text(text)
    return load_design(path, SHOP)


def test_a_variant_is_what_its_service_is_started_with(tmp_path: Path) -> None:
    """Its variables go before those of switches, and nothing of it goes to modules over the wire."""
    design = load(tmp_path, RELEASE)
    assert design.variants == {
        "orders": Variant("shop/orders:1.5", {"PAYMENTS_SEND_KEY": "true", "LOG": "debug"})
    }
    assert design.environment(SHOP, "orders")["PAYMENTS_SEND_KEY"] == "true"
    assert "LOG" not in design.environment(SHOP, "stock")
    assert "variants" not in design.to_wire()
    wanted = started_with(SHOP, design, "orders")
    assert (wanted["its image"], wanted["LOG"]) == ("shop/orders:1.5", "debug")
    assert started_with(SHOP, design, "stock").get("its image") is None


def test_a_variant_goes_upon_that_of_its_base(tmp_path: Path) -> None:
    """Image and single variables of the later file win; the others stay."""
    load(tmp_path, RELEASE)
    later = tmp_path / "later.yaml"
    later.write_text("name: later\nextends: release\nvariants: {orders: {environment: {LOG: info}}}\n")
    (variant,) = load_design(later, SHOP).variants.values()
    assert variant == Variant("shop/orders:1.5", {"PAYMENTS_SEND_KEY": "true", "LOG": "info"})


def test_two_designs_differ_in_their_variants(tmp_path: Path) -> None:
    """A comparison says which image and which variable."""
    plain = load_design(ROOT / "examples/shop/designs/as_it_is.yaml", SHOP)
    told = differences(plain, load(tmp_path, RELEASE))
    assert "orders: its image as the system's file says -> shop/orders:1.5" in told
    assert "orders: LOG as the system's file says -> debug" in told


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ("{ordrs: {image: x}}", 'found the unknown service "ordrs", expected a service of the system'),
        ("{postgres: {image: x}}", "found a variant of postgres, which is a store"),
        ("{orders: {imag: x}}", 'found the unknown key "imag"'),
        ('{orders: {environment: {URL: "http://{stock}"}}}', 'found the placeholder "{stock}"'),
        ("[orders]", "expected a mapping from service to its image and environment"),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, variants: str, said: str) -> None:
    """Unknown services and keys, services that have no image of their own, and placeholders."""
    with pytest.raises(ConfigError) as error:
        load(tmp_path, f"name: wrong\nvariants: {variants}\n")
    assert said in str(error.value)
    assert "release.yaml:2:" in str(error.value)


def test_images_are_typed_by_service() -> None:
    """One image alone is none of a single service; what cannot be read is refused."""
    assert images_in("shop:1") == {}
    assert images_in("orders=shop/orders:1.4, stock=stock:2") == {
        "orders": "shop/orders:1.4",
        "stock": "stock:2",
    }
    for wrong in ("orders=", "=x", "orders=a,orders=b", "orders=a,"):
        with pytest.raises(UsageError, match="expected SERVICE=IMAGE"):
            images_in(wrong)


def test_typed_images_go_before_those_of_the_design() -> None:
    """Of a service that has none of its own they are refused, with the nearest name."""
    variants = {"orders": Variant("shop/orders:1.5", {"LOG": "debug"})}
    found = with_images(variants, {"orders": "shop/orders:1.4"}, SHOP.services)
    assert found == {"orders": Variant("shop/orders:1.4", {"LOG": "debug"})}
    with pytest.raises(UsageError, match=r'found the image order=x.*did you mean "orders"'):
        with_images({}, {"order": "x"}, SHOP.services)
    with pytest.raises(UsageError, match="found the image front=x"):
        with_images({}, {"front": "x"}, {"front": Service(module="front")})
