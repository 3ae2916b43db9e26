"""Faults on packets are judged by the kernel's own count, never by a round trip alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.controls import Fault
from faults.corruption import Corruption
from faults.link_measures import RoundTrips
from faults.packet_loss import PacketLoss
from faults.packet_measures import plausible
from faults.reordering import Reordering
from tests.faults.link_probes import QUICK, SILENT, answered, trips


def counted(seen: RoundTrips, **measures: float) -> RoundTrips:
    """The same round trips on a link where a rule acts on packets."""
    return RoundTrips(tuple(replace(p, measures=measures) for p in seen.probes), seen.deadline_s)


LATE = trips(answered(0.21), existing=answered(0.22))


def test_loss_is_what_the_kernel_dropped() -> None:
    """A slow round trip without a dropped packet is no loss; a dropped packet is one, however quick."""
    fault = PacketLoss(0.2)
    effect = fault.judge(QUICK, counted(LATE, packets_dropped=7, packets_met=40))
    assert effect.seen
    assert effect.statement == "7 packets of 40 dropped; round trip 2.0 ms -> 210.0 ms"
    assert effect.existing_connections == "affected"
    assert not fault.judge(QUICK, LATE).seen
    assert not fault.judge(QUICK, counted(LATE, packets_dropped=0, packets_met=40)).seen


@pytest.mark.parametrize(
    ("dropped", "met", "seen"),
    [(1, 3, True), (20, 100, True), (3, 100, False), (45, 100, False), (9, 9, False)],
)
def test_loss_of_another_share_than_asked_for_is_no_proof(dropped: int, met: int, seen: bool) -> None:
    """At 20%: what chance gives less than once in a thousand draws is not this fault."""
    effect = PacketLoss(0.2).judge(QUICK, counted(LATE, packets_dropped=dropped, packets_met=met))
    assert effect.seen is seen
    assert ("would not do that" in effect.statement) is not seen


def test_the_bound_is_that_of_the_binomial_distribution() -> None:
    """By hand: of 10 packets at one half none is lost once in 1024 draws, one or none 11 times in 1024."""
    assert not plausible(0, 10, 0.5)
    assert plausible(1, 10, 0.5)
    assert plausible(50_000, 100_000, 0.5)
    assert not plausible(50_600, 100_000, 0.5)
    assert not plausible(3, 2, 0.5)


def test_an_older_connection_counts_as_hit_only_when_it_had_to_wait() -> None:
    """A packet of another connection may have been the one that was dropped."""
    effect = PacketLoss(0.01).judge(QUICK, counted(QUICK, packets_dropped=1, packets_met=60))
    assert effect.seen
    assert effect.existing_connections == "unknown"


@pytest.mark.parametrize("fault", [Corruption(0.1), Reordering(0.2, 0.05)], ids=lambda fault: fault.kind)
def test_damage_is_what_went_through_the_queue(fault: Fault) -> None:
    """Dropped packets of another fault are not taken for damaged ones."""
    assert fault.judge(QUICK, counted(QUICK, packets_dropped=0, packets_treated=12)).seen
    assert not fault.judge(QUICK, counted(QUICK, packets_dropped=12, packets_treated=0)).seen


def test_reordering_is_felt_by_an_older_connection_that_waits_for_the_delay() -> None:
    """Packets are held for the delay that was asked for, which may be far below a retransmission."""
    fault = Reordering(0.3, 0.02)
    held = counted(trips(answered(0.022), existing=answered(0.021)), packets_treated=12)
    assert fault.judge(QUICK, held).existing_connections == "affected"
    assert fault.judge(QUICK, counted(QUICK, packets_treated=12)).existing_connections == "unknown"


@pytest.mark.parametrize("fault", [PacketLoss(0.1), Corruption(0.1), Reordering(0.2)], ids=lambda f: f.kind)
def test_it_is_gone_when_no_rule_acts_and_both_connections_answer(fault: Fault) -> None:
    """A rule that has dropped nothing yet is still there."""
    assert fault.gone(QUICK, QUICK).seen
    assert not fault.gone(QUICK, counted(QUICK, packets_dropped=0, packets_treated=0)).seen
    assert not fault.gone(QUICK, trips(SILENT)).seen


def test_a_share_below_what_the_kernel_can_draw_is_refused() -> None:
    """It would be rounded to nothing: a fault that never acts."""
    with pytest.raises(ValueError, match=r"0\.004%.*expected 0\.01% to 90%"):
        PacketLoss(0.00004)
    assert PacketLoss(0.0001).share == 0.0001


@pytest.mark.parametrize("share", [0.0, 0.95, 1.0])
def test_a_share_that_is_no_loss_or_a_blackhole_is_refused(share: float) -> None:
    """Nothing lost is no fault; all lost is a blackhole, which has a kind of its own."""
    for kind in (PacketLoss, Corruption, Reordering):
        with pytest.raises(ValueError, match=r"expected (more than 0% and at most|0.01% to) 90%"):
            kind(share)
