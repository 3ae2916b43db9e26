"""The lines of a history, a frozen value for each kind. Times are seconds since the run's zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import msgspec

FORMAT = 1
FINAL_READ = "final_read"  # journey of the last look at a key through its own API, after settling
ABSENT = "absent"  # value of a final read that found nothing
GENERAL_MODELS = "general_models"  # sample of a simulated run whose services keep nothing: no safety is known
MACHINE = "machine"  # source of the samples of what the machine did meanwhile
LEFT_OUT = "final_reads_left_out"  # sample of the final reads: how many of those due were not made
RECORDS_READ = "records_read"  # sample of a store that was read in the end: how many records it gave

Outcome = Literal["acknowledged", "rejected", "indeterminate"]


@dataclass(frozen=True, slots=True)
class Header:
    """First line of a history: what was run, where and with what. `source` is the runtime's name."""

    TAG: ClassVar[str] = "header"
    format: int  # the version of this format; it counts up when a reader would have to change
    run_id: str  # the name of the run and of its folder
    source: str  # the runtime: processes, containers or simulation
    scenario: str  # the name of the scenario
    design: str  # the name of the design
    system: str  # the name of the system
    seed: int  # the seed of every random choice
    started_at: str  # when it started, as ISO 8601
    zero_wall: float  # unix seconds of t = 0
    population: str = ""  # whom the operations are about
    toxiproxy: str = ""  # which server the links ran through, with its version
    versions: Mapping[str, str] = field(default_factory=dict)  # the versions of the libraries
    git: str = ""  # the commit of the project
    command: str = ""  # the command that plays the run again
    calibration: str = ""  # of a simulated run: the calibration file and its age
    clock_scale: float = 1.0  # how many times faster long business times ran


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a journey as its user saw it.

    `outcome` comes from the table in experiment/outcomes.py. `version` is the version read or written,
    `value` the value or state, `label` what the answer said of itself (pending, cached, stale, held), `age`
    its labelled age in seconds. `sent` is None when the operation was never sent (what it needs had failed).
    """

    TAG: ClassVar[str] = "op"
    id: int
    journey: str
    key: str
    intended: float
    sent: float | None
    ended: float
    outcome: Outcome
    status: int | None = None
    error: str | None = None
    trace: str | None = None
    version: int | None = None
    expected_version: int | None = None  # If-Match of a write
    value: str | None = None
    label: str | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a system of record, read after settling. `store` is the service that owns it."""

    TAG: ClassVar[str] = "record"
    store: str
    kind: str
    key: str
    id: str | None = None
    t: float | None = None
    version: int | None = None
    status: str | None = None
    amount: float | None = None
    value: str | None = None
    caller: str | None = None


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    """A phase as it was played."""

    TAG: ClassVar[str] = "phase"
    name: str  # the name of the phase
    start: float  # seconds from the start of the run to that of the phase
    end: float | None = None
    """Seconds from the start of the run to the end of the phase; none: it was cut off."""


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """`event`: inject, active (effect seen), no_effect, heal, healed (effect gone), not_healed, failed.
    From its injection until its heal, more than twice a second: still_active, or faded (not in force any
    more). These looks are numbered, and the heal says how many there were. `parameters` of an injection are
    those of the fault, with its `kind`."""

    TAG: ClassVar[str] = "fault"
    fault: str
    kind: str
    target: str
    event: Literal[
        "inject", "active", "no_effect", "still_active", "faded", "heal", "healed", "not_healed", "failed"
    ]
    t: float
    planned: float
    statement: str = ""
    existing_connections: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one counter or gauge: source `front`, name `attempts`, about `back`."""

    TAG: ClassVar[str] = "sample"
    t: float
    source: str
    name: str
    value: float
    about: str = ""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One second of the load generator's own account: operations due and sent, and how late they were
    sent."""

    TAG: ClassVar[str] = "load"
    t: float
    worker: int
    offered: int
    achieved: int
    lag_p50: float
    lag_p99: float
    lag_max: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a report must know. `level` invalid makes the run invalid; violation is one of
    the property `about`, seen in an earlier attempt of this run: it counts as one seen in this attempt."""

    TAG: ClassVar[str] = "note"
    t: float  # seconds since the start of the run
    level: Literal["info", "warning", "invalid", "violation"]
    """How serious it is; `invalid` makes the run invalid."""
    text: str  # what it says
    about: str = ""  # the property that a violation is of


@dataclass(frozen=True, slots=True)
class Obeyed:
    """What one service showed of the design that it obeys, read back after the reset and at the end: its
    switches and the patterns of its links, or the variables and arguments that it was started with."""

    TAG: ClassVar[str] = "design"
    t: float  # seconds since the start of the run
    service: str  # the name of the service
    digest: str  # SHA-256 of `obeys`; empty: it did not show it
    obeys: Mapping[str, Any] = field(default_factory=dict)  # name to value
    image: str = ""  # in containers: the digest of the image that runs
    trouble: str = ""  # why nothing was shown, or why that is not to be believed


@dataclass(frozen=True, slots=True)
class End:
    """Last line: a history without it was cut off. Its tally tells when a line got lost."""

    TAG: ClassVar[str] = "end"
    t: float  # seconds since the start of the run
    reason: Literal["completed", "interrupted", "failed", "aborted"]  # why it ended
    clean: bool  # whether everything was healed and stopped that this run had to
    statement: str = ""  # what was left, or what failed
    tally: Mapping[str, int] = field(default_factory=dict)  # how many lines of each type stand before it
    signal: str | None = None  # the name of the signal that interrupted it, such as SIGTERM
    run_id: str = ""  # as in the header


Row = Header | Operation | Record | PhaseEvent | FaultEvent | Sample | LoadReport | Note | Obeyed | End


def tally_of(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows of each type there are, the end left out."""
    return dict(Counter(row.TAG for row in rows if not isinstance(row, End)))


_ENCODER = msgspec.json.Encoder()
_FIELDS: dict[type, tuple[str, ...]] = {
    cls: tuple(f.name for f in fields(cls))
    for cls in (Header, Operation, Record, PhaseEvent, FaultEvent, Sample, LoadReport, Note, Obeyed, End)
}


def encode(row: Row) -> bytes:
    """One line with its newline. None fields are left out."""
    plain: dict[str, Any] = {"type": row.TAG}
    for name in _FIELDS[type(row)]:
        value = getattr(row, name)
        if value is not None:
            plain[name] = value
    return _ENCODER.encode(plain) + b"\n"
