"""The ports through which faults act. A runtime implements them; a fault never knows if the system is real.

What is done to a link, a node or a callee is a typed value. A capability is the name of one such type (see
`capability`). A scenario that needs a capability the runtime does not have is refused by name before anything
starts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

Direction = Literal["both", "to_callee", "to_caller"]


@dataclass(frozen=True, slots=True)
class Delay:
    """Every chunk is held for latency_s +- jitter_s (uniform) in each direction named."""

    latency_s: float
    jitter_s: float = 0.0
    direction: Direction = "both"


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most `bytes_per_s` per connection and direction; 0 stalls."""

    bytes_per_s: float
    direction: Direction = "both"


@dataclass(frozen=True, slots=True)
class Blackhole:
    """Connections are accepted and stay open; bytes vanish."""

    direction: Direction = "both"


@dataclass(frozen=True, slots=True)
class Refuse:
    """New connections are refused, existing ones dropped."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Connections are reset after `after_s`."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Split:
    """What is sent at once leaves in pieces of `size_bytes` at most, `pause_s` apart."""

    size_bytes: int
    pause_s: float
    direction: Direction = "both"


@dataclass(frozen=True, slots=True)
class CutShort:
    """A connection is closed once it has carried `after_bytes` in a direction named."""

    after_bytes: int
    direction: Direction = "both"


@dataclass(frozen=True, slots=True)
class Loss:
    """A share of packets is dropped (needs packet-level control)."""

    share: float
    direction: Direction = "both"


@dataclass(frozen=True, slots=True)
class Corrupt:
    """A share of packets is damaged (needs packet-level control)."""

    share: float


@dataclass(frozen=True, slots=True)
class Reorder:
    """A share of packets overtakes others by delay_s (needs packet-level control)."""

    share: float
    delay_s: float


Impairment = Delay | Throttle | Blackhole | Refuse | Reset | Split | CutShort | Loss | Corrupt | Reorder


@dataclass(frozen=True, slots=True)
class Crash:
    """The process dies at once; undoing starts it again."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The process is held still, with its connections open."""


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel ends the process at its memory limit; undoing starts it again."""


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """The node may use so many cores at most."""

    cores: float


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The node is taken off the network, both ways."""


@dataclass(frozen=True, slots=True)
class FillDisk:
    """All free space of a store's volume is taken."""


@dataclass(frozen=True, slots=True)
class SkewClock:
    """The node's wall clock is `offset_s` ahead of the true time; negative: behind."""

    offset_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """The node makes a planned change that it offers by this name; undoing takes it back."""

    name: str


NodeAction = Crash | Pause | OutOfMemory | CpuLimit | Disconnect | FillDisk | SkewClock | Change


@dataclass(frozen=True, slots=True)
class LostResponse:
    """A share of the requests is done and committed, then the connection closes without an answer."""

    share: float


@dataclass(frozen=True, slots=True)
class SlowProcessing:
    """Each request takes delay_s +- jitter_s (uniform) longer before its work is committed."""

    delay_s: float
    jitter_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DrawnDelays:
    """Each request takes the next of these longer before its work is committed; after the last comes the
    first again."""

    delays_s: tuple[float, ...]

    def __str__(self) -> str:
        return f"{len(self.delays_s)} delays, {', '.join(f'{one:g} s' for one in self.delays_s[:3])}, ..."


@dataclass(frozen=True, slots=True)
class ErrorShare:
    """A share of the requests is answered with `status` before anything is done."""

    share: float
    status: int = 503


@dataclass(frozen=True, slots=True)
class Redelivery:
    """A share of the events of a bus comes again after_s later; with `missed` it was not taken the first
    time, so that those behind it overtake."""

    share: float
    after_s: float
    missed: bool = False


Behaviour = LostResponse | SlowProcessing | DrawnDelays | ErrorShare | Redelivery
CONSUMED = (Redelivery,)  # a consumer of events plays these to itself, a callee the others to its caller


