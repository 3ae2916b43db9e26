"""What of a system is up: as much of it as the plans need that are played on it."""

from __future__ import annotations

from collections.abc import Sequence

from execution.options import Options
from execution.places import INSTANCES
from execution.runs.live_run import run_settings
from execution.runs.runtime_choice import choose
from experiment.needs import joined
from experiment.plan import Plan
from experiment.stop import Stop
from runtimes.runtime import Runtime


class RunningSystem:
    """The running system of several plans of one system: what any of them needs, started once."""

    def __init__(self, options: Options, plans: Sequence[Plan], stop: Stop) -> None:
        """`plans` are those that are known beforehand; nothing is started yet. `stop` ends a start."""
        self._stop = stop
        self._options = options
        self._plans = plans
        self._runtime: Runtime | None = None

    def runtime_for(self, plan: Plan) -> Runtime:
        """The runtime with all that the plan needs. It starts afresh for a plan that needs more than those
        before it, which happens only to one that was not known beforehand. Raises StartError; Interrupted
        when a signal comes during the start."""
        runtime = self._runtime
        if runtime is not None and plan.system.services.keys() <= runtime.system.services.keys():
            return runtime
        parts = [known.system for known in self._plans] + [plan.system]
        if runtime is not None:
            parts.insert(0, runtime.system)
            self.stop()
        system = joined(parts)
        runtime = choose(self._options.runtime).make(
            system, INSTANCES, self._options.common_image, self._stop
        )
        self._runtime = runtime
        runtime.start(run_settings(plan))
        return runtime

    def stop(self) -> None:
        """Stop what runs; safe to call twice. Raises CleanupError naming what is left."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.stop()
