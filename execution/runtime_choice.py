"""Runtimes by name, and opening one for the length of a `with` block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from execution.catalogue import ROOT
from execution.live_run import run_settings
from experiment.errors import UsageError, nearest
from experiment.plan import Plan
from experiment.topology import System
from runtimes.processes import ProcessesRuntime
from runtimes.runtime import Runtime

INSTANCES = ROOT / "var"

RUNTIMES: dict[str, Callable[[System, Path], Runtime]] = {
    "processes": ProcessesRuntime,
}


@contextmanager
def open_runtime(name: str, plan: Plan) -> Iterator[Runtime]:
    """Start the system of the plan and stop it at the end, whatever happens in between."""
    if name not in RUNTIMES:
        raise UsageError(f'found the runtime "{name}", expected a known one: {nearest(name, RUNTIMES)}')
    runtime = RUNTIMES[name](plan.system, INSTANCES)
    try:
        runtime.start(run_settings(plan))
        yield runtime
    finally:
        runtime.stop()