def capability(kind: type[object]) -> str:
    """The name of an impairment, action or behaviour as a capability: `CpuLimit` is "cpu_limit"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@dataclass(frozen=True, slots=True)
class Reach:
    """One measured round trip over a link.

    `connected` says whether the connection was made (or was still there), `seconds` is None when no whole
    answer came; then `error` says what broke, and is empty when there was only silence until the deadline.
    `asked` is False of a connection of a protocol that the harness does not speak, on which nothing more
    could be asked.
    """

    connected: bool
    seconds: float | None
    error: str = ""
    asked: bool = True


@dataclass(frozen=True, slots=True)
class LinkProbe:
    """What a link does now: to a connection opened before the fault, and to a fresh one."""

    existing: Reach
    fresh: Reach
    payload_bytes: int = 0
    measures: Mapping[str, float] | None = None  # what acts on packets says of them: packets_dropped, ...


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the caller's own connections did on a link up to one moment; the harness's probes are left out.

    Counters grow; two readings of one link are compared by `since`. `exchanges` is one list for all readings
    of a link, seconds that a question took until its answer, of as many as were seen; `answered` of them are
    in this reading. `usual_s` is their median before the fault that acts now.
    """

    connections: int = 0  # that were seen
    open: int = 0  # at this moment
    to_callee: int = 0  # bytes
    to_caller: int = 0  # bytes
    refused: int | None = 0  # attempts to connect; None where they cannot be counted
    exchanges: Sequence[float] = ()
    answered: int = 0
    usual_s: float | None = None
    waiting: tuple[float, ...] = ()  # how long each question waits that has no answer at this moment

    @property
    def carried(self) -> int:
        """Bytes, both ways together."""
        return self.to_callee + self.to_caller

    @property
    def took(self) -> Sequence[float]:
        """The exchanges themselves, in seconds."""
        return self.exchanges[: self.answered]

    def since(self, earlier: Traffic) -> Traffic:
        """What came after another reading. What is open or waits is that of this moment."""
        refused = None if self.refused is None else self.refused - (earlier.refused or 0)
        return replace(
            self,
            connections=self.connections - earlier.connections,
            to_callee=self.to_callee - earlier.to_callee,
            to_caller=self.to_caller - earlier.to_caller,
            refused=refused,
            exchanges=self.exchanges[earlier.answered : self.answered],
            answered=self.answered - earlier.answered,
        )


class LinkControl(Protocol):
    """One link."""

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[str]: ...  # of Impairment: "delay", ...
    def impair(self, fault: str, impairment: Impairment) -> None: ...
    def restore(self, fault: str) -> None: ...  # idempotent; other faults on the link stay
    # The first call opens the "existing" connection; with a payload, so many bytes go each way.
    def probe(self, deadline_s: float, payload_bytes: int = 0) -> LinkProbe: ...
    # What of an injected fault is not in force as it was set, or what acts beside it, read back now; empty:
    # it is in force.
    def amiss(self, fault: str) -> str: ...
    def traffic(self) -> Traffic: ...


@dataclass(frozen=True, slots=True)
class NodeProbe:
    """What a node is now: its process state and whether it answers /health within the deadline."""

    state: Literal["running", "paused", "absent"]
    answers: bool
    seconds: float | None = None
    identity: str = ""  # pid or container id and start count: changes at a restart
    measures: Mapping[str, float] | None = None


class NodeControl(Protocol):
    """One service or store."""

    @property
    def name(self) -> str: ...
    @property
    def capabilities(
        self,
    ) -> frozenset[str]: ...  # of NodeAction: "crash", ...
    def act(self, fault: str, action: NodeAction) -> None: ...
    def undo(self, fault: str) -> None: ...  # idempotent; waits until ready again
    def probe(self, deadline_s: float) -> NodeProbe: ...


class GaugedNode(NodeControl, Protocol):
    """A node that can be asked for single figures: what its resources are, what its clock says."""

    def gauge(self, name: str) -> float: ...


@dataclass(frozen=True, slots=True)
class BehaviourProbe:
    """What a service says of one kind of behaviour: the one that is on (None: off), the requests or events
    that it touched, and all requests that came from the caller."""

    active: Behaviour | None
    applied: int
    received: int | None  # None: the service does not count its requests, or they are events


