"""Corruption: a share of a link's packets arrives damaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Corrupt, Effect
from experiment.units import Share
from faults.link_measures import RoundTrips, measure_link
from faults.on_links import OnLink
from faults.packet_measures import DEADLINE_S, ROUNDS, packet_effect, packets_unharmed, require_share


@dataclass(frozen=True, slots=True)
class Corruption(OnLink):
    """One bit of a packet on the way to the caller is flipped.

    Where checksums are verified TCP drops the packet and sends it again; else the damage reaches the caller.
    """

    kind: ClassVar[str] = "corruption"
    requires: ClassVar[str] = "corrupt"
    fault_class: ClassVar[str] = "lossy"

    share: Share
    """The part of packets that are damaged."""

    def __post_init__(self) -> None:
        require_share(self.share)

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Corrupt(self.share))

    def measure(self, controls: Controls, target: str) -> RoundTrips:
        return measure_link(controls, target, DEADLINE_S, ROUNDS)

    def judge(self, before: object, during: object) -> Effect:
        """The kernel counted packets that went through the damaging queue."""
        assert isinstance(before, RoundTrips)
        assert isinstance(during, RoundTrips)
        return packet_effect(before, during, "packets_treated", "through the damaging queue")

    def gone(self, before: object, after: object) -> Effect:
        """Nothing acts on packets, and both kinds of connection are answered again."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        return packets_unharmed(before, after)
