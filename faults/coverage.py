"""Coverage: at which places a system can be hit by which classes of faults, and which of them were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from experiment.topology import System
from faults import KINDS

Covered = frozenset[tuple[str, str]]  # place (a link or a service) and fault class


def coverable(system: System) -> Covered:
    """Every place with every class that some kind of fault has there, on whatever runtime."""
    return frozenset((place, kind.fault_class) for kind in _kinds() for place in _places(kind, system))


def covered(exercised: Iterable[tuple[str, str]], system: System) -> Covered:
    """Of pairs of target and kind those that exist: always a part of `coverable`."""
    pairs = set(exercised)
    return frozenset(
        (place, kind.fault_class)
        for kind in _kinds()
        for place in _places(kind, system)
        if (place, kind.kind) in pairs
    )


def _kinds() -> list[Any]:
    """The registry's classes, with their class variables."""
    return list(KINDS.values())


def _places(kind: Any, system: System) -> list[str]:
    if kind.target_kind == "node":
        return [name for name, service in system.services.items() if service.role in kind.roles]
    inside = kind.target_kind == "behaviour"  # acts in the callee, which must be ours
    return [link.name for link in system.links if link.protocol == "http" or not inside]
