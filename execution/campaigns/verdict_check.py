"""What the verdict itself is worth: finished runs, changed in hundreds of ways, judged again.

A digest guards against accident only. So every change is judged twice: with the run's manifest as it is,
where anything changed must be refused, and with a manifest made anew, as a writer would leave it that is
honest and wrong. There the evidence itself must give the change away.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from execution.campaigns.verdict_figures import Got, Tried, VerdictFigures
from execution.catalogue import Catalogue, unique
from execution.options import SIMULATION, Options
from execution.runs.manifest import EVIDENCE, HISTORY, JUDGEMENT, MANIFEST, VALUES, seal
from execution.runs.preflight import Request, plans
from execution.runs.run_folder import CODE, FACTS, RunFolder
from execution.runs.simulated_bench import SimulatedBench
from experiment.errors import CodeBlueError, UnsupportedError, UsageError
from experiment.history_columns import COLUMNS, remove_columns
from experiment.stop import Stop
from experiment.suite import Suite, load_suite
from experiment.units import noun
from experiment.verdict import Verdict
from measurement.analysis import Analysis
from measurement.judge import analyse
from measurement.mutations import Mutant, Source, mutants

PARTS = (*VALUES, "run.json")
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """A finished run and its own verdict; `suite` is whose run it is."""

    suite: str
    folder: RunFolder
    analysis: Analysis

    @property
    def name(self) -> str:
        return self.folder.path.name


@dataclass(frozen=True, slots=True)
class VerdictTrials:
    """How many mutants of the runs of each suite, and the seed that draws them."""

    number: int = 300
    seed: int = 1


def check_verdicts(runs: Sequence[Judged], trials: VerdictTrials, stop: Stop, told: Told) -> VerdictFigures:
    """`number` mutants for each suite, spread over its runs. Raises UsageError for runs that leave nothing to
    mix, or to change."""
    found: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="codeblue-verdict-") as folder:
        for suite in dict.fromkeys(run.suite for run in runs):
            mine = [run for run in runs if run.suite == suite]
            for number, run in enumerate(mine):
                share = trials.number // len(mine) + (number < trials.number % len(mine))
                other = next((one for one in [*mine, *runs] if one.name != run.name), None)
                if other is None:
                    raise UsageError(f"found one run of {suite}, expected another one to mix it with")
                found += _tried(run, other, share, trials.seed, Path(folder), stop)
                told(f"{suite}: {run.name} ({run.analysis.verdict}): {noun(share, 'mutant')}")
    if not found:
        raise UsageError("found no run to change, expected one at least")
    return VerdictFigures(tuple(found))


def _tried(run: Judged, other: Judged, share: int, seed: int, folder: Path, stop: Stop) -> Iterator[Tried]:
    bench = _Bench(run, folder)
    header = run.folder.inputs().header
    # Not the folder's name: that has the time in it, and each play of a run would be changed in other ways.
    source = Source(header.run_id, _lines(run), _lines(other), _parts(run), _parts(other))
    for mutant in mutants(source, share, seed):
        if stop.is_set():
            return
        sealed, _ = bench.judged(mutant, anew=False)
        got, why = bench.judged(mutant, anew=True)
        yield Tried(
            suite=run.suite,
            run=run.name,
            source=header.source,
            kind=mutant.kind,
            seed=mutant.seed,
            told=mutant.told,
            answer=mutant.answer,
            verdict=Got.of(run.analysis),
            got=got,
            sealed=sealed,
            why=why,
        )


def _lines(run: Judged) -> tuple[bytes, ...]:
    return tuple(run.folder.history_path.read_bytes().splitlines(True))


def _parts(run: Judged) -> dict[str, bytes]:
    return {name: (run.folder.path / name).read_bytes() for name in PARTS}


class _Bench:
    """A folder in which the mutants of one run lie, one after the other."""

    def __init__(self, run: Judged, folder: Path) -> None:
        self._run = run
        self._folder = RunFolder(folder / run.name)
        self._folder.path.mkdir(exist_ok=True)
        own = run.folder.path
        for name in (*EVIDENCE, FACTS, MANIFEST, JUDGEMENT):
            shutil.copyfile(own / name, self._folder.path / name)
        if (own / CODE).is_dir():
            shutil.copytree(own / CODE, self._folder.path / CODE, dirs_exist_ok=True)
        self._columns = {name: (own / name).read_bytes() for name in COLUMNS if (own / name).exists()}
        self._manifest = (own / MANIFEST).read_bytes()
        self._own = _parts(run)

    def judged(self, mutant: Mutant, anew: bool) -> tuple[Got, str]:
        """What the mutant gets, and the first reason; `anew`: with a manifest that fits it, and without the
        columns of the run, which tell a change by the digest of the lines alone."""
        path = self._folder.path
        (path / HISTORY).write_bytes(b"".join(mutant.lines))
        for name, content in {**self._own, **self._columns, **mutant.parts}.items():
            (path / name).write_bytes(content)
        (path / MANIFEST).write_bytes(self._manifest)
        if anew:
            remove_columns(path)
            seal(path)
        try:
            folder = self._folder
            history = folder.history()
            found = analyse(history, folder.scenario(), folder.system(), folder.inputs().asked)
        except CodeBlueError as error:
            return Got.REFUSED, str(error).replace(str(path), self._run.name)
        except Exception as error:  # noqa: BLE001  a traceback is an answer that nobody may get
            return Got.ERROR, f"{type(error).__name__}: {error}"
        return Got.of(found), found.reasons[0] if found.reasons else ""


# Where runs come from.


def stored(paths: Sequence[Path], system: Path | None) -> list[Judged]:
    """Run folders that lie at hand, each judged by what it holds. Raises HistoryError, UsageError."""
    found: list[Judged] = []
    for path in paths:
        folder = RunFolder(path, system)
        history = folder.history()
        if history.end is None or history.end.reason != "completed":
            raise UsageError(f"found a run that was not completed in {path}, expected a finished one")
        analysis = analyse(history, folder.scenario(), folder.system(), folder.inputs().asked)
        if not (path / MANIFEST).is_file():
            raise UsageError(f"found no {MANIFEST} in {path}, expected that of a judged run")
        found.append(Judged(folder.inputs().system.name, folder, analysis))
    return found


def simulated(
    catalogue: Catalogue, names: Sequence[str], options: Options, stop: Stop, told: Told
) -> list[Judged]:
    """The entries of these suites on the twin, once each: what two suites have is the first one's. Entries
    that the twin cannot play are told and left out."""
    found: list[Judged] = []
    asked: set[Request] = set()
    for name in names:
        suite = catalogue.suite(catalogue.suite_path(name))
        for request in _requests(suite, asked):
            if stop.is_set():
                return found
            try:
                (plan,) = plans([request], catalogue, options)
                bench = SimulatedBench([plan], options, stop)
            except UnsupportedError as error:
                told(f"{name}: {request.scenario} on {request.design} is left out: {error}")
                continue
            result = bench.run(plan, lambda _progress: None)
            if result.verdict is not Verdict.INVALID:
                found.append(Judged(name, result.folder, result.analysis))
            else:
                told(
                    f"{name}: {request.scenario} on {request.design} is invalid: {result.analysis.reasons[0]}"
                )
    return found


def _requests(suite: Suite, asked: set[Request]) -> list[Request]:
    """Each scenario on each design once that was not asked for before; they are `asked` from now on."""
    every = dict.fromkeys(Request(one.scenario, one.design, suite.seed) for one in suite.entries)
    new = [request for request in every if request not in asked]
    asked.update(new)
    return new


def usual_suites(catalogue: Catalogue) -> tuple[str, ...]:
    """Every suite of the system with entries of its own, the shortest first: a large suite that has the
    entries of small ones comes after them."""
    found: dict[str, int] = {}
    for name in unique(catalogue.suite_files()):
        with suppress(CodeBlueError):
            found[name] = len(load_suite(catalogue.suite_path(name)).entries)
    return tuple(sorted((name for name in found if found[name]), key=lambda name: (found[name], name)))


def twin_options(out: Path) -> Options:
    """Runs that are kept only as long as they are needed."""
    return Options(SIMULATION, out=out)
