"""Where plans are played one after the other: what a run leaves, and how each is judged and rendered."""

from __future__ import annotations

import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from execution.catalogue import Catalogue
from execution.options import Options
from execution.places import ROOT
from execution.program import NAME, git_commit, program
from execution.runs.descriptions import below_root, run_facts, yardstick
from execution.runs.facts import folder_digest, machine, versions
from execution.runs.judging import judge, render, unjudged
from execution.runs.live_run import Watcher
from execution.runs.run_folder import RunFolder, RunInputs, SystemFolder, create
from experiment.asked import asked_of
from experiment.errors import ExitCode, StorageError
from experiment.history import End, Header, History, Note
from experiment.plan import Plan, header_of
from experiment.stop import Interrupted, Stop
from experiment.verdict import Verdict, exit_code
from measurement.analysis import Analysis
from measurement.pressure import GENERATOR, spoilt
from reports.report import RunReport

JUDGED_WITHIN_S = 1.5  # of a run that was interrupted


@dataclass(frozen=True, slots=True)
class RunResult:
    """One finished run; `clean` says that everything injected was seen healed. Whoever keeps many of them
    keeps their histories in memory."""

    plan: Plan
    folder: RunFolder
    report: RunReport
    clean: bool
    history: History

    @property
    def analysis(self) -> Analysis:
        return self.report.analysis

    @property
    def end(self) -> End | None:
        """The last line of its history."""
        return self.history.end

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
    """What the history of a second attempt says of the first. A late load, or what others spoilt, says
    nothing about the system's speed; a safety violation meanwhile happened all the same, and counts in
    the second attempt too."""
    name = first.folder.path.name
    broken = {check.name for check in first.analysis.validity if not check.ok}
    what = "the load generator fell behind" if broken == {GENERATOR} else "others kept the machine busy"
    why = f"second attempt: in {name} {what}, so that its figures say nothing about the system"
    seen = [
        Note(0.0, "violation", f"{check.statement} (first attempt, {name})", check.checker)
        for check in first.analysis.checks
        if check.safety and check.verdict is Verdict.FAIL
    ]
    return (Note(0.0, "warning", why), *seen)


class Bench(ABC):
    """Where plans are played one after the other, and what every run there shares. Made by `open_bench`."""

    def __init__(self, name: str, options: Options, stop: Stop) -> None:
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
    def _design(self, plan: Plan) -> Mapping[str, Mapping[str, Any]]:
        """What the services are to show of the design that they obey."""

    @abstractmethod
    def _facts(self) -> dict[str, Any]:
        """What the header of a history says of this bench, beside what every bench says."""

    @abstractmethod
    def _journaled(self, folder: Path) -> None:
        """Say that a folder is about to be made that is to go when this process dies."""

    @abstractmethod
    def _play(
        self, plan: Plan, folder: RunFolder, header: Header, watch: Watcher, remarks: Sequence[Note]
    ) -> tuple[bool, History]:
        """Write the history; says whether everything injected was seen healed, and what was written."""

    def run(self, plan: Plan, watch: Watcher) -> RunResult:
        """Play one plan, judge it and write its reports.

        A run that is invalid only because its machine was too busy is played once more; see `remarks_on` for
        what is kept of the first attempt.
        """
        result = self._attempt(plan, watch, ())
        if not self._stop.is_set() and spoilt(result.analysis):
            result = self._attempt(plan, watch, remarks_on(result))
        return result

    def _attempt(self, plan: Plan, watch: Watcher, remarks: Sequence[Note]) -> RunResult:
        inputs = self._inputs(plan)
        facts = run_facts(plan, self._machine, yardstick(plan))
        folder = create(self._options.out, plan, inputs, facts, self._journaled)
        clean, history = self._play(plan, folder, inputs.header, watch, remarks)
        again = f"`{NAME} check {folder.path}`"
        try:
            with self._stop.cut_short(JUDGED_WITHIN_S):
                analysis = judge(folder, history, plan.scenario, plan.system, inputs.asked)
                report = render(folder, history, analysis)
        except Interrupted as end:
            unjudged(folder)
            raise Interrupted(end.name, f"the run was not judged: {again} does it") from None
        except OSError as error:
            why = f"the run could not be judged ({error.strerror}); free some space, then {again}"
            raise StorageError(f"{folder.path}: {why}; its history is kept") from None
        return RunResult(plan, folder, report, clean, history)

    def _inputs(self, plan: Plan) -> RunInputs:
        command = reproduce_command(plan, self._options)
        facts = {"git": self._commit, "command": command, "versions": self._versions, **self._facts()}
        home = Path(plan.system.source).parent
        return RunInputs(
            header=header_of(plan, self._name, time.time(), **facts),
            scenario=below_root(plan.scenario.source),
            design=below_root(plan.design.source),
            system=SystemFolder(plan.system.name, below_root(str(home)), _digest(home)),
            time_scale=self._options.time_scale,
            asked=asked_of(plan, self._design(plan)),
            machine=self._machine,
        )


@cache
def _digest(home: Path) -> str:
    """A system is not edited while its runs go on: its folder is read once."""
    return folder_digest(home)
