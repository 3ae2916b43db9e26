"""Callers that find proxies under the names of their callees, as processes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from experiment.children import run_child
from experiment.errors import StartError
from runtimes.processes import own_names
from runtimes.processes.own_names import HOSTS, covered, doors_of, way
from runtimes.runtime import Address
from tests.standin.strangers import LINK, by_name, strangers


@pytest.fixture(autouse=True)
def fresh() -> None:
    way.cache_clear()


def test_each_link_has_an_address_of_its_own_at_the_port_that_is_called() -> None:
    """Another address where somebody has that one."""
    first = doors_of(by_name())[LINK]
    assert first.port == 8080
    assert first.host.startswith("127.77.")
    with socket.create_server((first.host, first.port)):
        assert doors_of(by_name())[LINK].host != first.host
    assert doors_of(strangers()) == {}


def test_a_caller_sees_names_that_nobody_else_sees(tmp_path: Path) -> None:
    """Beside those of the machine; who calls nobody by name is left as it is."""
    try:
        way()
    except StartError as error:
        pytest.skip(str(error))
    doors = {LINK: Address("127.77.5.1", 8080)}
    prefix = covered(by_name(), "front", doors, tmp_path)
    said = run_child((*prefix, "cat", "/etc/hosts"), within_s=10.0).out
    assert said == f"127.77.5.1\tback\n{HOSTS.read_text()}"
    assert "127.77.5.1" not in HOSTS.read_text()
    assert covered(by_name(), "back", doors, tmp_path) == ()


def test_where_the_kernel_allows_it_to_nobody_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was tried last, and what would do instead."""
    monkeypatch.setattr(own_names, "WAYS", (("sh", "-c", "echo not permitted >&2; exit 1"),))
    with pytest.raises(StartError, match=r"not allowed here \(not permitted\); run as root, .* containers"):
        way()
