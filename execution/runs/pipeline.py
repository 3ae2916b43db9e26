"""Runs, one after the other on one running system: play, judge, render; started once and always stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from execution.options import ATTACH, SIMULATION, Options
from execution.places import INSTANCES
from execution.runs.bench import Bench, RunResult
from execution.runs.live_run import LiveRun, Watcher
from execution.runs.run_folder import RunFolder
from execution.runs.running_system import RunningSystem
from execution.runs.runtime_choice import refuse_unsupported
from experiment.attaching import load_allowed
from experiment.errors import UsageError
from experiment.history import Header, History, Note
from experiment.obeyed import wanted_of
from experiment.plan import Plan
from experiment.stop import Stop


class LiveBench(Bench):
    """A system that is up."""

    def __init__(self, system: RunningSystem, first: Plan, options: Options, stop: Stop) -> None:
        """Starts what is needed; `first` is the plan whose design it starts with. Raises StartError."""
        self._system = system
        self._runtime = system.runtime_for(first)
        super().__init__(self._runtime.name, options, stop)

    def describe(self) -> str:
        facts = self._runtime.describe()
        told = f"{facts.name}, Toxiproxy {facts.toxiproxy}"
        return f"{told}; {facts.remark}" if facts.remark else told

    def _design(self, plan: Plan) -> Mapping[str, Mapping[str, Any]]:
        return wanted_of(plan.system, plan.design)

    def _facts(self) -> dict[str, Any]:
        facts = self._runtime.describe()
        return {"toxiproxy": facts.toxiproxy, "versions": {**self._versions, **facts.versions}}

    def _journaled(self, folder: Path) -> None:
        self._runtime.journaled(folder)

    def _play(
        self, plan: Plan, folder: RunFolder, header: Header, watch: Watcher, remarks: Sequence[Note]
    ) -> tuple[bool, History]:
        self._runtime = self._system.runtime_for(plan)
        ended = LiveRun(plan, self._runtime, folder, header, watch, self._stop, remarks).play()
        return ended.clean, ended.history


def refuse_impossible(plans: Sequence[Plan], options: Options) -> None:
    """Raises UnsupportedError or UsageError for what the chosen runtime cannot do; nothing is started."""
    if options.runtime == SIMULATION:
        from execution.runs.simulated_bench import refuse_unmodelled

        refuse_unmodelled(plans)
        return
    if options.calibration is not None:
        found = f"found --calibration {options.calibration} with the runtime {options.runtime}"
        raise UsageError(f"{found}, expected --runtime {SIMULATION}: a live run has its own sizes")
    for plan in plans:
        refuse_unsupported(plan, options.runtime)
    if options.runtime == ATTACH:
        from runtimes.attach.consent import require_consent

        allowed = load_allowed(options.allow) if options.allow is not None else None
        require_consent(plans, allowed, options.yes, INSTANCES)
    elif options.allow is not None or options.yes:
        raise UsageError(f"found --allow or --yes, expected --runtime {ATTACH} with them")


@contextmanager
def open_bench(plans: Sequence[Plan], options: Options, stop: Stop) -> Iterator[Bench]:
    """Start the system for these plans, after refusing what the runtime cannot do; it is always stopped."""
    if options.runtime == SIMULATION:
        from execution.runs.simulated_bench import SimulatedBench

        yield SimulatedBench(plans, options, stop)
        return
    refuse_impossible(plans, options)
    system = RunningSystem(options, plans, stop)
    try:
        yield LiveBench(system, plans[0], options, stop)
    finally:
        system.stop()


def run_plans(
    plans: Sequence[Plan],
    options: Options,
    watch: Callable[[Plan], Watcher],
    stop: Stop,
    started: Callable[[str], None],
) -> Generator[RunResult, None, None]:
    """Play the plans in order and yield each result as it is there. Ends early when `stop` is set."""
    with open_bench(plans, options, stop) as bench:
        started(bench.describe())
        for plan in plans:
            if stop.is_set():
                return
            yield bench.run(plan, watch(plan))
