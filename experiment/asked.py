"""What a plan asked for, small enough to be kept beside a run: a finished history is held against it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiment.libraries import np
from experiment.plan import Plan, PlannedPhase
from experiment.values import to_plain

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class AskedFault:
    """One activation; times in seconds since the run's zero."""

    id: str
    kind: str
    target: str
    start_s: float
    end_s: float
    parameters: Mapping[str, Any] = field(default_factory=dict)  # those of the fault, with its `kind`


@dataclass(frozen=True, slots=True)
class Asked:
    """`digest` is that of all planned operations, see `operations_digest`; `design` what every service that
    can show it is to obey, see `experiment/obeyed.py`."""

    operations: int
    digest: str
    phases: tuple[PlannedPhase, ...]
    faults: tuple[AskedFault, ...]
    design: Mapping[str, Mapping[str, Any]]


def asked_of(plan: Plan, design: Mapping[str, Mapping[str, Any]]) -> Asked:
    """The same for the same plan, and the same `design` that its services are to show."""
    ordered = sorted(plan.operations, key=lambda op: op.id)
    return Asked(
        operations=len(ordered),
        digest=operations_digest(
            np.fromiter((op.id for op in ordered), np.int64, len(ordered)),
            np.fromiter((op.at_s for op in ordered), np.float64, len(ordered)),
            (op.journey for op in ordered),
            (op.key for op in ordered),
        ),
        phases=plan.phases,
        faults=tuple(
            AskedFault(
                acting.id,
                acting.fault.kind,
                acting.target,
                acting.start_s,
                acting.end_s,
                to_plain(acting.fault),
            )
            for acting in plan.activations
        ),
        design=design,
    )


def operations_digest(
    ids: npt.NDArray[np.int64], starts: npt.NDArray[np.float64], journeys: Iterable[str], keys: Iterable[str]
) -> str:
    """SHA-256 over ids, intended starts (s), journeys and keys of operations in the order of their ids."""
    digest = hashlib.sha256(ids.tobytes())
    digest.update(starts.tobytes())
    for texts in (journeys, keys):
        digest.update("\n".join(texts).encode())
    return digest.hexdigest()
