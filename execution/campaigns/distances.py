"""The twin beside live runs: calibrated from one, and how far it is from several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec

from execution.campaigns.suite import suite_of
from execution.catalogue import Catalogue
from execution.options import SIMULATION, Options
from execution.runs.bench import RunResult
from execution.runs.preflight import Request, is_suite, population_of
from execution.runs.run_folder import RunFolder
from experiment.errors import ExitCode, HistoryError, UsageError
from experiment.history import History
from experiment.plan import Plan
from experiment.stop import Stop
from measurement.judge import analyse, only_predicted
from simulation.calibration import calibrate as fitted
from simulation.distance import Distance, Pair, distance
from simulation.model.magnitudes import Magnitudes
from simulation.model.models import magnitudes_of, models_of
from simulation.model.run import simulate as played


def _spans(folder: RunFolder) -> list[dict[str, Any]]:
    """The spans of all services of a run."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    found: list[dict[str, Any]] = []
    for path in sorted((folder.path / "traces").glob("*.jsonl")):
        found.extend(decode(line) for line in path.read_bytes().splitlines() if line.endswith(b"}"))
    return found


def _plan_of(folder: RunFolder, options: Options) -> Plan:
    played_by = folder.inputs().header
    people = population_of(folder.system(), options)(played_by.seed)
    if people.source != played_by.population:
        found = f"found the population {people.source}, expected that of the run: {played_by.population}"
        raise UsageError(f"{found}; name it with --population")
    return folder.plan(people)


def calibrated(folder: RunFolder, options: Options, name: str) -> Magnitudes:
    """The twin's magnitudes, fitted to what a live run did before its first fault. Raises HistoryError."""
    return _fitted(folder, _plan_of(folder, options), folder.history(), name)


def _fitted(folder: RunFolder, plan: Plan, history: History, name: str) -> Magnitudes:
    spans, base = _spans(folder), magnitudes_of(plan.system)
    if not spans and not models_of(plan.system).general:
        raise HistoryError(f"{folder.path}: found no traces, expected a live run that kept its spans")
    return fitted(plan, history, spans, base, name=name, made_at=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class TwinOrder:
    """What is compared: the entries of suites and scenarios, `repeats` seeds from `seed` on pooled.

    Without designs a suite has its own, and a scenario the usual ones; without a seed a suite has its own,
    and a scenario 1.
    """

    names: tuple[str, ...]
    designs: tuple[str, ...]
    seed: int | None
    repeats: int


@dataclass(frozen=True, slots=True)
class Compared:
    """One scenario on one design, with the calibration of its last run and the folders of the live ones."""

    found: Distance
    calibration: str
    folders: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, with what the figures amount to."""
        return {
            **msgspec.to_builtins(self.found),
            "same_verdict": self.found.same_verdict,
            "outcome": self.found.outcome,
            "apart": [gap.quantity for gap in self.found.apart],
            "calibration": self.calibration,
            "runs": list(self.folders),
        }


FITTED_WITHIN_S = 1.5  # after a signal
CODES = {"close": ExitCode.PASS, "apart": ExitCode.FAIL, "not known": ExitCode.INCONCLUSIVE}


def distances(
    runs: Iterable[RunResult],
    given: Magnitudes | None,
    codes: set[ExitCode],
    told: Callable[[str], None],
    stop: Stop,
) -> Iterator[Compared]:
    """The distance of each scenario on each design, as its last live run is there. Adds the exit codes: 1
    when a figure or a verdict is apart, 2 when the runs say nothing about the system or nothing could be
    judged, 5 when something injected was not seen healed. Without `given` each run's own baseline gives
    the magnitudes. Raises Interrupted where `stop` cuts the fit short."""
    for _, group in groupby(
        _whole(runs, codes), key=lambda result: (result.plan.scenario.name, result.plan.design.name)
    ):
        one = _compare(group, given, told, stop)
        codes.add(CODES[one.found.outcome])
        yield one


def requests(order: TwinOrder, catalogue: Catalogue) -> list[Request]:
    """The runs of every scenario on every design, by path, so that none is compared twice under two names."""
    first_seeds: dict[tuple[str, str], int] = {}
    for name in order.names:
        path = catalogue.runnable_path(name)
        if is_suite(path):
            suite = suite_of(str(path), order.seed, catalogue, SIMULATION)
            entries = [(entry.scenario, entry.design) for entry in suite.entries]
            seed = suite.seed
        else:
            entries, seed = (
                [(str(path), design) for design in catalogue.usual_designs()],
                1 if order.seed is None else order.seed,
            )
        if order.designs:
            entries = [(scenario, design) for scenario, _ in entries for design in order.designs]
        for scenario, design in entries:
            first_seeds.setdefault((str(catalogue.scenario_path(scenario)), design), seed)
    return [
        Request(scenario, design, seed + number)
        for (scenario, design), seed in first_seeds.items()
        for number in range(order.repeats)
    ]


def _whole(results: Iterable[RunResult], codes: set[ExitCode]) -> Iterator[RunResult]:
    """The runs that were played to their end: one that a signal cut short has nothing to be compared with.

    Adds to `codes` when any run, cut short or not, was not seen healed.
    """
    for result in results:
        if not result.clean:
            codes.add(ExitCode.CLEANUP_INCOMPLETE)
        if result.end is None or result.end.reason != "interrupted":
            yield result


def _compare(
    results: Iterable[RunResult], given: Magnitudes | None, told: Callable[[str], None], stop: Stop
) -> Compared:
    """The distance over all seeds of one scenario and design."""
    pairs: list[Pair] = []
    folders: list[str] = []
    calibration = ""
    for result in results:
        with stop.cut_short(FITTED_WITHIN_S):
            magnitudes = given or _own(result, told)
            pairs.append(_pair(result, magnitudes))
        folders.append(str(result.folder.path))
        calibration = magnitudes.words(_now())
    return Compared(distance(pairs), calibration, tuple(folders))


def _pair(result: RunResult, magnitudes: Magnitudes) -> Pair:
    """A live run and the same plan on the twin."""
    plan, live = result.plan, result.analysis
    history = played(plan, magnitudes)
    scenario, system = plan.scenario, plan.system
    if models_of(system).general:
        # Both sides by what such a twin can be judged by: its verdict would be unknown, and live answers
        # would be wrong for reasons that it does not know.
        scenario, system = only_predicted(scenario, system)
        live = analyse(result.history, scenario, system)
    return Pair(result.history, live, history, analyse(history, scenario, system))


def _own(result: RunResult, told: Callable[[str], None]) -> Magnitudes:
    """What the run's own baseline shows; the uncalibrated sizes where it has none."""
    try:
        return _fitted(result.folder, result.plan, result.history, "own baseline")
    except HistoryError as error:
        told(f"not calibrated: {error}")
        return magnitudes_of(result.plan.system)
