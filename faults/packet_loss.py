"""Packet loss: a share of a link's packets never arrives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from experiment.controls import Controls, Direction, Effect, Loss
from experiment.units import Share
from faults.link_measures import RoundTrips, measure_link
from faults.on_links import OnLink
from faults.packet_measures import DEADLINE_S, ROUNDS, hit, packet_effect, packets_unharmed, plausible

LEAST_SHARE = 0.0001  # the kernel draws from ten thousand numbers


@dataclass(frozen=True, slots=True)
class PacketLoss(OnLink):
    """The kernel drops packets at random; TCP sends them again, later and later: round trips get a long tail.

    `to_callee` drops what the caller sends to the link's proxy, `to_caller` what comes back to it. The draws
    are the kernel's own and not seeded.
    """

    kind: ClassVar[str] = "packet_loss"
    requires: ClassVar[str] = "loss"
    fault_class: ClassVar[str] = "lossy"

    share: Share
    """The part of packets that are dropped."""
    direction: Direction = "both"
    """The way on which they are dropped."""

    def __post_init__(self) -> None:
        if not LEAST_SHARE <= self.share <= 0.9:
            raise ValueError(f"a share of {self.share:.3%} of the packets; expected 0.01% to 90%")

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Loss(self.share, self.direction))

    def measure(self, controls: Controls, target: str) -> RoundTrips:
        return measure_link(controls, target, DEADLINE_S, ROUNDS)

    def judge(self, before: object, during: object) -> Effect:
        """The kernel dropped packets, and as many of those that came by as chance explains at this share."""
        assert isinstance(before, RoundTrips)
        assert isinstance(during, RoundTrips)
        met = hit(during, "packets_met")
        likely = plausible(hit(during, "packets_dropped"), met, self.share)
        effect = packet_effect(before, during, "packets_dropped", f"of {met} dropped")
        measured = {**effect.measured, "packets_met": float(met)}
        if effect.seen and not likely:
            told = f"{effect.statement}; a share of {self.share:.2%} would not do that"
            return Effect(False, told, measured, effect.existing_connections)
        return replace(effect, measured=measured)

    def gone(self, before: object, after: object) -> Effect:
        """Nothing acts on packets, and both kinds of connection are answered again."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        return packets_unharmed(before, after)
