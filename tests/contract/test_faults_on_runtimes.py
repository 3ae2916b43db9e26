"""Every kind of fault on every runtime: it is seen to act, and after healing seen to be gone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import cast

import pytest

from experiment.controls import BehaviourControl, Controls, Effect, Fault, LinkControl, NodeControl
from experiment.errors import UnsupportedError
from faults import KINDS
from faults.bandwidth import Bandwidth
from faults.blackhole import Blackhole
from faults.clock_skew import ClockSkew
from faults.corruption import Corruption
from faults.cpu_limit import CpuLimit
from faults.crash import Crash
from faults.cut_short import CutShort
from faults.disk_full import DiskFull
from faults.error_share import ErrorShare
from faults.latency import Latency
from faults.lost_response import LostResponse
from faults.network_disconnect import NetworkDisconnect
from faults.out_of_memory import OutOfMemory
from faults.packet_loss import PacketLoss
from faults.pause import Pause
from faults.planned_change import PlannedChange
from faults.redelivery import Redelivery
from faults.refusal import Refusal
from faults.reordering import Reordering
from faults.reset import Reset
from faults.slow_processing import SlowProcessing
from faults.slow_tail import SlowTail
from faults.splitting import Splitting
from runtimes.links.controls import ToxiproxyReplaced
from tests.contract.conftest import LIVE, REFUSED
from tests.contract.ground import Ground, LiveGround

DEADLINE_S = 8.0
HTTP, SQL, EVENTS = "front -> back", "back -> postgres", "back -> bus"

CASES: list[tuple[Fault, str]] = [
    *((Latency(0.04), link) for link in (HTTP, SQL, EVENTS)),
    *((Latency(0.3, 0.1, "to_caller"), link) for link in (HTTP, SQL, EVENTS)),
    (Latency(0.2, direction="to_callee"), HTTP),
    (Latency(20.0, 1.0), HTTP),
    *((Bandwidth(100_000.0), link) for link in (HTTP, SQL, EVENTS)),
    (Bandwidth(50_000.0, "to_callee"), SQL),
    *((Blackhole(), link) for link in (HTTP, SQL, EVENTS)),
    (Blackhole("to_callee"), HTTP),
    (Blackhole("to_caller"), EVENTS),
    *((Refusal(), link) for link in (HTTP, SQL, EVENTS)),
    *((Reset(), link) for link in (HTTP, SQL, EVENTS)),
    *((Splitting(40.0, 0.01), link) for link in (HTTP, SQL)),
    *((CutShort(2_000.0), link) for link in (HTTP, SQL)),
    (LostResponse(0.5), HTTP),
    (SlowProcessing(0.05), HTTP),
    (SlowTail(0.05, 0.4).drawn(random.Random(1)), HTTP),
    (ErrorShare(0.5, 503), HTTP),
    (Redelivery(0.5, 0.2), EVENTS),
    *((Crash(), node) for node in ("back", "postgres", "bus")),
    *((Pause(), node) for node in ("back", "postgres", "bus")),
    *((PacketLoss(0.5), link) for link in (HTTP, SQL, EVENTS)),
    (PacketLoss(0.7, "to_callee"), HTTP),
    (PacketLoss(0.7, "to_caller"), SQL),
    (Corruption(0.3), HTTP),
    (Reordering(0.3, 0.02), HTTP),
    *((CpuLimit(0.1), node) for node in ("back", "postgres", "bus")),
    *((NetworkDisconnect(), node) for node in ("front", "back", "postgres", "bus")),
    (OutOfMemory(), "back"),
    *((DiskFull(), node) for node in ("postgres", "bus")),
    (ClockSkew(300.0), "back"),
    (ClockSkew(86_400.0, "behind"), "back"),
    (PlannedChange("new_tables"), "back"),
]


@pytest.fixture
def healed(ground: Ground) -> Iterator[Ground]:
    """Whatever a test did, the next one finds a system on which nothing is left of it."""
    assert list(ground.unhealed()) == []
    yield ground
    ground.heal()
    assert list(ground.unhealed()) == []


@pytest.fixture
def live(healed: Ground) -> LiveGround:
    """For what only a runtime with processes has; to be asked for with `only_live`."""
    return cast(LiveGround, healed)


only_live = pytest.mark.parametrize("ground", LIVE, indirect=True)


def until_seen(ground: Ground, judge: object, measure: object, *, healing: bool = False) -> Effect:
    """Poll a measurement until it is seen, on older connections too, or the deadline has passed.

    A single packet that is lost hits one connection only.
    """
    end = ground.now() + DEADLINE_S
    while True:
        effect: Effect = judge(measure())  # type: ignore[operator]
        if (effect.seen and (healing or effect.existing_connections == "affected")) or ground.now() > end:
            return effect
        ground.wait(0.05)


def told(case: object) -> str:
    fault, target = case  # type: ignore[misc]
    return f"{fault.kind} on {target}"  # type: ignore[has-type]


def control_of(controls: Controls, case: tuple[Fault, str]) -> LinkControl | NodeControl | BehaviourControl:
    """The control that a fault takes."""
    fault, target = case
    if fault.target_kind == "link":
        return controls.link(target)
    return controls.node(target) if fault.target_kind == "node" else controls.behaviour(target)


@pytest.mark.parametrize("case", CASES, ids=told)
def test_a_fault_acts_and_heals_and_both_are_measured(
    case: tuple[Fault, str], healed: Ground, request: pytest.FixtureRequest
) -> None:
    """No effect before, an effect while it is active, on existing connections too, and none after healing.

    What a runtime is not capable of is refused by name, and nothing is injected; the summary tells of it.
    """
    fault, target = case
    controls = healed.controls()
    if fault.requires not in control_of(controls, case).capabilities:
        with pytest.raises(UnsupportedError, match=target):
            fault.inject(controls, target, "f1")
        assert list(healed.unhealed()) == []
        runtime = request.node.callspec.params["ground"]
        request.node.user_properties.append((REFUSED, f"{runtime}: {told(case)}"))
        return
    before = fault.measure(controls, target)
    unharmed = fault.judge(before, fault.measure(controls, target))
    assert not unharmed.seen, f"an effect was seen before the fault: {unharmed.statement}"

    start = fault.look(controls, target, "f1")
    assert start.amiss, "a fault that is not injected cannot be in force"
    fault.inject(controls, target, "f1")
    fault.inject(controls, target, "f1")
    active = until_seen(healed, lambda now: fault.judge(before, now), lambda: fault.measure(controls, target))
    assert active.seen, active.statement
    assert active.existing_connections == "affected", active.statement
    assert list(healed.unhealed()), "an active fault must show when the system is read back"
    if target not in (SQL, EVENTS):  # the stand-in's services use neither: a look would find nobody
        met = until_seen(
            healed,
            lambda look: fault.met(target, start, look),
            lambda: fault.look(controls, target, "f1"),
            healing=True,
        )
        assert met.seen, met.statement
    assert fault.look(controls, target, "f1").amiss == ""

    fault.heal(controls, target, "f1")
    fault.heal(controls, target, "f1")
    gone = until_seen(
        healed, lambda now: fault.gone(before, now), lambda: fault.measure(controls, target), healing=True
    )
    assert gone.seen, gone.statement
    assert fault.look(controls, target, "f1").amiss, "a fault that is healed is not in force"
    assert list(healed.unhealed()) == []
    assert healed.serves(DEADLINE_S), "a client's work, from the front door on, is done again"


def test_every_registered_kind_is_under_contract() -> None:
    """A new fault kind joins this contract, or this test fails."""
    assert {fault.kind for fault, _ in CASES} == set(KINDS)


def test_two_faults_on_one_link_heal_apart(healed: Ground) -> None:
    """Healing one fault leaves the other one of the same link as it is."""
    controls = healed.controls()
    slow, thin = Latency(0.1), Bandwidth(100_000.0)
    before = slow.measure(controls, HTTP)
    slow.inject(controls, HTTP, "f1")
    thin.inject(controls, HTTP, "f2")
    thin.heal(controls, HTTP, "f2")
    assert slow.judge(before, slow.measure(controls, HTTP)).seen
    slow.heal(controls, HTTP, "f1")
    assert slow.gone(before, slow.measure(controls, HTTP)).seen


def test_a_refusal_lasts_until_its_last_fault_is_healed(healed: Ground) -> None:
    """Two overlapping refusals of one link do not end with the first of them."""
    controls, fault = healed.controls(), Refusal()
    before = fault.measure(controls, HTTP)
    fault.inject(controls, HTTP, "f1")
    fault.inject(controls, HTTP, "f2")
    fault.heal(controls, HTTP, "f1")
    assert fault.judge(before, fault.measure(controls, HTTP)).seen
    fault.heal(controls, HTTP, "f2")
    assert fault.gone(before, fault.measure(controls, HTTP)).seen


def test_a_crash_gives_the_node_another_identity_and_a_pause_does_not(healed: Ground) -> None:
    """What runs after a crash is another process; what runs after a pause is the same."""
    controls = healed.controls()
    node = controls.node("back")
    first = node.probe(1.0).identity
    Pause().inject(controls, "back", "f1")
    Pause().heal(controls, "back", "f1")
    assert node.probe(1.0).identity == first
    Crash().inject(controls, "back", "f2")
    assert node.probe(1.0).state == "absent"
    Crash().heal(controls, "back", "f2")
    assert node.probe(1.0).identity != first


@only_live
def test_heal_undoes_what_nobody_healed(live: LiveGround) -> None:
    """One call brings back links, nodes and behaviours, whatever was done to them."""
    controls = live.runtime.controls()
    Blackhole().inject(controls, SQL, "f1")
    Refusal().inject(controls, HTTP, "f2")
    LostResponse(1.0).inject(controls, HTTP, "f3")
    Pause().inject(controls, "front", "f4")
    Crash().inject(controls, "bus", "f5")
    assert len(list(live.runtime.unhealed())) >= 4
    live.runtime.heal()
    assert list(live.runtime.unhealed()) == []


@only_live
def test_a_toxiproxy_that_hangs_is_replaced_and_no_fault_outlives_it(live: LiveGround) -> None:
    """Whether a fault or a heal meets it: what was asked for is done on another server, which is said, since
    every connection was cut; a fault on packets acts there too."""
    controls = live.runtime.controls()
    slow = Latency(0.1)
    before = slow.measure(controls, HTTP)
    lossy = PacketLoss(0.3) if "loss" in controls.link(SQL).capabilities else None
    if lossy:
        lossy.inject(controls, SQL, "f0")
    live.hang_toxiproxy()
    with pytest.raises(ToxiproxyReplaced, match="every connection of every link"):
        slow.inject(controls, HTTP, "f1")
    assert slow.judge(before, slow.measure(controls, HTTP)).seen
    if lossy:
        assert any("dropped" in remains for remains in live.runtime.unhealed())
        lossy.heal(controls, SQL, "f0")
    live.hang_toxiproxy()
    live.runtime.heal()
    assert list(live.runtime.unhealed()) == []
    assert slow.gone(before, slow.measure(controls, HTTP)).seen


@only_live
def test_a_target_that_is_not_there_is_refused_by_name(live: LiveGround) -> None:
    """An unknown link or service, or a behaviour of a store, is refused with the nearest right name."""
    controls = live.runtime.controls()
    with pytest.raises(UnsupportedError, match=r'found no link "front -> bak": did you mean "front -> back"'):
        controls.link("front -> bak")
    with pytest.raises(UnsupportedError, match='found no service "bak": did you mean "back"'):
        controls.node("bak")
    with pytest.raises(UnsupportedError, match="no callee that can be told to misbehave"):
        controls.behaviour(SQL)
