"""Where the services of a system are started from."""

from __future__ import annotations

from pathlib import Path

from runtimes.checkouts import ROOT, module_root


def test_services_of_another_checkout_are_its_own(tmp_path: Path) -> None:
    """The folder above the system's file that holds the module, be it a package or a file."""
    (tmp_path / "shop" / "services" / "cart").mkdir(parents=True)
    (tmp_path / "shop" / "services" / "till.py").touch()
    system = tmp_path / "shop" / "system.yaml"
    assert module_root(str(system), "shop.services.cart") == tmp_path
    assert module_root(str(system), "shop.services.till") == tmp_path


def test_a_system_without_services_beside_it_has_ours(tmp_path: Path) -> None:
    """A copy of a system file alone starts the project's own services."""
    assert module_root(str(tmp_path / "system.yaml"), "no_such_module_anywhere.services") == ROOT
    assert module_root("", "reference_system.services.checkin") == ROOT
