"""What a person sees while a run goes on: one line that is rewritten; off a terminal nothing."""

from __future__ import annotations

import sys
import time

from execution.commands.saying import rewrite
from execution.runs.live_run import Progress
from experiment.plan import Plan


class ProgressLine:
    """Writes to stderr, so that stdout stays for results."""

    def __init__(self, plan: Plan, quiet: bool) -> None:
        self._title = f"{plan.scenario.name} on {plan.design.name}, seed {plan.seed}"
        self._live = sys.stderr.isatty() and not quiet
        self._shown = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._live and now - self._shown >= 0.2:
            self._shown = now
            rewrite(line(self._title, progress))

    def close(self) -> None:
        if self._live:
            rewrite("")


def line(title: str, progress: Progress) -> str:
    """Phase, fault, rate, p95 and errors of the latest second, in one line."""
    load = progress.load
    figures = ""
    if load is not None:
        p95 = f"{load.p95 * 1000:.0f} ms"
        figures = f"  {load.rate:.0f} op/s  p95 {p95}  errors {sum(load.errors.values())}"
    fault = f"  [{'; '.join(progress.faults)}]" if progress.faults else ""
    return f"{progress.t:5.1f}/{progress.total:.0f} s  {title}  {progress.phase}{figures}{fault}"
