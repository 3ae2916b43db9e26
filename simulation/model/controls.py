"""The controls of the simulated system: faults act on it through the same ports as on the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import get_args

from experiment.controls import (
    CONSUMED,
    Behaviour,
    BehaviourProbe,
    Blackhole,
    Change,
    Corrupt,
    CpuLimit,
    Crash,
    CutShort,
    Delay,
    Disconnect,
    DrawnDelays,
    ErrorShare,
    FillDisk,
    Impairment,
    LinkProbe,
    Loss,
    LostResponse,
    NodeAction,
    NodeProbe,
    OutOfMemory,
    Pause,
    Reach,
    Redelivery,
    Refuse,
    Reorder,
    Reset,
    SkewClock,
    SlowProcessing,
    Split,
    Throttle,
    Traffic,
    capability,
)
from experiment.errors import UnsupportedError
from experiment.exchanges import Exchanges
from simulation.engine.channels import Channel
from simulation.engine.failures import Cause, Failure
from simulation.engine.randomness import Sampler
from simulation.model.nodes import Node
from simulation.model.world import World

IN_BYTES = (Split, CutShort)  # the twin has messages, no bytes
IMPAIRMENTS = frozenset(capability(one) for one in get_args(Impairment) if one not in IN_BYTES)
ACTIONS = frozenset(map(capability, get_args(NodeAction)))
CHANGE = capability(Change)
OF_CHANGE = "change/"  # begins the name of the gauge of one
FIXED_WORK_S = 0.05  # what a probe of the CPU asks for; only its ratio to itself matters
DISK_BYTES = 1e9
BEHAVIOURS = frozenset(map(capability, get_args(Behaviour)))
CAPABILITIES = {"link": IMPAIRMENTS, "node": ACTIONS, "behaviour": BEHAVIOURS}
CUTS = (Blackhole, Refuse, Reset, Loss)
PACKETS = (Loss, Corrupt, Reorder)


class SimulatedLink:
    """A link as its channel; a probe is what a round trip would take now."""

    def __init__(
        self, channel: Channel, reconnect: Callable[[str], None], hurry: Callable[[str], None]
    ) -> None:
        self._channel = channel
        self._reconnect, self._hurry = reconnect, hurry
        self._opened = False
        self._cut = False
        self._active: dict[str, Impairment] = {}
        self._exchanges = Exchanges(channel.latencies)
        self._refused = self._refused_from = 0

    @property
    def name(self) -> str:
        return self._channel.name

    @property
    def capabilities(self) -> frozenset[str]:
        return IMPAIRMENTS

    def amiss(self, fault: str) -> str:
        """Read back from the wire itself, not from what was asked of it."""
        acting = self._channel.wire.impairments
        wanted = self._active.get(fault)
        if wanted is None or fault not in acting:
            return "nothing on the wire acts for it"
        if acting[fault] != wanted:
            return f"the wire has {acting[fault]}, expected {wanted}"
        return ""

    def traffic(self) -> Traffic:
        """Of the virtual connection that the caller has: requests and answers in bytes of the size that the
        model gives them, and messages that are pushed to the caller."""
        channel, wire, took = self._channel, self._channel.wire, self._exchanges
        back = len(took.took) + wire.pushed
        now = channel.clock.now
        waiting = tuple(now - attempt.sent for attempt in channel.in_flight())
        sent = self._sent > 0 or wire.pushed > 0
        return Traffic(
            connections=int(sent),
            open=int(sent and not wire.closed),
            to_callee=round(self._sent * wire.request_bytes),
            to_caller=round(back * wire.response_bytes),
            refused=self._refused + (self._sent - self._refused_from if self._refuses else 0),
            exchanges=took.took,
            answered=len(took.took),
            usual_s=took.usual_s,
            waiting=waiting,
        )

    @property
    def _sent(self) -> int:
        """Requests so far, also of a process that has died since."""
        return self._channel.attempts + self._channel.sent_before

    @property
    def _refuses(self) -> bool:
        return any(isinstance(one, Refuse) for one in self._active.values())

    def impair(self, fault: str, impairment: Impairment) -> None:
        if isinstance(impairment, IN_BYTES):
            kind = capability(type(impairment))
            raise UnsupportedError(f"{self.name}: the twin has messages and no bytes, so it cannot do {kind}")
        if fault in self._channel.wire.impairments:
            return
        self._exchanges.disturb()
        if isinstance(impairment, Refuse) and not self._refuses:
            self._refused_from = self._sent
        self._active[fault] = impairment
        self._channel.wire.impair(fault, impairment)
        if isinstance(impairment, (Refuse, Reset)):
            self._cut = self._opened

    def restore(self, fault: str) -> None:
        gone = self._channel.wire.impairments.get(fault)
        refused = self._refuses
        self._active.pop(fault, None)
        if refused and not self._refuses:
            self._refused += self._sent - self._refused_from
        self._channel.wire.restore(fault)
        if isinstance(gone, CUTS):
            self._reconnect(self._channel.name)
            self._cut = False
        elif isinstance(gone, Delay):
            self._hurry(self._channel.name)

    def probe(self, deadline_s: float, payload_bytes: int = 0) -> LinkProbe:
        fresh = self._reach(deadline_s, payload_bytes)
        existing = Reach(False, None, "closed") if self._cut else fresh
        self._opened = True
        wire = self._channel.wire
        treated = any(isinstance(one, PACKETS) for one in wire.impairments.values())
        count, met = float(wire.treated), float(wire.met)
        counts = {"packets_dropped": count, "packets_treated": count, "packets_met": met}
        measures = counts if treated else None
        return LinkProbe(existing, fresh, payload_bytes, measures)

    def _reach(self, deadline_s: float, payload_bytes: int) -> Reach:
        channel, wire = self._channel, self._channel.wire
        if any(isinstance(one, Refuse) for one in wire.impairments.values()):
            return Reach(False, None, "connection refused")
        if any(isinstance(one, Reset) for one in wire.impairments.values()):
            return Reach(True, None, "connection reset")
        there, back = wire.delay(False), wire.delay(True)
        if there is None or back is None or min(there, back) < 0:
            return Reach(True, None)
        seconds = there + back + next(channel.there) + next(channel.back)
        for one in wire.impairments.values():
            if isinstance(one, Throttle):
                ways = 2 if one.direction == "both" else 1
                seconds += ways * payload_bytes / one.bytes_per_s
        return Reach(True, seconds if seconds <= deadline_s else None)


class SimulatedNode:
    """A node as its simulated process; `ways` are all channels to it and from it at the time of asking: those
    of users come with the first of them."""

    def __init__(
        self, node: Node, ways: Callable[[], Sequence[Channel]], reconnect: Callable[[str], None]
    ) -> None:
        self._node = node
        self._ways = ways
        self._reconnect = reconnect
        self._acting: dict[str, NodeAction] = {}
        self._cores: float | None = None

    @property
    def name(self) -> str:
        return self._node.name

    @property
    def capabilities(self) -> frozenset[str]:
        return ACTIONS if self._node.CHANGES else ACTIONS - {CHANGE}

    def act(self, fault: str, action: NodeAction) -> None:
        if fault in self._acting:
            return
        node = self._node
        if isinstance(action, Change) and action.name not in node.CHANGES:
            able = ", ".join(node.CHANGES) or "none"
            raise UnsupportedError(f"the model of {node.name} has no change {action.name}; it has: {able}")
        self._acting[fault] = action
        match action:
            case Crash() | OutOfMemory():
                node.crash()
            case Pause():
                node.pause()
            case CpuLimit(cores):
                self._cores = cores
                node.server.limit(cores)
            case Disconnect():
                for channel in self._ways():
                    channel.wire.impair(fault, Loss(1.0))
            case FillDisk():
                node.full = True
            case SkewClock(offset_s):
                node.skew = offset_s
            case Change(name):
                node.begin_change(name)

    def undo(self, fault: str) -> None:
        node = self._node
        match self._acting.pop(fault, None):
            case Crash() | OutOfMemory():
                node.restart()
            case Pause():
                node.resume()
            case CpuLimit():
                self._cores = None
                node.server.limit(None)
            case Disconnect():
                for channel in self._ways():
                    channel.wire.restore(fault)
                    self._reconnect(channel.name)
            case FillDisk():
                node.full = False
            case SkewClock():
                node.skew = 0.0
            case Change(name):
                node.take_back(name)

    def _acts(self, kind: type[NodeAction]) -> bool:
        return any(isinstance(action, kind) for action in self._acting.values())

    def probe(self, deadline_s: float) -> NodeProbe:
        node = self._node
        state = "paused" if node.server.paused else "running" if node.server.up else "absent"
        answers = state == "running" and node.ready and not self._acts(Disconnect)
        seconds = 0.0 if answers else None
        return NodeProbe(state, answers, seconds, f"{node.name}#{node.generation}")  # type: ignore[arg-type]

    def gauge(self, name: str) -> float:
        """One figure of the node's resources, as a container runtime could tell it."""
        node = self._node
        if name.startswith(OF_CHANGE):
            made = node.changes.get(name.removeprefix(OF_CHANGE))
            return 0.0 if made is None else 1.0 if made else 0.5
        work = FIXED_WORK_S / (self._cores or 1.0)
        gauges = {
            "cpu_limit": self._cores or 0.0,
            "work_s": work,
            "work_held_back_s": work - FIXED_WORK_S,
            "clock_offset_s": node.skew,
            "oom_killed": float(self._acts(OutOfMemory)),
            "connected": float(not self._acts(Disconnect)),
            "disk_free_bytes": 0.0 if node.full else DISK_BYTES,
            "disk_takes_writes": float(not node.full),
        }
        return gauges[name]


