"""Designs compared: the same scenarios and seeds for each, interleaved; with a screen the finalists alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from comparison.figures import comparison_report
from comparison.report import ComparisonReport, DesignSummary
from comparison.words import ranked
from experiment.errors import ExitCode, UsageError
from experiment.jobs import Job, Turn, interleaved, seeds_of
from experiment.suite import Suite
from experiment.units import noun
from measurement.run_records import RunRecord
from reports.repeats import score_text

FINALISTS = 2


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """What is compared. `screen` names the runtime that chooses the finalists first (empty: none)."""

    designs: tuple[str, ...]
    repeats: int
    screen: str = ""
    resume: bool = False
    command: str = ""


# Plays jobs: the name of the folder, the runtime, the jobs, and whether to go on with the latest unfinished
# folder. What has finished of them, and the folder.
Play = Callable[[str, str, Sequence[Job], bool], tuple[list[RunRecord], Path]]


def compare(
    suite: Suite, order: ComparisonOrder, titles: Mapping[str, str], runtime: str, play: Play
) -> tuple[ComparisonReport, Path]:
    """Play all pairs; with a screen, play them there first and the finalists only here. `titles` are those of
    the designs. The report is complete but for what it was made with."""
    if len(set(order.designs)) < 2:
        raise UsageError(f"found {noun(len(set(order.designs)), 'design')}, expected at least two to compare")
    if order.screen == runtime:
        raise UsageError(
            f"found the runtime {order.screen} to screen and to run the finalists, which would play the same "
            "runs again, expected another --runtime, or no --screen"
        )
    screened: tuple[str, ...] = ()
    if order.screen:
        first = replace(order, screen="", resume=False)  # quick, and complete or worth nothing
        report, _ = compare(suite, first, titles, order.screen, play)
        finalists = best(report, FINALISTS)
        screened = (screening(report, finalists),)
        order = replace(order, designs=tuple(name for name in order.designs if name in finalists))
    weights: dict[str, float] = {}
    for entry in suite.entries:
        weights[entry.scenario] = max(weights.get(entry.scenario, 0.0), entry.weight)
    turns = [Turn(design) for design in order.designs]
    jobs = interleaved(list(weights), turns, seeds_of(suite.seed, order.repeats))
    records, folder = play(f"compare-{suite.name}-{runtime}", runtime, jobs, order.resume)
    named = {design: titles[design] for design in order.designs}
    report = comparison_report(suite.name, records, weights, named, order.command, runtime)
    return replace(report, screened=screened), folder


def comparison_exit_code(report: ComparisonReport) -> ExitCode:
    """5 when something was left injected, 2 when a cell has no score or two designs were the same."""
    if report.unclean:
        return ExitCode.CLEANUP_INCOMPLETE
    known = all(cell.score is not None for cell in report.cells)
    return ExitCode.PASS if known and not report.alike else ExitCode.INCONCLUSIVE


def best(report: ComparisonReport, count: int) -> tuple[str, ...]:
    """Fewest vetoes first, then the highest mean score, and every design with as few vetoes whose interval
    reaches that of the last of them; designs without a score last."""
    order = ranked(report.designs)
    rest = [design for design in report.designs if design not in order]
    chosen, others = [*order, *rest][:count], order[count:]
    last = chosen[-1]
    close = [d for d in others if d.vetoes <= last.vetoes and _bounds(last)[0] <= _bounds(d)[1]]
    return tuple(design.design for design in (*chosen, *close))


def screening(report: ComparisonReport, finalists: Collection[str]) -> str:
    """`Screened by simulation, left out: fragile, 37 (35 to 39) with 6 vetoes.`"""
    left_out = [
        f"{design.design}, {score_text(design.score)} with {noun(design.vetoes, 'veto', 'vetoes')}"
        for design in report.designs
        if design.design not in finalists
    ]
    return f"Screened by {', '.join(report.sources)}, left out: {'; '.join(left_out) or 'none'}."


def _bounds(design: DesignSummary) -> tuple[float, float]:
    """Of the mean score; where nothing is known it may be any."""
    return (design.score and design.score.bounds) or (0.0, 100.0)
