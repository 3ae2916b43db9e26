"""Runtimes by name, what each can do, and opening one for the length of a `with` block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from execution.catalogue import ROOT
from execution.live_run import run_settings
from experiment.errors import UnsupportedError, UsageError, nearest
from experiment.plan import Plan
from experiment.topology import System
from runtimes.behaviour_controls import BEHAVIOURS
from runtimes.link_controls import IMPAIRMENTS
from runtimes.node_controls import ACTIONS
from runtimes.processes import ProcessesRuntime
from runtimes.runtime import Runtime

INSTANCES = ROOT / "var"


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """`can` maps the kind of a fault's target (link, node, behaviour) to the capabilities of its controls."""

    make: Callable[[System, Path], Runtime]
    can: Mapping[str, frozenset[str]]


RUNTIMES: dict[str, RuntimeChoice] = {
    "processes": RuntimeChoice(
        ProcessesRuntime, {"link": IMPAIRMENTS, "node": ACTIONS, "behaviour": BEHAVIOURS}
    ),
}


def choose(name: str) -> RuntimeChoice:
    """Raises UsageError naming the nearest."""
    if name not in RUNTIMES:
        raise UsageError(f'found the runtime "{name}", expected a known one: {nearest(name, RUNTIMES)}')
    return RUNTIMES[name]


def refuse_unsupported(plan: Plan, runtime: str) -> None:
    """Compare each fault with what the runtime can do. Raises UnsupportedError naming every one it cannot."""
    can = choose(runtime).can
    refused = []
    for spec in plan.scenario.faults:
        able = can.get(spec.fault.target_kind, frozenset())
        if spec.fault.requires not in able:
            known = ", ".join(sorted(able)) or "nothing"
            what = f"{spec.fault.kind} on {spec.target}, which the runtime {runtime} cannot do"
            refused.append(f"{spec.where}: found {what}, expected one of what it can: {known}")
    if refused:
        raise UnsupportedError("\n".join(refused))


@contextmanager
def open_runtime(name: str, plan: Plan) -> Iterator[Runtime]:
    """Start the system of the plan and stop it at the end, whatever happens in between."""
    runtime = choose(name).make(plan.system, INSTANCES)
    try:
        runtime.start(run_settings(plan))
        yield runtime
    finally:
        runtime.stop()
