"""Reordering: a share of a link's packets overtakes the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect, Reorder
from experiment.units import Duration, Share
from faults.link_measures import RoundTrips, measure_link, typical
from faults.on_links import OnLink
from faults.packet_measures import DEADLINE_S, ROUNDS, packet_effect, packets_unharmed, require_share


@dataclass(frozen=True, slots=True)
class Reordering(OnLink):
    """Packets on the way to the caller are held for `delay`, but for a share that overtakes them.

    TCP puts them in order again: what a service sees is the wait.
    """

    kind: ClassVar[str] = "reordering"
    requires: ClassVar[str] = "reorder"
    fault_class: ClassVar[str] = "lossy"

    share: Share
    """The part of packets that overtake the others."""
    delay: Duration = 0.02
    """How long the others are held."""

    def __post_init__(self) -> None:
        require_share(self.share)

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).impair(fault, Reorder(self.share, self.delay))

    def measure(self, controls: Controls, target: str) -> RoundTrips:
        return measure_link(controls, target, DEADLINE_S, ROUNDS)

    def judge(self, before: object, during: object) -> Effect:
        """The kernel counted packets that went through the reordering queue; an older connection was hit
        when a round trip over it waited for at least half the delay."""
        assert isinstance(before, RoundTrips)
        assert isinstance(during, RoundTrips)
        late_s = (typical(before.existing) or 0.0) + self.delay / 2
        return packet_effect(before, during, "packets_treated", "through the reordering queue", late_s)

    def gone(self, before: object, after: object) -> Effect:
        """Nothing acts on packets, and both kinds of connection are answered again."""
        assert isinstance(before, RoundTrips)
        assert isinstance(after, RoundTrips)
        return packets_unharmed(before, after)
