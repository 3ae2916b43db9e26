"""`pytest scenarios/`: every scenario file is a test that runs it; registered in pyproject.toml.

pytest scenarios/smoke -k blackhole --design resilient -x
pytest scenarios -m "cause4 and processes" --junit-xml=out.xml
pytest --system examples/shop examples/shop/scenarios
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execution.catalogue import ENDINGS, Catalogue, default_catalogue
from execution.commands.interrupts import Interruption
from execution.commands.session import live_session
from execution.options import CONTAINERS, PROCESSES, RUNTIMES, SIMULATION, Options
from execution.places import RUNS
from execution.runs.bench import Bench, RunResult
from execution.runs.live_run import Progress
from execution.runs.pipeline import open_bench, refuse_impossible
from execution.runs.preflight import Request, plans
from experiment.errors import CodeBlueError, nearest
from experiment.plain_text import block
from experiment.plan import Plan
from experiment.scenario import CAUSES, PRINCIPLES
from experiment.units import LARGEST_SEED
from experiment.verdict import Verdict

STACK = pytest.StashKey[ExitStack]()
BENCH = pytest.StashKey[Bench]()
INTERRUPTION = pytest.StashKey[Interruption]()
UNCLEAN = "clean-up was not complete: something may still be injected"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("code blue")
    group.addoption("--design", action="append", default=[], help="design to run scenarios on")
    group.addoption("--system", type=Path, help="folder of the system, or its system.yaml")
    group.addoption("--scenario-runtime", default=PROCESSES, help="runtime to run scenario files on")
    group.addoption("--scenario-seed", type=int, default=1, help="seed of scenario files")
    group.addoption("--scenario-out", type=Path, default=RUNS, help="where their run folders land")


def pytest_configure(config: pytest.Config) -> None:
    for number in CAUSES:
        config.addinivalue_line("markers", f"cause{number}: scenarios that show cause C{number} of failure")
    for number in PRINCIPLES:
        config.addinivalue_line(
            "markers", f"principle{number}: scenarios that show design principle P{number}"
        )
    for runtime in RUNTIMES:
        config.addinivalue_line("markers", f"{runtime}: scenarios that run on the {runtime} runtime")
    config.stash[STACK] = ExitStack()
    chosen = config.getoption("--scenario-runtime")
    if chosen not in RUNTIMES:
        raise pytest.UsageError(
            f'found the runtime "{chosen}", expected a known one: {nearest(chosen, RUNTIMES)}'
        )
    seed = config.getoption("--scenario-seed")
    if not 0 <= seed <= LARGEST_SEED:
        raise pytest.UsageError(f"found --scenario-seed {seed}, expected 0 to {LARGEST_SEED}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if STACK in config.stash:
        config.stash[STACK].close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario that was named; or one of a system in which a place was: unit tests in a folder
    above it start nothing."""
    if file_path.suffix not in ENDINGS:
        return None
    home = parent.config.invocation_params.dir
    named = {Path(os.path.normpath(home / arg.partition("::")[0])) for arg in parent.config.args}
    if file_path in named or _is_scenario(file_path, named, parent.config):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def _is_scenario(file: Path, named: set[Path], config: pytest.Config) -> bool:
    try:
        catalogue = _catalogue(config, file)
        system = catalogue.system()
        places = (catalogue.system_path.absolute().parent, *system.folders("scenarios"))
        inside = any(name.is_relative_to(place) for name in named for place in places)
        return inside and file in catalogue.scenario_files().values()
    except CodeBlueError:  # a broken system, which is told as soon as one of its scenarios is named
        return False


def _catalogue(config: pytest.Config, file: Path) -> Catalogue:
    return default_catalogue(config.getoption("--system"), [str(file)])


class ScenarioFile(pytest.File):
    """One scenario file; one item for each design asked for."""

    def collect(self) -> Iterator[pytest.Item]:
        chosen = self.config.getoption
        options = Options(runtime=chosen("--scenario-runtime"), out=chosen("--scenario-out").absolute())
        try:
            catalogue = _catalogue(self.config, self.path)
            for design in self.config.getoption("--design") or [catalogue.usual_design()]:
                request = Request(str(self.path), design, self.config.getoption("--scenario-seed"))
                (plan,) = plans([request], catalogue, options)
                name = f"{plan.scenario.name}[{design}]"
                yield ScenarioItem.from_parent(self, name=name, plan=plan, options=options)
        except CodeBlueError as error:
            raise self.CollectError(str(error)) from None


class ScenarioItem(pytest.Item):
    """One run; it fails with the reasons of its verdict."""

    def __init__(self, *, plan: Plan, options: Options, **known: Any) -> None:
        super().__init__(**known)
        self._plan = plan
        self._options = options
        covers = plan.scenario.covers
        for number in covers.causes:
            self.add_marker(f"cause{number}")
        for number in covers.principles:
            self.add_marker(f"principle{number}")
        self.add_marker(CONTAINERS)  # does every fault, where the kernel can: asked when it is chosen
        for runtime in (PROCESSES, SIMULATION):
            if not _refusal(plan, replace(options, runtime=runtime)):
                self.add_marker(runtime)
        self.add_marker(pytest.mark.timeout(0))  # a run has deadlines of its own

    def runtest(self) -> None:
        if refused := _refusal(self._plan, self._options):
            pytest.skip(refused)
        result = self._bench().run(self._plan, _unwatched)
        interruption = self.config.stash[INTERRUPTION]
        if interruption.exit_code is not None:
            said = "interrupted, after clean-up" if result.clean else f"interrupted; {UNCLEAN}"
            pytest.exit(said, returncode=int(interruption.exit_code))
        self.user_properties.append(("verdict", str(result.verdict)))
        self.user_properties.append(("score", result.analysis.score.value))
        self.user_properties.append(("run", str(result.folder.path)))
        if result.verdict is not Verdict.PASS or not result.clean:
            raise NotPassed(result)

    def _bench(self) -> Bench:
        """The system is started by the first item, after sweeping away what was left behind, and stays up for
        the others."""
        stack = self.config.stash[STACK]
        if BENCH not in self.config.stash:
            interruption = stack.enter_context(live_session(self._options.runtime))
            self.config.stash[INTERRUPTION] = interruption
            opened = open_bench([self._plan], self._options, interruption.stop)
            self.config.stash[BENCH] = stack.enter_context(opened)
        return self.config.stash[BENCH]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotPassed):
            return str(excinfo.value)
        if isinstance(excinfo.value, CodeBlueError):
            return f"error: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


def _refusal(plan: Plan, options: Options) -> str:
    """Why the runtime cannot run the plan; empty: it can."""
    try:
        refuse_impossible([plan], options)
    except CodeBlueError as error:
        return str(error)
    return ""


def _unwatched(_progress: Progress) -> None:
    """pytest shows no progress inside a test."""


class NotPassed(Exception):
    """A run whose verdict is not pass."""

    def __init__(self, result: RunResult) -> None:
        lines = [f"verdict {result.verdict}" + (" (safety veto)" if result.analysis.vetoed else "")]
        lines += [] if result.clean else [f"  {UNCLEAN}"]
        lines += [f"  {reason}" for reason in result.analysis.reasons]
        lines += [f"  report: {result.folder.path / 'report.html'}"]
        super().__init__(block("\n".join(lines)))
