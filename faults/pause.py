"""Pause: a process is held still, with all its connections open, and goes on at the heal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect, GaugedNode, NodeProbe
from experiment.controls import Pause as HoldProcess
from experiment.topology import Role
from faults.node_measures import EVERY_ROLE, SIGN_OF_LIFE_DEADLINE_S, answer, process_figures
from faults.on_nodes import OnNode, not_in_state


@dataclass(frozen=True, slots=True)
class Pause(OnNode):
    """The service is stopped (SIGSTOP): the kernel accepts connections, nobody reads them. Healing continues
    the same process."""

    kind: ClassVar[str] = "pause"
    requires: ClassVar[str] = "pause"
    fault_class: ClassVar[str] = "pause"
    lasting: ClassVar[str] = "its process was held all the time"
    roles: ClassVar[frozenset[Role]] = EVERY_ROLE

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, HoldProcess())

    def measure(self, controls: Controls, target: str) -> NodeProbe:
        return controls.node(target).probe(SIGN_OF_LIFE_DEADLINE_S)

    def judge(self, before: object, during: object) -> Effect:
        """The process is there, held, and does not answer."""
        assert isinstance(before, NodeProbe)
        assert isinstance(during, NodeProbe)
        seen = before.answers and during.state == "paused" and not during.answers
        statement = f"process {before.state} -> {during.state}, {answer(during)}"
        return Effect(
            seen, statement, process_figures(before, during), "affected" if seen else "not affected"
        )

    def gone(self, before: object, after: object) -> Effect:
        """The same process answers again."""
        assert isinstance(before, NodeProbe)
        assert isinstance(after, NodeProbe)
        back = after.state == "running" and after.answers and after.identity == before.identity
        return Effect(back, f"process {after.state}, {answer(after)}", process_figures(before, after))

    def amiss(self, node: GaugedNode) -> str:
        return not_in_state(node, "paused")
