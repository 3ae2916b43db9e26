"""What all faults on nodes share: how they end and how they are watched."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

from experiment.controls import Controls, Effect, GaugedNode, Look, NodeProbe

LOOK_DEADLINE_S = 0.1  # a look wants the state that the kernel tells, hardly a sign of life


class OnNode:
    """Base of every fault that a node's control takes. `amiss` reads back whether it is in force."""

    __slots__ = ()

    target_kind: ClassVar[Literal["node"]] = "node"
    lasting: ClassVar[str]  # what every look found, for people

    def heal(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).undo(fault)

    def ready(self, before: object) -> bool:
        """It answered."""
        probe = before if isinstance(before, NodeProbe) else getattr(before, "probe", None)
        return isinstance(probe, NodeProbe) and probe.answers

    def look(self, controls: Controls, target: str, fault: str) -> Look:
        return Look(self.amiss(cast(GaugedNode, controls.node(target))))

    def met(self, target: str, start: Look, now: Look) -> Effect:
        """A node is disturbed whoever calls it; whether anybody did is counted in operations."""
        return Effect(True, f"{target}: {self.lasting}", {})

    def amiss(self, node: GaugedNode) -> str:
        """Why the fault is not in force; empty when it is."""
        raise NotImplementedError


def not_in_state(node: GaugedNode, wanted: str) -> str:
    """What is wrong where the node's process was to be in another state."""
    state = node.probe(LOOK_DEADLINE_S).state
    return "" if state == wanted else f"its process is {state}"
