"""First looks at a system without a scenario of its own: one run over all links, or one for each place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from discovery.looks import Place, first_look, places
from execution.catalogue import Catalogue
from execution.options import SIMULATION, Options
from execution.places import ROOT
from execution.program import git_commit
from execution.runs.bench import RunResult
from execution.runs.live_run import Watcher
from execution.runs.pipeline import refuse_impossible, run_plans
from execution.runs.preflight import Request, plans
from execution.runs.run_folder import fresh_folder
from execution.runs.runtime_choice import choose
from execution.whole_files import write_whole
from experiment.errors import ExitCode, UnsupportedError, gravest
from experiment.plan import Plan
from experiment.stop import Stop
from experiment.topology import System
from reports.report import summarise
from reports.scan import SCAN_FORMATS, Cell, ScanReport
from simulation.model.models import models_of


@dataclass(frozen=True, slots=True)
class Asked:
    """What a look is about: the design, the seed of its runs, and visits a second as text (`4/s`)."""

    design: str
    seed: int
    rate: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """A run that is about to be played; `left` are the links that have no turn in it."""

    plan: Plan
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found, and where its pages are."""

    report: ScanReport
    folder: Path
    exit_code: ExitCode


def judged_properties(system: System, runtime: str) -> tuple[str, ...]:
    """The safety properties that runs are judged by: on a twin without models of its own none, since it knows
    nothing of what services keep."""
    if runtime == SIMULATION and models_of(system).general:
        return ()
    return tuple(name for name, stated in system.properties.items() if stated.safety)


def losing_links(system: System, runtime: str) -> tuple[str, ...]:
    """The links on which answers can be lost: the callee, or the proxy before it, plays that."""
    proxies = runtime == SIMULATION or choose(runtime).proxies_know()
    tellable = (one for one in system.links if one.protocol == "http")
    behaviour = {name: one.control.behaviour for name, one in system.services.items()}
    return tuple(one.name for one in tellable if proxies or behaviour[one.callee] is not None)


def plan_look(catalogue: Catalogue, options: Options, asked: Asked) -> Look:
    """The plan of a first look; its scenario is written below the folder of results. Raises as `plans`."""
    system = catalogue.system()
    judged = judged_properties(system, options.runtime)
    text, left = first_look(system, asked.rate, judged, losing_links(system, options.runtime))
    folder = fresh_folder(options.out, f"try-{system.name}")
    path = folder / "try.yaml"
    write_whole(path, text)
    (plan,) = plans([Request(str(path), asked.design, asked.seed)], catalogue, options)
    return Look(plan, left)


def scan(
    catalogue: Catalogue,
    options: Options,
    asked: Asked,
    watch: Callable[[Plan], Watcher],
    started: Callable[[str], None],
    finished: Callable[[Cell], None],
    stop: Stop,
) -> Scan:
    """Play every place that the runtime can, and write the pages, also when it was interrupted."""
    system = catalogue.system()
    folder = fresh_folder(options.out, f"scan-{system.name}")
    known = places(system, asked.rate, judged_properties(system, options.runtime))
    prepared: dict[str, tuple[Place, Plan]] = {}
    cells: dict[tuple[str, str], Cell] = {}
    for place in known:
        path = folder / "scenarios" / f"{place.name}.yaml"
        path.parent.mkdir(exist_ok=True)
        write_whole(path, place.text)
        (plan,) = plans([Request(str(path), asked.design, asked.seed)], catalogue, options)
        try:
            refuse_impossible([plan], options)
        except UnsupportedError as error:
            cells[place.target, place.kind] = Cell(place.target, place.kind, impossible=_why(str(error)))
        else:
            prepared[plan.run_id] = (place, plan)
    codes: set[ExitCode] = set()
    playable = [plan for _, plan in prepared.values()]
    if playable:
        for result in run_plans(playable, options, watch, stop, started):
            place, _ = prepared[result.plan.run_id]
            cell = _cell(place, result, folder)
            cells[place.target, place.kind] = cell
            codes.add(result.exit_code)
            finished(cell)
    report = ScanReport(
        name=system.name,
        design=asked.design,
        runtime=options.runtime,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=asked.command,
        cells=tuple(cells.get((place.target, place.kind), Cell(place.target, place.kind)) for place in known),
        git=git_commit(ROOT),
    )
    for file, rendering in SCAN_FORMATS.items():
        write_whole(folder / file, rendering(report))
    unplayed = any(not cell.verdict and not cell.impossible for cell in report.cells)
    return Scan(report, folder, gravest({*codes, *((ExitCode.INCONCLUSIVE,) if unplayed else ())}))


def _why(error: str) -> str:
    """The reason without the file that was written a moment ago."""
    return error.splitlines()[0].partition("found ")[2] or error


def _cell(place: Place, result: RunResult, folder: Path) -> Cell:
    summary = summarise(result.report)
    run = result.folder.path
    link = f"../{run.name}/report.html" if run.parent == folder.parent else str(run / "report.html")
    return Cell(
        place.target,
        place.kind,
        verdict=summary.verdict,
        vetoed=summary.vetoed,
        score=summary.score,
        headline=summary.headline,
        link=link,
    )
