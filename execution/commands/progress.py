"""What a person sees while runs go on: on a terminal a few lines that are rewritten, elsewhere a line a
phase."""

from __future__ import annotations

import time

from execution.commands.saying import tell_progress
from execution.commands.terminal import SCREEN, labelled, rewrites
from execution.runs.live_run import Progress
from experiment.plan import Plan, PlannedPhase
from experiment.scenario import Expectation
from experiment.units import Bound, noun
from load.account import LoadProgress
from reports.wording import duration, errors_text

EVERY_S = 0.2
MOST_OBJECTIVES = 4


class Runs:
    """Makes the watcher of each run, and numbers them: `expects` says how many more there will be."""

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._begun = 0

    def expects(self, runs: int) -> None:
        self._total = self._begun + runs

    def __call__(self, plan: Plan) -> RunProgress:
        self._begun += 1
        of = f" of {self._total}" if self._total >= self._begun else ""
        watcher = RunProgress(plan, f"run {self._begun}{of}")
        watcher.began()
        return watcher


class RunProgress:
    """Writes to stderr, so that stdout stays for results. The figures are of the latest second."""

    def __init__(self, plan: Plan, number: str) -> None:
        self._plan = plan
        self._number = number
        self._run = f"{plan.scenario.name} on {plan.design.name}, seed {plan.seed}"
        self._live = rewrites()
        self._shown = 0.0
        self._phase = ""

    def began(self) -> None:
        """The run is about to start."""
        if self._live:
            self._shows([("", "begins")])
        else:
            tell_progress(f"{self._number}: {self._run}")

    def __call__(self, progress: Progress) -> None:
        if not self._live:
            if progress.phase != self._phase:
                self._phase = progress.phase
                tell_progress(self._of_phase(progress))
            return
        now = time.monotonic()
        if now - self._shown >= EVERY_S:
            self._shown = now
            self._shows(self.rows(progress))

    def rows(self, progress: Progress) -> list[tuple[str, str]]:
        """Phase, faults, load and objectives, each with its label."""
        phase = f"{progress.phase.replace('_', '-')}, {progress.t:.1f} of {progress.total:.0f} s"
        rows = [("phase", phase), ("fault", "; ".join(progress.faults) or "none")]
        if progress.load is None:
            return [*rows, ("load", "has not begun")]
        met = [text for one in self._objectives(progress.phase) if (text := _beside(one, progress.load))]
        return [*rows, ("load", load_text(progress.load)), *(("p95", text) for text in met[:MOST_OBJECTIVES])]

    def _of_phase(self, progress: Progress) -> str:
        """A line that stands alone in the log of a pipeline."""
        phase = next(one for one in self._plan.phases if one.name == progress.phase)
        until = f"{phase.start_s:.1f} to {phase.end_s:.1f} s of {progress.total:.0f} s"
        told = f"{self._number}: {self._run}: {phase.name.replace('_', '-')}, {until}"
        if faults := self._injected_in(phase):
            told += f"; {'; '.join(faults)}"
        return told if progress.load is None else f"{told}; latest second: {load_text(progress.load)}"

    def _injected_in(self, phase: PlannedPhase) -> list[str]:
        acting = self._plan.activations
        return list(dict.fromkeys(str(one) for one in acting if phase.start_s <= one.start_s < phase.end_s))

    def _objectives(self, phase: str) -> tuple[Expectation, ...]:
        expect = self._plan.scenario.expect
        asked = {"baseline": expect.baseline, "fault": expect.fault, "recovery": expect.after}
        return asked.get(phase, ())

    def _shows(self, rows: list[tuple[str, str]]) -> None:
        warned = [text.endswith(ABOVE) for _, text in rows]
        SCREEN.show(labelled((self._number, self._run), rows, warned))


ABOVE = " (above)"


def load_text(load: LoadProgress) -> str:
    """`12 op/s, p95 93 ms, no errors`."""
    errors = sum(load.errors.values())
    failed = f"{noun(errors, 'error')} ({errors_text(load.errors)})" if errors else "no errors"
    return f"{load.rate} op/s, p95 {duration(load.p95) if load.rate else 'not known'}, {failed}"


def _beside(objective: Expectation, load: LoadProgress) -> str:
    """`pay 93 ms, objective <= 2s`; empty where nothing ended, or no p95 is asked for."""
    found = load.p95_of.get(objective.journey)
    if objective.p95 is None or found is None:
        return ""
    # What is compared with the baseline is judged at the end.
    above = ABOVE if isinstance(objective.p95, Bound) and not objective.p95.holds(found) else ""
    return f"{objective.journey} {duration(found)}, objective {objective.p95.text}{above}"
