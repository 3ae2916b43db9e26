"""The figures of a run in flight, as the live page draws them."""

from __future__ import annotations

from typing import Any

from execution.runs.live_run import Progress
from experiment.plan import Plan
from experiment.scenario import Expectation
from experiment.units import Bound
from load.account import LoadProgress
from reports import plot_data, svg
from reports.objective_lines import ALL, ObjectiveLine
from reports.system_map import MapLink, SystemMap, drawing

RANGE_S = (0.001, 10.0)  # of the latencies, so that the axis stands still


class LiveFigures:
    """One run: a point for each second that the load has told of, and the faults as they come and go."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._points: list[LoadProgress] = []
        self._windows: list[tuple[str, float, float | None]] = []
        self._latest: Progress | None = None
        self._objectives = tuple(_objectives(plan))

    def add(self, progress: Progress) -> None:
        """What a watcher sees."""
        self._latest = progress
        if progress.load is not None and (not self._points or progress.load.t > self._points[-1].t):
            self._points.append(progress.load)
        acting = {name for name, _, end in self._windows if end is None}
        for name in progress.faults:
            if name not in acting:
                self._windows.append((name, progress.t, None))
        self._windows = [
            (name, start, progress.t if end is None and name not in progress.faults else end)
            for name, start, end in self._windows
        ]

    def state(self) -> dict[str, Any]:
        """As plain data: words, plots and the drawing of the system."""
        plan, latest = self._plan, self._latest
        words = {
            "run": f"{plan.scenario.name} on {plan.design.name}, seed {plan.seed}",
            "phase": latest.phase.replace("_", " ") if latest else "begins",
            "t": round(latest.t, 1) if latest else 0.0,
            "total": plan.phases[-1].end_s,
            "faults": list(latest.faults) if latest else [],
        }
        return {**words, "figures": self._figures(), "map": self._map()}

    def _figures(self) -> dict[str, Any]:
        times = [round(point.t, 2) for point in self._points]
        journeys = sorted({name for point in self._points for name in point.p95_of})
        told = [("all", [point.p95 if point.rate else None for point in self._points])]
        told += [(name, [point.p95_of.get(name) for point in self._points]) for name in journeys]
        slow = [
            plot_data.line(name, values, svg.INK if name == ALL else svg.SERIES[place % 7], spans=name != ALL,
                           dash=plot_data.DASHED[place % 4], wide=name == ALL)
            for place, (name, values) in enumerate(told)
        ]  # fmt: skip
        rate = [plot_data.line("ended", [point.rate for point in self._points], svg.BLUE, filled=True)]
        failed: list[float | None] = [sum(point.errors.values()) for point in self._points]
        panels = [
            plot_data.panel("operations/s", "rate", times, rate),
            plot_data.panel("p95", "seconds", times, slow, self._objectives),
            plot_data.panel(
                "errors/s", "rate", times, [plot_data.line("errors", failed, svg.VERMILLION, filled=True)]
            ),
        ]
        now = self._latest.t if self._latest else 0.0
        windows = [[start, now if end is None else end] for _, start, end in self._windows]
        phases = [[phase.start_s, phase.name.replace("_", " ")] for phase in self._plan.phases]
        return {
            "panels": panels,
            "windows": windows,
            "phases": phases,
            "end": self._plan.phases[-1].end_s,
            "range": RANGE_S,
        }

    def _map(self) -> str:
        """The links and services that are faulted now."""
        acting = set(self._latest.faults) if self._latest else set()
        kinds: dict[str, tuple[str, ...]] = {}
        for one in self._plan.activations:
            if str(one) in acting:
                kinds[one.target] = tuple(dict.fromkeys((*kinds.get(one.target, ()), one.fault.kind)))
        links = tuple(
            MapLink(link.caller, link.callee, kinds.get(link.name, ())) for link in self._plan.system.links
        )
        return drawing(SystemMap(links, {name: of for name, of in kinds.items() if " -> " not in name}))


def _objectives(plan: Plan) -> list[ObjectiveLine]:
    """Absolute bounds of p95; those beside the baseline are known when it is over."""
    expect = plan.scenario.expect
    asked: dict[str, tuple[Expectation, ...]] = {
        "baseline": expect.baseline, "fault": expect.fault, "recovery": expect.after
    }  # fmt: skip
    return [
        ObjectiveLine(
            one.journey, "p95", one.p95.limit, phase.start_s, phase.end_s, f"{one.journey} p95 {one.p95.text}"
        )
        for phase in plan.phases
        for one in asked.get(phase.name, ())
        if isinstance(one.p95, Bound)
    ]
