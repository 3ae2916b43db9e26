"""Which links of the journeys that a run plays carried anything: in the baseline, and after the heal.

A link that its journeys are said to use and that carried nothing is wired wrongly, or described so. Of a link
with a fault that alone makes the run invalid; here all are named, so that the description can be put right.
"""

from __future__ import annotations

from collections.abc import Iterable

from experiment.controls import Controls, Traffic
from experiment.errors import CodeBlueError
from experiment.needs import played
from experiment.plan import Plan


class Travelled:
    """Reads what callers' own connections carried, less the harness's probes."""

    def __init__(self, plan: Plan, controls: Controls) -> None:
        self._controls = controls
        journeys = played(plan.system, plan.scenario)
        used = {name for journey in journeys for name in plan.system.journeys[journey].uses}
        self._used = [name for name in plan.system.link_names if name in used]
        self._faulted = list(dict.fromkeys(one.target for one in plan.activations if " -> " in one.target))
        self._before: dict[str, Traffic] = {}

    def begin(self, phase: str) -> None:
        """Note what was carried so far; of baseline and recovery, the others are not judged."""
        names = {"baseline": self._used, "recovery": self._faulted}.get(phase, ())
        self._before = self._read(names)

    def missed(self, phase: str) -> str:
        """A sentence on the links that carried nothing since the phase began; empty when all did."""
        now = self._read(self._before)
        idle = [name for name, one in now.items() if one.since(self._before[name]).carried <= 0]
        if not idle:
            return ""
        when = "in the baseline" if phase == "baseline" else "after the heal, until the load ended"
        return f"{', '.join(idle)} carried nothing {when}"

    def _read(self, names: Iterable[str]) -> dict[str, Traffic]:
        found: dict[str, Traffic] = {}
        for name in names:
            try:
                found[name] = self._controls.link(name).traffic()
            except CodeBlueError:  # what cannot be read is said by whoever needs it
                continue
        return found
