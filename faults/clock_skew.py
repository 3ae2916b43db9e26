"""Clock skew: the wall clock of one service is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from experiment.controls import Controls, Effect, GaugedNode, SkewClock
from experiment.topology import Role
from experiment.units import Duration, format_duration
from faults.node_measures import CODE, NodeFigures, figures_of, measure_node
from faults.on_nodes import OnNode

NOISE_S = 0.5
SMALLEST_S = 2.0


@dataclass(frozen=True, slots=True)
class ClockSkew(OnNode):
    """The service reads a wall clock that is `offset` ahead or behind; what measures durations stays right.

    It takes up to two seconds until the service notices, when the clock jumps and when it jumps back.
    """

    kind: ClassVar[str] = "clock_skew"
    requires: ClassVar[str] = "skew_clock"
    fault_class: ClassVar[str] = "wrong clock"
    lasting: ClassVar[str] = "its clock was wrong at every look"
    roles: ClassVar[frozenset[Role]] = CODE
    unbounded: ClassVar[tuple[str, ...]] = ("offset",)  # no time that passes: may exceed the fault

    offset: Duration
    """How far the clock is off."""
    direction: Literal["ahead", "behind"] = "ahead"
    """Whether it is ahead or behind."""

    def __post_init__(self) -> None:
        if self.offset < SMALLEST_S:
            raise ValueError(f"an offset of {format_duration(self.offset)}; expected at least 2s")

    @property
    def signed_s(self) -> float:
        return self.offset if self.direction == "ahead" else -self.offset

    def inject(self, controls: Controls, target: str, fault: str) -> None:
        controls.node(target).act(fault, SkewClock(self.signed_s))

    def measure(self, controls: Controls, target: str) -> NodeFigures:
        """The time that the service tells by itself, against ours."""
        return measure_node(controls, target, "clock_offset_s")

    def judge(self, before: object, during: object) -> Effect:
        """The service tells a time that is wrong by the offset; before it was right."""
        assert isinstance(before, NodeFigures)
        assert isinstance(during, NodeFigures)
        right = abs(before.gauges["clock_offset_s"]) < NOISE_S
        moved = abs(during.gauges["clock_offset_s"] - self.signed_s) < NOISE_S
        statement = f"its clock is off by {_off(before)} -> {_off(during)}"
        seen = right and moved
        return Effect(seen, statement, figures_of(before, during), "affected" if seen else "not affected")

    def gone(self, before: object, after: object) -> Effect:
        """The service tells the right time again."""
        assert isinstance(before, NodeFigures)
        assert isinstance(after, NodeFigures)
        right = abs(after.gauges["clock_offset_s"]) < NOISE_S
        return Effect(right, f"its clock is off by {_off(after)}", figures_of(before, after))

    def amiss(self, node: GaugedNode) -> str:
        off_s = node.gauge("clock_offset_s")
        return "" if abs(off_s - self.signed_s) < NOISE_S else f"its clock is off by {off_s:+.3f} s"


def _off(figures: NodeFigures) -> str:
    return f"{figures.gauges['clock_offset_s']:+.3f} s"
