"""Crash: a process dies at once and is started again at the heal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect, GaugedNode, NodeProbe
from experiment.controls import Crash as EndProcess
from experiment.topology import Role
from faults.node_measures import EVERY_ROLE, SIGN_OF_LIFE_DEADLINE_S, answer, process_figures
from faults.on_nodes import OnNode, not_in_state


@dataclass(frozen=True, slots=True)
class Crash(OnNode):
    """The service is killed (SIGKILL): nothing is flushed. Healing starts it again with the same
    configuration and waits until it is ready."""

    kind: ClassVar[str] = "crash"
    requires: ClassVar[str] = "crash"
    fault_class: ClassVar[str] = "crash"
    lasting: ClassVar[str] = "its process stayed gone"
    roles: ClassVar[frozenset[Role]] = EVERY_ROLE

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, EndProcess())

    def measure(self, controls: Controls, target: str) -> NodeProbe:
        return controls.node(target).probe(SIGN_OF_LIFE_DEADLINE_S)

    def judge(self, before: object, during: object) -> Effect:
        """The process is gone and nothing answers in its place."""
        assert isinstance(before, NodeProbe)
        assert isinstance(during, NodeProbe)
        seen = before.state == "running" and during.state == "absent" and not during.answers
        statement = f"process {before.state} -> {during.state}, {answer(during)}"
        return Effect(
            seen, statement, process_figures(before, during), "affected" if seen else "not affected"
        )

    def gone(self, before: object, after: object) -> Effect:
        """Another process runs in its place and answers."""
        assert isinstance(before, NodeProbe)
        assert isinstance(after, NodeProbe)
        back = after.state == "running" and after.answers and after.identity != before.identity
        return Effect(back, f"process {after.state}, {answer(after)}", process_figures(before, after))

    def amiss(self, node: GaugedNode) -> str:
        return not_in_state(node, "absent")