class SimulatedBehaviour:
    """Exact faults inside a callee, per caller: they sit where the link ends."""

    def __init__(self, channel: Channel, callee: Node, caller: str) -> None:
        self._channel = channel
        self._callee = callee
        self._caller = caller
        self._acting: dict[str, Behaviour] = {}

    @property
    def name(self) -> str:
        return self._channel.name

    @property
    def capabilities(self) -> frozenset[str]:
        return BEHAVIOURS

    def behave(self, fault: str, behaviour: Behaviour) -> None:
        self._acting[fault] = behaviour
        wire = self._channel.wire
        wire.touched[capability(type(behaviour))] = 0
        match behaviour:
            case LostResponse(share):
                wire.response_loss = share
            case ErrorShare(share, status):
                wire.error_share, wire.error = share, Failure(Cause.STATUS, status)
            case SlowProcessing(delay_s, jitter_s):
                wire.slow_s, wire.slow_jitter_s = delay_s, jitter_s
            case DrawnDelays(delays_s):
                wire.drawn = delays_s
            case Redelivery():
                wire.redelivery = behaviour
        wire.refresh()

    def cease(self, fault: str) -> None:
        wire = self._channel.wire
        match self._acting.pop(fault, None):
            case LostResponse():
                wire.response_loss = 0.0
            case ErrorShare():
                wire.error_share = 0.0
            case SlowProcessing():
                wire.slow_s = wire.slow_jitter_s = 0.0
            case DrawnDelays():
                wire.drawn = ()
            case Redelivery():
                wire.redelivery = None
            case None:
                return
        wire.refresh()

    def probe(self, kind: type[Behaviour]) -> BehaviourProbe:
        current = next((one for one in self._acting.values() if isinstance(one, kind)), None)
        received = None if kind in CONSUMED else self._callee.received.get(self._caller, 0)
        return BehaviourProbe(current, self._channel.wire.touched[capability(kind)], received)


