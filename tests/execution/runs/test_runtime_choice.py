"""What a runtime cannot do is refused before anything is started."""

from __future__ import annotations

import random
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
from experiment.variants import Variant
from faults.corruption import Corruption
from faults.latency import Latency
from faults.lost_response import LostResponse
from faults.reordering import Reordering
from faults.slow_tail import SlowTail

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
        scenario=SimpleNamespace(faults=specs),
        activations=acting,
        system=SHOP,
        operations=(),
        requests={},
        design=SimpleNamespace(variants={}),
    )


def test_two_faults_that_need_the_same_queue_at_once_are_refused() -> None:
    """The second would fail in the middle of a run, which is then invalid: it is said before."""
    with pytest.raises(UnsupportedError, match=r"reordering on a -> b at 5 s while corruption .* acts"):
        refuse_unsupported(plan((Corruption(0.1), 2.0, 6.0), (Reordering(0.1), 5.0, 8.0)), "containers")


def test_one_after_the_other_and_beside_other_faults_they_are_not() -> None:
    """Only what shares the queue must not overlap."""
    refuse_unsupported(plan((Corruption(0.1), 2.0, 5.0), (Reordering(0.1), 5.0, 8.0)), "containers")
    refuse_unsupported(plan((Corruption(0.1), 2.0, 6.0), (Latency(0.1), 3.0, 5.0)), "containers")


def test_a_proxy_plays_what_a_service_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the embedded server; on the original it is refused by name, with what comes near."""
    lost = plan((LostResponse(0.2), 2.0, 5.0))

    def able_to(*, know: bool) -> None:
        choice = RuntimeChoice(
            lambda *_: None,  # type: ignore[arg-type]  # a stand-in
            lambda _: {"behaviour": frozenset({"lost_response"})},
            proxies_know=lambda: know,
        )
        monkeypatch.setitem(runtime_choice.LIVE_RUNTIMES, "containers", choice)

    able_to(know=True)
    refuse_unsupported(lost, "containers")
    able_to(know=False)
    with pytest.raises(UnsupportedError) as error:
        refuse_unsupported(lost, "containers")
    assert "x.yaml:1: found lost_response on a -> b, and b has no endpoint behaviour" in str(error.value)
    assert "TOXIPROXY_SERVER=embedded" in str(error.value)
    assert "cut_short with `direction: to_caller`" in str(error.value)


def test_what_no_proxy_plays_needs_the_endpoint() -> None:
    """The endpoint is named, and a fault that needs none."""
    slow_tail = SlowTail(0.05, 0.4).drawn(random.Random(1))
    with pytest.raises(UnsupportedError) as error:
        refuse_unsupported(plan((slow_tail, 2.0, 5.0)), "containers")
    assert "found slow_tail on a -> b, and b has no endpoint behaviour" in str(error.value)
    assert "services.b.endpoints.behaviour in the system's file" in str(error.value)


def test_images_of_a_design_need_containers() -> None:
    """A process is started from no image: what was asked could not be read back."""
    asked = plan()
    asked.design = SimpleNamespace(name="d", source="d.yaml", variants={"a": Variant("a:2")})
    with pytest.raises(UnsupportedError, match=r"d.yaml: found the image a:2 of a on the runtime processes"):
        refuse_unsupported(asked, "processes")
    refuse_unsupported(asked, "containers")


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
