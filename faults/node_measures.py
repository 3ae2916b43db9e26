"""What faults on a node's resources measure: its state, and single figures that its runtime can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from experiment.controls import Controls, GaugedNode, NodeProbe
from experiment.topology import Role

SIGN_OF_LIFE_DEADLINE_S = 0.5
CODE: frozenset[Role] = frozenset({"service", "instrument"})  # nodes that run a module of the system
STORES: frozenset[Role] = frozenset({"store", "bus"})
EVERY_ROLE = CODE | STORES


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """A probe of a node together with the gauges that were asked for."""

    probe: NodeProbe
    gauges: Mapping[str, float]

    @property
    def well(self) -> bool:
        """It runs and answers."""
        return self.probe.state == "running" and self.probe.answers


def measure_node(controls: Controls, target: str, *gauges: str) -> NodeFigures:
    """Probe a node and read its gauges, in this order."""
    node = cast(GaugedNode, controls.node(target))
    return NodeFigures(node.probe(SIGN_OF_LIFE_DEADLINE_S), {name: node.gauge(name) for name in gauges})


def answer(probe: NodeProbe) -> str:
    return "answers" if probe.answers else "no answer"


def process_figures(before: NodeProbe, now: NodeProbe) -> dict[str, float | str | bool | None]:
    """The measurement behind an Effect on a process: which one it was and is, and how fast it answers."""
    return {"before": before.identity, "now": now.identity, "state": now.state, "answers_s": now.seconds}


def figures_of(before: NodeFigures, now: NodeFigures) -> dict[str, float | str | bool | None]:
    """The measurement behind an Effect: each gauge before and now."""
    found: dict[str, float | str | bool | None] = {"state": now.probe.state, "answers": now.probe.answers}
    for name, value in now.gauges.items():
        found[f"before_{name}"], found[f"now_{name}"] = before.gauges[name], value
    return found