class BehaviourControl(Protocol):
    """Exact application-level faults inside a callee (commit, then drop the reply), per caller; on a link to
    a bus inside the caller, which consumes its events."""

    @property
    def name(self) -> str: ...  # the link whose callee behaves, "front -> back"
    @property
    def capabilities(self) -> frozenset[str]: ...  # of Behaviour: "lost_response", ...
    def behave(self, fault: str, behaviour: Behaviour) -> None: ...
    def cease(self, fault: str) -> None: ...
    def probe(self, kind: type[Behaviour]) -> BehaviourProbe: ...


class Controls(Protocol):
    """All controls of a running system."""

    def link(self, name: str) -> LinkControl: ...
    def node(self, name: str) -> NodeControl: ...
    def behaviour(self, link: str) -> BehaviourControl: ...


@dataclass(frozen=True, slots=True)
class Effect:
    """Whether a fault was seen to act (or, after healing, seen to be gone), and the measurement behind it."""

    seen: bool
    statement: str  # for people: "round trip 2.1 ms -> 503.4 ms"
    measured: Mapping[str, float | str | bool | None]
    existing_connections: Literal["affected", "not affected", "unknown", "no connections"] = "unknown"


@dataclass(frozen=True, slots=True)
class Look:
    """One reading of a fault's target, cheap enough to be taken again and again while the fault lasts.

    `amiss`: why the fault is not in force as it was set; empty when it is. What the target's callers did so
    far stands beside it: on a link its `traffic`; in a callee how many of the caller's requests it counted
    (None: it does not count them) and how many of them were `touched`.
    """

    amiss: str = ""
    traffic: Traffic | None = None
    requests: int | None = None
    touched: int = 0

    def carried_since(self, earlier: Look) -> int | None:
        """What came over the target since: bytes of a link, requests of a callee; None where nobody can
        say."""
        if self.traffic is not None:
            return self.traffic.since(earlier.traffic or Traffic()).carried
        return None if self.requests is None else self.requests - (earlier.requests or 0)

    def carried_figures(self, earlier: Look) -> dict[str, int | None]:
        """What came since, and of a link how much of it the caller sent."""
        found = {"carried": self.carried_since(earlier)}
        if self.traffic is not None:
            found["to_callee_bytes"] = self.traffic.since(earlier.traffic or Traffic()).to_callee
        return found


@runtime_checkable
class Fault(Protocol):
    """One kind of fault with its parameters: a frozen dataclass in `faults/`, one file each.

    `kind` is its name in YAML, `target_kind` says which control it takes; `requires` names the capability,
    `fault_class` what it looks like to those around it, for coverage; kinds that act on nodes have `roles`.
    `inject` and `heal` are idempotent. `measure` is called before injecting (again where the target is not
    `ready` to be compared with), while active and after healing, and `judge` / `gone` compare two
    measurements: without an effect nothing is claimed. From its begin to its
    heal `look` reads again and again whether it is in force and what the callers' own traffic did; `met` says
    what of that traffic the fault met between the look before it and the last one.
    """

    @property
    def kind(self) -> str: ...
    @property
    def target_kind(self) -> Literal["link", "node", "behaviour"]: ...
    @property
    def requires(self) -> str: ...
    @property
    def fault_class(self) -> str: ...
    def inject(self, controls: Controls, target: str, fault: str) -> None: ...
    def heal(self, controls: Controls, target: str, fault: str) -> None: ...
    def measure(self, controls: Controls, target: str) -> object: ...
    def ready(self, before: object) -> bool: ...  # whether it shows a target that works
    def judge(self, before: object, during: object) -> Effect: ...
    def gone(self, before: object, after: object) -> Effect: ...
    def look(self, controls: Controls, target: str, fault: str) -> Look: ...
    def met(self, target: str, start: Look, now: Look) -> Effect: ...


@runtime_checkable
class Seeded(Protocol):
    """A fault that has something drawn from the seed, once for each of its activations."""

    def drawn(self, rng: random.Random) -> Fault: ...
