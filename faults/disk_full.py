"""Disk full: a store has no room left for what it must write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect, FillDisk, GaugedNode
from experiment.topology import Role
from faults.node_measures import STORES, NodeFigures, answer, figures_of, measure_node
from faults.on_nodes import OnNode


@dataclass(frozen=True, slots=True)
class DiskFull(OnNode):
    """All free space of a store's volume is taken. Healing gives it back, and starts a store that stopped."""

    kind: ClassVar[str] = "disk_full"
    requires: ClassVar[str] = "fill_disk"
    fault_class: ClassVar[str] = "full disk"
    lasting: ClassVar[str] = "no write was possible at any look"
    roles: ClassVar[frozenset[Role]] = STORES

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, FillDisk())

    def measure(self, controls: Controls, target: str) -> NodeFigures:
        return measure_node(controls, target, "disk_free_bytes", "disk_takes_writes")

    def judge(self, before: object, during: object) -> Effect:
        """A write beside the store's files worked before and fails now."""
        assert isinstance(before, NodeFigures)
        assert isinstance(during, NodeFigures)
        seen = before.gauges["disk_takes_writes"] == 1 and during.gauges["disk_takes_writes"] == 0
        statement = f"{_room(before)} -> {_room(during)}"
        return Effect(seen, statement, figures_of(before, during), "affected" if seen else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """Writes work again, and the store runs and answers."""
        assert isinstance(before, NodeFigures)
        assert isinstance(after, NodeFigures)
        back = after.well and after.gauges["disk_takes_writes"] == 1
        return Effect(back, f"{_room(after)}, {answer(after.probe)}", figures_of(before, after))

    def amiss(self, node: GaugedNode) -> str:
        return "a write works" if node.gauge("disk_takes_writes") else ""


def _room(figures: NodeFigures) -> str:
    works = "a write works" if figures.gauges["disk_takes_writes"] else "a write fails"
    return f"{figures.gauges['disk_free_bytes'] / 1e6:.1f} MB free, {works}"
