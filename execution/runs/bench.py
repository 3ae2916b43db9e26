"""Where plans are played one after the other: what a run leaves, and how each is judged and rendered."""

from __future__ import annotations

import shlex
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from execution.catalogue import Catalogue
from execution.options import Options
from execution.places import ROOT
from execution.program import git_commit, program
from execution.runs.descriptions import below_root, run_facts, yardstick
from execution.runs.facts import machine, versions
from execution.runs.judging import judge, render
from execution.runs.live_run import Watcher
from execution.runs.run_folder import RunFolder, RunInputs, create, write_facts
from experiment.errors import ExitCode, StorageError
from experiment.history import End, Note
from experiment.plan import Plan
from experiment.verdict import Verdict, exit_code
from measurement.analysis import Analysis


@dataclass(frozen=True, slots=True)
class RunResult:
    """One finished run; `clean` says that everything injected was seen healed, `end` is the last line of its
    history."""

    plan: Plan
    folder: RunFolder
    analysis: Analysis
    clean: bool
    end: End | None

    @property
    def verdict(self) -> Verdict:
        return self.analysis.verdict

    @property
    def exit_code(self) -> ExitCode:
        return exit_code(self.verdict, self.analysis.vetoed, self.end)


def reproduce_command(plan: Plan, options: Options) -> str:
    """What to type to repeat the run, from the folder where results go."""
    catalogue = Catalogue(Path(plan.system.source))
    scenario = catalogue.name_of("scenarios", Path(plan.scenario.source))
    design = catalogue.name_of("designs", Path(plan.design.source))
    words = [*program(), "run", scenario, "--design", design, "--seed", str(plan.seed)]
    return shlex.join([*words, *catalogue.system_words([scenario, design]), *options.words()])


def remarks_on(first: RunResult) -> tuple[Note, ...]:
    """What the history of a second attempt says of the first. A late load says nothing about the system's
    speed; a safety violation under it happened all the same, and counts in the second attempt too."""
    name = first.folder.path.name
    why = (
        f"second attempt: in {name} the load generator fell behind, so that its figures say nothing about "
        "the system"
    )
    seen = [
        Note(0.0, "violation", f"{check.statement} (first attempt, {name})", check.checker)
        for check in first.analysis.checks
        if check.safety and check.verdict is Verdict.FAIL
    ]
    return (Note(0.0, "warning", why), *seen)


def generator_alone_failed(analysis: Analysis) -> bool:
    """Whether the run is invalid for no other reason than a load that came late."""
    return [check.name for check in analysis.validity if not check.ok] == ["generator_kept_up"]


class Bench(ABC):
    """Where plans are played one after the other, and what every run there shares. Made by `open_bench`."""

    def __init__(self, name: str, options: Options, stop: threading.Event) -> None:
        self._name = name
        self._options = options
        self._stop = stop
        self._commit = git_commit(ROOT)
        self._versions = versions()
        self._machine = machine()

    @abstractmethod
    def describe(self) -> str:
        """`processes, Toxiproxy real 2.12.0`."""

    @abstractmethod
    def _play(
        self, plan: Plan, folder: RunFolder, command: str, watch: Watcher, remarks: Sequence[Note]
    ) -> bool:
        """Write the history; says whether everything injected was seen healed."""

    def run(self, plan: Plan, watch: Watcher) -> RunResult:
        """Play one plan, judge it and write its reports.

        A run that is invalid only because the load generator fell behind is played once more; see
        `remarks_on` for what is kept of the first attempt.
        """
        result = self._attempt(plan, watch, ())
        if not self._stop.is_set() and generator_alone_failed(result.analysis):
            result = self._attempt(plan, watch, remarks_on(result))
        return result

    def _attempt(self, plan: Plan, watch: Watcher, remarks: Sequence[Note]) -> RunResult:
        inputs = self._inputs(plan)
        folder = create(self._options.out, plan, inputs)
        write_facts(folder, run_facts(plan, self._machine, yardstick(plan)))
        clean = self._play(plan, folder, inputs.command, watch, remarks)
        try:
            history = folder.history()
            analysis = judge(folder, history)
            render(folder, history)
        except OSError as error:
            again = f"free some space, then `codeblue check {folder.path}`"
            raise StorageError(
                f"{folder.path}: the run could not be judged ({error.strerror}); {again}; its history is kept"
            ) from None
        return RunResult(plan, folder, analysis, clean, history.end)

    def _inputs(self, plan: Plan) -> RunInputs:
        return RunInputs(
            run_id=plan.run_id,
            runtime=self._name,
            scenario=below_root(plan.scenario.source),
            design=below_root(plan.design.source),
            seed=plan.seed,
            time_scale=self._options.time_scale,
            population=plan.population.source,
            command=reproduce_command(plan, self._options),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=self._versions,
            machine=self._machine,
            git=self._commit,
        )
