"""Runs, one after the other on one running system: play, judge, render; started once and always stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from execution.catalogue import ROOT
from execution.descriptions import run_facts, yardstick
from execution.facts import git_commit, machine, versions
from execution.judging import judge, render
from execution.live_run import LiveRun, Watcher, header_maker
from execution.options import Options
from execution.run_folder import RunFolder, RunInputs, create, write_facts
from execution.runtime_choice import open_runtime, refuse_unsupported
from experiment.plan import Plan
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from runtimes.runtime import Runtime


@dataclass(frozen=True, slots=True)
class RunResult:
    """One finished run; `clean` says that everything injected was seen healed."""

    plan: Plan
    folder: RunFolder
    analysis: Analysis
    clean: bool

    @property
    def verdict(self) -> Verdict:
        return self.analysis.verdict


def reproduce_command(plan: Plan, options: Options) -> str:
    """What to type to repeat the run."""
    words = f"python harness.py run {_name(plan.scenario.source)} --design {_name(plan.design.source)}"
    return f"{words} --seed {plan.seed} {options.words()}".strip()


def _name(source: str) -> str:
    """A path below the project as it would be typed there."""
    root = f"{ROOT}/"
    return source.removeprefix(root)


def run_plans(
    plans: Sequence[Plan],
    options: Options,
    watch: Callable[[Plan], Watcher],
    stop: threading.Event,
    started: Callable[[Runtime], None],
) -> Iterator[RunResult]:
    """Play the plans in order and yield each result as it is there. Ends early when `stop` is set."""
    commit, found = git_commit(ROOT), versions()
    for plan in plans:
        refuse_unsupported(plan, options.runtime)
    with open_runtime(options.runtime, plans[0]) as runtime:
        started(runtime)
        for plan in plans:
            if stop.is_set():
                return
            yield _run(plan, options, runtime, watch(plan), stop, commit, found)


def _run(
    plan: Plan,
    options: Options,
    runtime: Runtime,
    watch: Watcher,
    stop: threading.Event,
    commit: str,
    found: dict[str, str],
) -> RunResult:
    command = reproduce_command(plan, options)
    inputs = RunInputs(
        run_id=plan.run_id,
        runtime=runtime.name,
        scenario=_name(plan.scenario.source),
        design=_name(plan.design.source),
        seed=plan.seed,
        time_scale=options.time_scale,
        population=plan.population.source,
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=found,
        machine=machine(),
        git=commit,
    )
    folder = create(options.out, plan, inputs)
    write_facts(folder, run_facts(plan, inputs.machine, yardstick(plan)))
    ended = LiveRun(plan, runtime, folder, watch, stop).play(
        header_maker(plan, runtime, command, commit, found)
    )
    analysis = judge(folder)
    render(folder)
    return RunResult(plan, folder, analysis, ended.clean)
