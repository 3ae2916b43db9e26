"""What all faults inside a service share: how they end, how they are watched, and which requests they met.

A callee plays them to its caller; the consumer of a bus, which is the caller of that link, to itself."""

from __future__ import annotations

from typing import ClassVar, Literal

from experiment.controls import Behaviour, Controls, Effect, Look
from faults.behaviour_measures import REQUESTS


class InCallee:
    """Base of every fault that a service itself plays, on a link of this protocol."""

    __slots__ = ()

    target_kind: ClassVar[Literal["behaviour"]] = "behaviour"
    protocol: ClassVar[str] = "http"
    things: ClassVar[tuple[str, str]] = REQUESTS
    done: ClassVar[str]  # what becomes of a request that is touched, for people

    @property
    def behaviour(self) -> Behaviour:
        """What the callee is told to do."""
        raise NotImplementedError

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.behaviour(target).behave(fault, self.behaviour)

    def heal(self, controls: Controls, target: str, fault: str) -> None:
        controls.behaviour(target).cease(fault)

    def ready(self, before: object) -> bool:
        """A callee that behaves already is told apart by what it says of itself."""
        return True

    def look(self, controls: Controls, target: str, fault: str) -> Look:
        """What the callee says of itself: the behaviour as it was set, and its counts."""
        probe = controls.behaviour(target).probe(type(self.behaviour))
        amiss = ""
        if probe.active is None:
            amiss = "it is not switched on"
        elif probe.active != self.behaviour:
            amiss = f"it is {probe.active}, expected {self.behaviour}"
        return Look(amiss, requests=probe.received, touched=probe.applied)

    def met(self, target: str, start: Look, now: Look) -> Effect:
        """Requests of the caller were touched. The callee counts those since it was switched on."""
        asked = None if now.requests is None else now.requests - (start.requests or 0)
        of_all = "" if asked is None else f" of {asked:,}"
        told = f"{target}: {now.touched:,}{of_all} {self.things[now.touched != 1]} {self.done}"
        measured: dict[str, float | str | bool | None] = {"met": now.touched, "requests": asked}
        if now.touched:
            return Effect(True, told, measured)
        quiet = f"no {self.things[0]} of it was touched" if asked else "carried nothing"
        return Effect(False, f"{target}: {quiet} while the fault lasted", measured)
