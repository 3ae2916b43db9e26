"""Planned change: a service migrates, is released anew or begins a heavy job, as its people planned it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Change, Controls, Effect, GaugedNode
from experiment.topology import Role
from faults.node_measures import CODE, NodeFigures, figures_of, measure_node
from faults.on_nodes import OnNode

IN_FORCE = 1.0  # what the gauge of a change says of one that is made; 0 of one that is not, or taken back


@dataclass(frozen=True, slots=True)
class PlannedChange(OnNode):
    """The service makes a change that it offers under this name, while its users go on; healing takes the
    change back."""

    kind: ClassVar[str] = "planned_change"
    requires: ClassVar[str] = "change"
    fault_class: ClassVar[str] = "change"
    lasting: ClassVar[str] = "the change stayed in force"
    roles: ClassVar[frozenset[Role]] = CODE

    change: str
    """The name of the change, one of the service's `changes`."""

    @property
    def gauge(self) -> str:
        """The figure that says how far the change is."""
        return f"change/{self.change}"

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, Change(self.change))

    def measure(self, controls: Controls, target: str) -> NodeFigures:
        """What the service says of the change."""
        return measure_node(controls, target, self.gauge)

    def judge(self, before: object, during: object) -> Effect:
        """The service says that the change is in force; before it was not."""
        assert isinstance(before, NodeFigures)
        assert isinstance(during, NodeFigures)
        seen = before.gauges[self.gauge] == 0 and during.gauges[self.gauge] == IN_FORCE
        statement = f"{self.change}: {_told(before.gauges[self.gauge])} -> {_told(during.gauges[self.gauge])}"
        return Effect(seen, statement, figures_of(before, during), "affected" if seen else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """The service says that nothing of the change is left."""
        assert isinstance(before, NodeFigures)
        assert isinstance(after, NodeFigures)
        now = after.gauges[self.gauge]
        return Effect(now == 0, f"{self.change}: {_told(now)}", figures_of(before, after))

    def amiss(self, node: GaugedNode) -> str:
        now = node.gauge(self.gauge)
        return "" if now == IN_FORCE else f"{self.change} is {_told(now)}"


def _told(figure: float) -> str:
    if figure == IN_FORCE:
        return "in force"
    return "not made" if figure == 0 else "on its way"
