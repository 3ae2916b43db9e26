"""CPU limit: a node gets only a share of one core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.controls import Controls, Effect, GaugedNode
from experiment.controls import CpuLimit as LimitCores
from experiment.topology import Role
from experiment.units import Share
from faults.node_measures import EVERY_ROLE, NodeFigures, figures_of, measure_node
from faults.on_nodes import OnNode

ROUNDING = 0.001  # of cores
SLOWER = 1.2  # the fixed piece of work takes at least so many times as long


@dataclass(frozen=True, slots=True)
class CpuLimit(OnNode):
    """The kernel holds the node back once it has used `share` of a core in a tenth of a second."""

    kind: ClassVar[str] = "cpu_limit"
    requires: ClassVar[str] = "cpu_limit"
    fault_class: ClassVar[str] = "slow"
    lasting: ClassVar[str] = "its limit stood all the time"
    roles: ClassVar[frozenset[Role]] = EVERY_ROLE

    share: Share
    """The part of one core that the node may use."""

    def __post_init__(self) -> None:
        if not 0.01 <= self.share <= 0.5:
            raise ValueError(f"a share of {self.share:.0%} of a core; expected 1% to 50%")

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, LimitCores(self.share))

    def measure(self, controls: Controls, target: str) -> NodeFigures:
        """How long a fixed piece of work takes on the node, and for how long the kernel held it back."""
        return measure_node(controls, target, "cpu_limit", "work_s", "work_held_back_s")

    def judge(self, before: object, during: object) -> Effect:
        """The limit is set, work takes longer and the kernel says that it held the node back meanwhile."""
        assert isinstance(before, NodeFigures)
        assert isinstance(during, NodeFigures)
        held = during.gauges["work_held_back_s"]
        slower = during.gauges["work_s"] > SLOWER * before.gauges["work_s"]
        seen = during.gauges["cpu_limit"] > 0 and held > 0 and slower
        statement = f"{_work(before)} -> {_work(during)}, held back {held:.2f} s of it"
        return Effect(seen, statement, figures_of(before, during), "affected" if seen else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """No limit is set, and the kernel held nothing back."""
        assert isinstance(before, NodeFigures)
        assert isinstance(after, NodeFigures)
        free = after.gauges["cpu_limit"] == 0 and after.gauges["work_held_back_s"] == 0
        return Effect(free, _work(after), figures_of(before, after))

    def amiss(self, node: GaugedNode) -> str:
        limit = node.gauge("cpu_limit")
        return "" if abs(limit - self.share) < ROUNDING else f"its limit is {limit:.0%} of a core (0: none)"


def _work(figures: NodeFigures) -> str:
    return f"fixed work {figures.gauges['work_s']:.2f} s"
