"""Crash: a process dies at once and is started again at the heal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from experiment.controls import Controls, Effect, NodeProbe
from experiment.topology import Role
from faults.node_measures import EVERY_ROLE

DEADLINE_S = 0.5


@dataclass(frozen=True, slots=True)
class Crash:
    """SIGKILL: no last words, nothing flushed. Healing starts it again with the same configuration and
    waits until it is ready."""

    kind: ClassVar[str] = "crash"
    target_kind: ClassVar[Literal["node"]] = "node"
    requires: ClassVar[str] = "crash"
    fault_class: ClassVar[str] = "crash"
    roles: ClassVar[frozenset[Role]] = EVERY_ROLE

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, "crash", {})

    def heal(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).undo(fault)

    def measure(self, controls: Controls, target: str) -> NodeProbe:
        return controls.node(target).probe(DEADLINE_S)

    def effect(self, before: object, during: object) -> Effect:
        """The process is gone and nothing answers in its place."""
        assert isinstance(before, NodeProbe)
        assert isinstance(during, NodeProbe)
        seen = before.state == "running" and during.state == "absent" and not during.answers
        statement = f"process {before.state} -> {during.state}, {_answer(during)}"
        return Effect(seen, statement, _figures(before, during), "affected" if seen else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """Another process runs in its place and answers."""
        assert isinstance(before, NodeProbe)
        assert isinstance(after, NodeProbe)
        back = after.state == "running" and after.answers and after.identity != before.identity
        return Effect(back, f"process {after.state}, {_answer(after)}", _figures(before, after))


def _answer(probe: NodeProbe) -> str:
    return "answers" if probe.answers else "no answer"


def _figures(before: NodeProbe, now: NodeProbe) -> dict[str, float | str | bool | None]:
    return {"before": before.identity, "now": now.identity, "state": now.state, "answers_s": now.seconds}
