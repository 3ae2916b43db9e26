"""The plan's load as a file of JSON lines: what the load process reads. First a head, then one array an
operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import msgspec

from experiment.errors import UnsupportedError, nearest
from experiment.plan import Plan, PlannedOperation
from load.journeys import JOURNEYS


@dataclass(frozen=True, slots=True)
class Part:
    """One journey as the client needs it: base address of its entry service, patience in seconds."""

    endpoint: str
    patience: float
    writes: bool


@dataclass(frozen=True, slots=True)
class Head:
    """`load_end` in seconds since the run's zero; `history` is the file to append to; `day` an ISO date."""

    run_id: str
    load_end: float
    history: str
    day: str
    parts: dict[str, Part]


@dataclass(frozen=True, slots=True)
class Script:
    head: Head
    operations: tuple[PlannedOperation, ...]


_FIELDS = tuple(f.name for f in fields(PlannedOperation))


def write_script(plan: Plan, endpoints: Mapping[str, str], history: Path, day: str, path: Path) -> None:
    """`endpoints`: service name to base address such as http://127.0.0.1:41001. Raises UnsupportedError when
    a journey of the plan has no request, or its entry service no address."""
    parts: dict[str, Part] = {}
    for name in sorted({op.journey for op in plan.operations}):
        journey = plan.system.journeys[name]
        if name not in JOURNEYS:
            raise UnsupportedError(
                f"{plan.system.source}: found the journey {name}, expected one that can be sent; "
                f"{nearest(name, JOURNEYS)}"
            )
        if journey.entry not in endpoints:
            raise UnsupportedError(
                f"journey {name}: found no address of its entry service {journey.entry}, "
                f"expected one of each; known: {', '.join(sorted(endpoints))}"
            )
        parts[name] = Part(endpoints[journey.entry], journey.patience, journey.writes)
    head = Head(plan.run_id, plan.load_end_s, str(history), day, parts)
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.write(encode(head) + b"\n")
        file.writelines(encode([getattr(op, name) for name in _FIELDS]) + b"\n" for op in plan.operations)


def read_script(path: Path, shard: int = 0, shards: int = 1) -> Script:
    """The script, or the share of it that falls to worker `shard` of `shards`: whole visits, by their
    number."""
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        head = msgspec.json.decode(next(file), type=Head)
        operations = tuple(PlannedOperation(*decode(line)) for line in file)
    return Script(head, tuple(op for op in operations if op.visit % shards == shard))
