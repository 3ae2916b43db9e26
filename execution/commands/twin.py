"""Commands around the twin and a live run: calibration from one, distance to one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from execution.catalogue import Catalogue, default_catalogue
from execution.commands.live import started, watchers
from execution.commands.saying import dump, say, shown, tell
from execution.commands.session import live_session, suite_of
from execution.options import PROCESSES, SIMULATION, Options
from execution.runs.bench import RunResult
from execution.runs.pipeline import refuse_impossible, run_plans
from execution.runs.preflight import Request, is_suite, plans, population_of
from execution.runs.run_folder import RunFolder
from experiment.errors import ExitCode, HistoryError, UsageError, gravest
from experiment.plan import Plan, make_plan
from experiment.units import noun
from load import outcomes
from measurement.judge import analyse
from simulation.calibration import calibrate as fitted
from simulation.distance import Distance, Pair, distance
from simulation.distance_pages import closing, distance_lines, markdown_page
from simulation.model.magnitudes import Magnitudes, load_magnitudes, save_magnitudes
from simulation.model.run import simulate as played


def _spans(folder: RunFolder) -> list[dict[str, Any]]:
    """The spans of all services of a run. Raises HistoryError when it kept none."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    found: list[dict[str, Any]] = []
    for path in sorted((folder.path / "traces").glob("*.jsonl")):
        found.extend(decode(line) for line in path.read_bytes().splitlines() if line.endswith(b"}"))
    if not found:
        raise HistoryError(f"{folder.path}: found no traces, expected a live run that kept its spans")
    return found


def _plan_of(folder: RunFolder, options: Options) -> Plan:
    inputs, system = folder.inputs(), folder.system()
    people = population_of(options)(inputs.seed)
    return make_plan(folder.scenario(system), system, folder.design(), inputs.seed, people)


def calibrate(run: Path, out: Path, options: Options) -> int:
    """Fit the twin's magnitudes to what a live run did before its first fault, write them, say each fit."""
    folder = RunFolder(run)
    plan = _plan_of(folder, options)
    found = fitted(
        plan, folder.history(), _spans(folder), load_magnitudes(), outcomes, name=out.stem, made_at=_now()
    )
    save_magnitudes(found, out)
    for name, fit in sorted(found.fits.items()):
        say(f"{name:36} {fit.family:12} distance {fit.distance:.3f} over {noun(fit.samples, 'sample')}")
    say(f"written to {shown(out)}")
    return int(ExitCode.PASS)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


DESIGNS = ("fragile", "resilient")  # of a scenario that is named without any


@dataclass(frozen=True, slots=True)
class TwinOrder:
    """What is compared: the entries of suites and scenarios, `repeats` seeds from `seed` on pooled.

    Without designs a suite has its own, and a scenario DESIGNS; without a seed a suite has its own, and a
    scenario 1. The calibration of the options is used for all; without one each run's own baseline is.
    """

    names: tuple[str, ...]
    designs: tuple[str, ...]
    seed: int | None
    repeats: int
    page: Path | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One scenario on one design, with the calibration of its last run and the folders of the live ones."""

    found: Distance
    calibration: str
    folders: tuple[str, ...]


CODES = {"close": ExitCode.PASS, "apart": ExitCode.FAIL, "not known": ExitCode.INCONCLUSIVE}


def twin(order: TwinOrder, options: Options, as_json: bool) -> int:
    """Run live and simulated with the same seeds, and say the distance.

    1 when a figure or a verdict is apart, 2 when the runs say nothing about the system or nothing could be
    judged, 5 when something injected was not seen healed. A signal ends it in order: what was finished is
    told, and the exit code says which signal it was. Raises UsageError for a runtime that is not live.
    """
    if options.runtime == SIMULATION:
        found = f"found --runtime {SIMULATION}, which is the twin itself"
        raise UsageError(f"{found}, expected a live runtime such as {PROCESSES}")
    given = load_magnitudes(options.calibration) if options.calibration is not None else None
    live = replace(options, calibration=None)
    catalogue = default_catalogue(options.system)
    prepared = plans(_requests(order, catalogue), catalogue, live)
    refuse_impossible(prepared, live)
    compared: list[Compared] = []
    codes: set[ExitCode] = set()
    with live_session(live.runtime) as interruption:
        runs = run_plans(prepared, live, watchers(as_json), interruption.stop, started)
        for _, group in groupby(
            _whole(runs, codes), key=lambda result: (result.plan.scenario.name, result.plan.design.name)
        ):
            one = _compare(group, given)
            compared.append(one)
            codes.add(CODES[one.found.outcome])
            if not as_json:
                for line in distance_lines(one.found, one.calibration):
                    say(line)
        if interruption.exit_code is not None:
            codes.add(interruption.exit_code)
    distances = [one.found for one in compared]
    if order.page is not None:
        page = markdown_page([(one.found, one.calibration) for one in compared])
        order.page.write_text(page, encoding="utf-8")
        tell(f"page in {shown(order.page)}")
    if as_json:
        dump([_json(one) for one in compared])
    else:
        say(closing(distances))
    return int(gravest(codes))


def _requests(order: TwinOrder, catalogue: Catalogue) -> list[Request]:
    """The runs of every scenario on every design, by path, so that none is compared twice under two names."""
    first_seeds: dict[tuple[str, str], int] = {}
    for name in order.names:
        path = catalogue.runnable_path(name)
        if is_suite(path):
            suite = suite_of(str(path), order.seed, catalogue)
            entries = [(entry.scenario, entry.design) for entry in suite.entries]
            seed = suite.seed
        else:
            entries, seed = (
                [(str(path), design) for design in DESIGNS],
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


def _compare(results: Iterable[RunResult], given: Magnitudes | None) -> Compared:
    """The distance over all seeds of one scenario and design."""
    pairs: list[Pair] = []
    folders: list[str] = []
    calibration = ""
    for result in results:
        magnitudes = given or _own(result)
        plan = result.plan
        history = played(plan, magnitudes, outcomes)
        simulated = analyse(history, plan.scenario, plan.system)
        pairs.append(Pair(result.folder.history(), result.analysis, history, simulated))
        folders.append(str(result.folder.path))
        calibration = magnitudes.words(_now())
    return Compared(distance(pairs), calibration, tuple(folders))


def _own(result: RunResult) -> Magnitudes:
    """What the run's own baseline shows; the uncalibrated sizes where it has none."""
    folder, base = result.folder, load_magnitudes()
    try:
        history, spans = folder.history(), _spans(folder)
        name = "own baseline"
        return fitted(result.plan, history, spans, base, outcomes, name=name, made_at=_now())
    except HistoryError as error:
        tell(f"not calibrated: {error}")
        return base


def _json(one: Compared) -> dict[str, Any]:
    found = one.found
    return {
        **msgspec.to_builtins(found),
        "same_verdict": found.same_verdict,
        "outcome": found.outcome,
        "apart": [gap.quantity for gap in found.apart],
        "calibration": one.calibration,
        "runs": list(one.folders),
    }
