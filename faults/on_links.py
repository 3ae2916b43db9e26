"""What all faults on links share: how they end, how they are watched, and what of the caller's traffic they
met."""

from __future__ import annotations

from statistics import median
from typing import ClassVar, Literal

from experiment.controls import Controls, Direction, Effect, Look, Traffic
from experiment.units import noun
from faults.link_measures import RoundTrips, answers


class OnLink:
    """Base of every fault that a link's control takes."""

    __slots__ = ()

    target_kind: ClassVar[Literal["link"]] = "link"

    def heal(self, controls: Controls, target: str, fault: str) -> None:
        controls.link(target).restore(fault)

    def ready(self, before: object) -> bool:
        """Both kinds of connection were answered."""
        return isinstance(before, RoundTrips) and answers(before)

    def look(self, controls: Controls, target: str, fault: str) -> Look:
        """Read back at the proxy, or in the kernel; and what the caller's own connections carried so far."""
        control = controls.link(target)
        return Look(control.amiss(fault), control.traffic())

    def met(self, target: str, start: Look, now: Look) -> Effect:
        """The caller's bytes went over the link while the fault lasted. Of one that acts on the way to the
        callee only, bytes that went that way."""
        traffic = traffic_between(start, now)
        direction: Direction = getattr(self, "direction", "both")
        count = traffic.to_callee if direction == "to_callee" else traffic.carried
        measured = traffic_figures(traffic, count)
        return Effect(count > 0, carried(target, traffic) if count else nothing(target), measured)


def traffic_between(start: Look, now: Look) -> Traffic:
    """What was carried between two looks. The connections that were open before are the caller's too."""
    assert start.traffic is not None
    assert now.traffic is not None
    return now.traffic.since(start.traffic)


def nothing(target: str) -> str:
    """The sentence on a fault that nobody met."""
    return f"{target} carried nothing while the fault lasted"


def carried(target: str, traffic: Traffic) -> str:
    """Bytes of the caller's connections, for people."""
    back = "none back" if not traffic.to_caller else f"{traffic.to_caller:,} back"
    return f"{target}: its caller sent {noun(traffic.to_callee, 'byte')} and got {back}"


def traffic_figures(traffic: Traffic, count: int) -> dict[str, float | str | bool | None]:
    """The measurement behind it. `met` is what the judgement needs: more than 0."""
    return {
        "met": count,
        "connections": traffic.connections,
        "open": traffic.open,
        "to_callee_bytes": traffic.to_callee,
        "to_caller_bytes": traffic.to_caller,
        "exchanges": traffic.answered,
        "exchange_s": median(traffic.took) if traffic.answered else None,
        "waiting_s": max(traffic.waiting, default=None),
    }
