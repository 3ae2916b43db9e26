"""What a live runtime offers to the execution of a run. `processes` and `containers` implement it alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from experiment.access import with_token
from experiment.controls import Controls
from experiment.design import Design
from experiment.history import Obeyed, Record, Sample
from experiment.services import Endpoints
from experiment.topology import System
from experiment.trouble import Trouble
from experiment.workload import Population


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens, and the token that lets the harness in there; empty for none."""

    host: str
    port: int
    token: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The base address of HTTP, with the token; see `experiment.access`."""
        return with_token(self.host, self.port, self.token)


@dataclass(frozen=True, slots=True)
class Point:
    """Where the harness reaches a service, past all links, and which control endpoints it finds there."""

    address: Address
    control: Endpoints


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the system must be before a run: emptied, of this design, with this population."""

    run_id: str
    seed: int
    design: Design
    population: Population
    clock_scale: float = 1.0
    services: tuple[str, ...] = ()  # of the run's part of the system; more may be up

    @property
    def token(self) -> str:
        """What all business keys of the run carry."""
        return self.run_id.rpartition("-")[2]


@dataclass(frozen=True, slots=True)
class Step:
    """At run time `t` the wall clock was set by so many seconds."""

    t: float
    by_s: float


@dataclass(frozen=True, slots=True)
class Zero:
    """The zero of a run on both clocks: `t = monotonic - monotonic_s`, `t = unix - wall_s` less all steps."""

    monotonic_s: float
    wall_s: float
    steps: tuple[Step, ...] = ()

    def at(self, unix_s: float) -> float:
        """Run time of a wall time that a service told."""
        t, shift_s = unix_s - self.wall_s, 0.0
        for step in self.steps:
            # No time lies in what a step forward left out: half of it belongs to either side.
            if t - shift_s < step.t + max(0.0, step.by_s) / 2 + min(0.0, step.by_s):
                break
            shift_s += step.by_s
        return t - shift_s


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """What the report says of the ground a run stood on: `toxiproxy` is "real 2.12.0" or "embedded
    2.12.0"."""

    name: str
    toxiproxy: str
    versions: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""  # what a user should know of its start


class Runtime(Protocol):
    """A running system. Every call has a deadline inside; failures are StartError or CleanupError."""

    @property
    def name(self) -> str: ...
    @property
    def system(self) -> System: ...
    def start(self, run: RunSettings) -> None: ...  # returns when all is ready; on failure nothing is left
    def reset(self, run: RunSettings) -> None: ...  # empties all stores and switches to the design
    def obeyed(self, t: float) -> list[Obeyed]: ...  # what each service shows that it obeys, read back now
    def controls(self) -> Controls: ...
    def address(self, service: str) -> Address: ...  # where clients reach a service, without a link between
    def heal(self) -> None: ...  # undo every fault, known or not
    def unhealed(self) -> Sequence[str]: ...  # read back: one sentence per thing still wrong; empty = healed
    def trouble(self) -> Trouble | None: ...  # what makes this run invalid at once, though all may be healed
    def leaks(self) -> Sequence[str]: ...  # connections that go past the proxies now, one sentence each
    def sample(self, zero: Zero) -> list[Sample]: ...  # all counters of all nodes, now
    def pids(self) -> Sequence[int]: ...  # of parts that are no children of this process, and run here
    def backlog(self) -> Mapping[str, Mapping[str, int]]: ...  # service -> what it has not finished
    def records(self, zero: Zero) -> list[Record | Sample]: ...  # the systems of record, and their counts
    def journaled(self, folder: Path) -> None: ...  # before it is made: it goes when this process dies
    def collect(self, run_folder: Path) -> None: ...  # logs/ and traces/ since the last reset
    def describe(self) -> RuntimeFacts: ...
    def stop(self) -> None: ...  # always safe to call; raises CleanupError naming what is left