class SimulatedControls:
    """All controls of a world, made when first asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._links: dict[str, SimulatedLink] = {}
        self._nodes: dict[str, SimulatedNode] = {}
        self._behaviours: dict[str, SimulatedBehaviour] = {}
        self._looks: dict[str, tuple[Sampler, Sampler, Sampler]] = {}

    @contextmanager
    def aside(self, target: str) -> Iterator[None]:
        """Meanwhile a link is probed by draws of the probe's own: what its users meet later stays what it
        was."""
        channel = self._world.channels.get(target)
        if channel is None:
            yield
            return
        if target not in self._looks:
            self._looks[target] = self._world.samplers(
                target, self._world.plan.system.link(target).protocol, "look"
            )
        wire = channel.wire
        kept = channel.there, channel.back, wire.uniform
        channel.there, channel.back, wire.uniform = self._looks[target]
        try:
            yield
        finally:
            channel.there, channel.back, wire.uniform = kept

    def link(self, name: str) -> SimulatedLink:
        if name not in self._links:
            world = self._world
            self._links[name] = SimulatedLink(world.channels[name], world.reconnect, world.hurry)
        return self._links[name]

    def node(self, name: str) -> SimulatedNode:
        if name not in self._nodes:
            world = self._world
            ways = partial(world.ways_to_and_from, name)
            self._nodes[name] = SimulatedNode(world.nodes[name], ways, world.reconnect)
        return self._nodes[name]

    def behaviour(self, link: str) -> SimulatedBehaviour:
        if link not in self._behaviours:
            world = self._world
            found = world.plan.system.link(link)
            callee = world.nodes[found.callee]
            self._behaviours[link] = SimulatedBehaviour(world.channels[link], callee, found.caller)
        return self._behaviours[link]
