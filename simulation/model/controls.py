"""The controls of the simulated system: faults act on it through the same ports as on the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiment.controls import (
    BehaviourProbe,
    Blackhole,
    Corrupt,
    Delay,
    Impairment,
    LinkProbe,
    Loss,
    NodeProbe,
    Reach,
    Refuse,
    Reorder,
    Reset,
    Throttle,
)
from simulation.engine.channels import Channel
from simulation.model.nodes import Node
from simulation.model.world import World

IMPAIRMENTS = frozenset({"delay", "throttle", "blackhole", "refuse", "reset", "loss", "corrupt", "reorder"})
ACTIONS = frozenset({"crash", "pause", "out_of_memory", "cpu_limit", "disconnect", "disk_full", "clock_skew"})
FIXED_WORK_S = 0.05  # what a probe of the CPU asks for; only its ratio to itself matters
DISK_BYTES = 1e9
BEHAVIOURS = frozenset({"lost_response", "slow_processing", "error_share"})
CAPABILITIES = {"link": IMPAIRMENTS, "node": ACTIONS, "behaviour": BEHAVIOURS}
CUTS = (Blackhole, Refuse, Reset, Loss)
PACKETS = (Loss, Corrupt, Reorder)


class SimulatedLink:
    """A link as its channel; a probe is what a round trip would take now."""

    def __init__(self, world: World, channel: Channel) -> None:
        self._world = world
        self._channel = channel
        self._opened = False
        self._cut = False

    @property
    def name(self) -> str:
        return self._channel.name

    @property
    def capabilities(self) -> frozenset[str]:
        return IMPAIRMENTS

    def impair(self, fault: str, impairment: Impairment) -> None:
        if fault in self._channel.wire.impairments:
            return
        self._channel.wire.impair(fault, impairment)
        if isinstance(impairment, (Refuse, Reset)):
            self._cut = self._opened

    def restore(self, fault: str) -> None:
        gone = self._channel.wire.impairments.get(fault)
        self._channel.wire.restore(fault)
        if isinstance(gone, CUTS):
            self._world.reconnect(self._channel.name)
            self._cut = False
        elif isinstance(gone, Delay):
            self._world.hurry(self._channel.name)

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
    """A node as its simulated process; `channels` are all ways to it and from it."""

    def __init__(self, node: Node, channels: Sequence[Channel]) -> None:
        self._node = node
        self._channels = channels
        self._acting: dict[str, str] = {}
        self._cores: float | None = None

    @property
    def name(self) -> str:
        return self._node.name

    @property
    def capabilities(self) -> frozenset[str]:
        return ACTIONS

    def act(self, fault: str, action: str, parameters: Mapping[str, float | str]) -> None:
        if fault in self._acting:
            return
        self._acting[fault] = action
        node = self._node
        if action in ("crash", "out_of_memory"):
            node.crash()
        elif action == "pause":
            node.pause()
        elif action == "cpu_limit":
            self._cores = float(parameters["cores"])
            node.server.limit(self._cores)
        elif action == "disconnect":
            for channel in self._channels:
                channel.wire.impair(fault, Loss(1.0))
        elif action == "disk_full":
            node.full = True
        else:
            node.skew = float(parameters["offset_s"])

    def undo(self, fault: str) -> None:
        action = self._acting.pop(fault, None)
        node = self._node
        if action in ("crash", "out_of_memory"):
            node.restart()
        elif action == "pause":
            node.resume()
        elif action == "cpu_limit":
            self._cores = None
            node.server.limit(None)
        elif action == "disconnect":
            for channel in self._channels:
                channel.wire.restore(fault)
                node.world.reconnect(channel.name)
        elif action == "disk_full":
            node.full = False
        elif action is not None:
            node.skew = 0.0

    def probe(self, deadline_s: float) -> NodeProbe:
        node = self._node
        state = "paused" if node.server.paused else "running" if node.server.up else "absent"
        acting = set(self._acting.values())
        answers = state == "running" and node.ready and "disconnect" not in acting
        seconds = 0.0 if answers else None
        return NodeProbe(state, answers, seconds, f"{node.name}#{node.generation}")  # type: ignore[arg-type]

    def gauge(self, name: str) -> float:
        """One figure of the node's resources, as a container runtime could tell it."""
        node, acting = self._node, set(self._acting.values())
        work = FIXED_WORK_S / (self._cores or 1.0)
        gauges = {
            "cpu_limit": self._cores or 0.0,
            "work_s": work,
            "work_held_back_s": work - FIXED_WORK_S,
            "clock_offset_s": node.skew,
            "oom_killed": float("out_of_memory" in acting),
            "connected": float("disconnect" not in acting),
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
        self._acting: dict[str, tuple[str, Mapping[str, float | str | None]]] = {}

    @property
    def name(self) -> str:
        return self._channel.name

    @property
    def capabilities(self) -> frozenset[str]:
        return BEHAVIOURS

    def behave(self, fault: str, behaviour: str, parameters: Mapping[str, float | str | None]) -> None:
        self._acting[fault] = (behaviour, parameters)
        self._channel.wire.touched[behaviour] = 0
        self._apply(behaviour, parameters)

    def cease(self, fault: str) -> None:
        behaviour, _ = self._acting.pop(fault, ("", {}))
        if behaviour:
            self._apply(behaviour, {})

    def _apply(self, behaviour: str, parameters: Mapping[str, float | str | None]) -> None:
        wire = self._channel.wire

        def number(name: str) -> float:
            return float(parameters.get(name) or 0.0)

        if behaviour == "lost_response":
            wire.response_loss = number("share")
        elif behaviour == "error_share":
            wire.error_share = number("share")
            wire.error = f"status_{int(number('status') or 503)}"
        else:
            wire.slow_s, wire.slow_jitter_s = number("delay_s"), number("jitter_s")
        wire.refresh()

    def probe(self, behaviour: str) -> BehaviourProbe:
        current = next((p for b, p in self._acting.values() if b == behaviour), None)
        received = self._callee.received.get(self._caller, 0)
        return BehaviourProbe(current, self._channel.wire.touched[behaviour], received)


class SimulatedControls:
    """All controls of a world, made when first asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._links: dict[str, SimulatedLink] = {}
        self._nodes: dict[str, SimulatedNode] = {}
        self._behaviours: dict[str, SimulatedBehaviour] = {}

    def link(self, name: str) -> SimulatedLink:
        return self._links.setdefault(name, SimulatedLink(self._world, self._world.channels[name]))

    def node(self, name: str) -> SimulatedNode:
        links = self._world.plan.system.links
        touching = [link.name for link in links if name in (link.caller, link.callee)]
        channels = [self._world.channels[link] for link in touching] + self._world.user_channels(name)
        return self._nodes.setdefault(name, SimulatedNode(self._world.nodes[name], channels))

    def behaviour(self, link: str) -> SimulatedBehaviour:
        found = self._world.plan.system.link(link)
        made = SimulatedBehaviour(self._world.channels[link], self._world.nodes[found.callee], found.caller)
        return self._behaviours.setdefault(link, made)
