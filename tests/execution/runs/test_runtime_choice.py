"""What a runtime cannot do is refused before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from execution.runs import runtime_choice
from execution.runs.runtime_choice import RuntimeChoice, refuse_unsupported
from experiment.errors import UnsupportedError, UsageError
from experiment.plan import Activation
from experiment.services import Endpoints, Service
from experiment.topology import Link, System
from faults.corruption import Corruption
from faults.latency import Latency
from faults.lost_response import LostResponse
from faults.reordering import Reordering

SHOP = System(
    "shop",
    {"a": Service(command=("a",)), "b": Service(image="b:1", endpoints=Endpoints(health="/h"))},
    (Link("a", "b"),),
    {},
    {},
    source="shop/system.yaml",
)


def can(_: frozenset[str]) -> Mapping[str, frozenset[str]]:
    return {"link": frozenset({"corrupt", "reorder", "delay"})}


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime with netem."""
    choice = RuntimeChoice(lambda *_: None, can, frozenset({"corrupt", "reorder"}))  # type: ignore[arg-type]
    monkeypatch.setitem(runtime_choice.LIVE_RUNTIMES, "containers", choice)


def plan(*faults: tuple[Any, float, float]) -> Any:
    """A plan of faults with their windows in seconds."""
    acting = tuple(
        Activation(f"f{number}", fault, "a -> b", start, end)
        for number, (fault, start, end) in enumerate(sorted(faults, key=lambda fault: fault[1]), 1)
    )
    specs = [SimpleNamespace(fault=fault, target="a -> b", where="x.yaml:1") for fault, _, _ in faults]
    return SimpleNamespace(
        scenario=SimpleNamespace(faults=specs), activations=acting, system=SHOP, operations=(), requests={}
    )


def test_two_faults_that_need_the_same_queue_at_once_are_refused() -> None:
    """The second would fail in the middle of a run, which is then invalid: it is said before."""
    with pytest.raises(UnsupportedError, match=r"reordering on a -> b at 5 s while corruption .* acts"):
        refuse_unsupported(plan((Corruption(0.1), 2.0, 6.0), (Reordering(0.1), 5.0, 8.0)), "containers")


def test_one_after_the_other_and_beside_other_faults_they_are_not() -> None:
    """Only what shares the queue must not overlap."""
    refuse_unsupported(plan((Corruption(0.1), 2.0, 5.0), (Reordering(0.1), 5.0, 8.0)), "containers")
    refuse_unsupported(plan((Corruption(0.1), 2.0, 6.0), (Latency(0.1), 3.0, 5.0)), "containers")


def test_a_service_without_the_endpoint_cannot_be_told_to_misbehave() -> None:
    """The endpoint is named, and a fault that needs none."""
    with pytest.raises(UnsupportedError) as error:
        refuse_unsupported(plan((LostResponse(0.2), 2.0, 5.0)), "containers")
    assert "x.yaml:1: found lost_response on a -> b, and b has no endpoint behaviour" in str(error.value)
    assert "services.b.endpoints.behaviour in the system's file" in str(error.value)


def test_processes_need_a_command() -> None:
    """A service that is only an image runs in containers alone."""
    with pytest.raises(
        UnsupportedError, match="found no command to start b with, expected one, or --runtime"
    ):
        refuse_unsupported(plan(), "processes")


def test_an_image_is_for_containers_only() -> None:
    """On processes it would be passed over silently."""
    with pytest.raises(UsageError, match="needs --runtime containers"):
        runtime_choice.choose("processes").make(None, None, "shop:1", None)  # type: ignore[arg-type]


def test_a_journey_without_a_request_is_refused_before_anything_starts() -> None:
    """It can be simulated; nobody can send it."""
    odd = plan()
    odd.operations = (SimpleNamespace(journey="browse"), SimpleNamespace(journey="buy"))
    odd.requests = {"buy": None}
    with pytest.raises(UnsupportedError, match="found the journey browse, expected one with a request"):
        refuse_unsupported(odd, "processes")
