"""Out of memory: the kernel ends a service at its memory limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect, GaugedNode
from experiment.controls import OutOfMemory as ExhaustMemory
from experiment.topology import Role
from faults.node_measures import CODE, NodeFigures, answer, figures_of, measure_node
from faults.on_nodes import OnNode, not_in_state


@dataclass(frozen=True, slots=True)
class OutOfMemory(OnNode):
    """The memory limit is set to what is in use, and more is asked for: the kernel kills the service.

    Healing gives the limit back and starts the service again.
    """

    kind: ClassVar[str] = "out_of_memory"
    requires: ClassVar[str] = "out_of_memory"
    fault_class: ClassVar[str] = "crash"
    lasting: ClassVar[str] = "its process stayed gone"
    roles: ClassVar[frozenset[Role]] = CODE

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, ExhaustMemory())

    def measure(self, controls: Controls, target: str) -> NodeFigures:
        return measure_node(controls, target, "oom_killed")

    def judge(self, before: object, during: object) -> Effect:
        """The service is gone, and the kernel says that it ended it for want of memory."""
        assert isinstance(before, NodeFigures)
        assert isinstance(during, NodeFigures)
        killed = during.probe.state == "absent" and during.gauges["oom_killed"] == 1
        seen = before.probe.state == "running" and killed
        ending = "ended by the kernel for want of memory" if killed else during.probe.state
        statement = f"{before.probe.state} -> {ending}, {answer(during.probe)}"
        return Effect(seen, statement, figures_of(before, during), "affected" if seen else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """Another process runs in its place and answers."""
        assert isinstance(before, NodeFigures)
        assert isinstance(after, NodeFigures)
        back = after.well and after.probe.identity != before.probe.identity
        return Effect(back, f"{after.probe.state}, {answer(after.probe)}", figures_of(before, after))

    def amiss(self, node: GaugedNode) -> str:
        return not_in_state(node, "absent")
