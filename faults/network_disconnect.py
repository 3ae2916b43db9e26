"""Network disconnect: a node is cut off from everybody, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Disconnect, Effect, GaugedNode
from experiment.topology import Role
from faults.node_measures import EVERY_ROLE, NodeFigures, answer, figures_of, measure_node
from faults.on_nodes import OnNode


@dataclass(frozen=True, slots=True)
class NetworkDisconnect(OnNode):
    """The node runs on without a network, a true partition. Nobody is told: connections fall silent.

    Healing gives it the same address back, and a front door its published port; what of its connections still
    lives goes on.
    """

    kind: ClassVar[str] = "network_disconnect"
    requires: ClassVar[str] = "disconnect"
    fault_class: ClassVar[str] = "cut"
    lasting: ClassVar[str] = "it was off the network all the time"
    roles: ClassVar[frozenset[Role]] = EVERY_ROLE

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, Disconnect())

    def measure(self, controls: Controls, target: str) -> NodeFigures:
        return measure_node(controls, target, "connected")

    def judge(self, before: object, during: object) -> Effect:
        """The same process runs, without a network, and cannot be reached."""
        assert isinstance(before, NodeFigures)
        assert isinstance(during, NodeFigures)
        same = during.probe.state == "running" and during.probe.identity == before.probe.identity
        cut = during.gauges["connected"] == 0 and not during.probe.answers
        seen = before.well and same and cut
        statement = f"{answer(before.probe)} -> runs, {answer(during.probe)}, {_network(during)}"
        return Effect(seen, statement, figures_of(before, during), "affected" if seen else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """It is on the network again and answers."""
        assert isinstance(before, NodeFigures)
        assert isinstance(after, NodeFigures)
        back = after.well and after.gauges["connected"] == 1
        return Effect(back, f"{_network(after)}, {answer(after.probe)}", figures_of(before, after))

    def amiss(self, node: GaugedNode) -> str:
        return "it is on the network" if node.gauge("connected") else ""


def _network(figures: NodeFigures) -> str:
    return "on the network" if figures.gauges["connected"] else "off the network"
