"""Designs side by side: the same scenarios and seeds for each, interleaved, so that a drift favours none."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from execution.campaigns.campaign import Home, Hooks, Job, begin, play, prepare, resume, seeds_of
from execution.campaigns.comparison_figures import comparison_report
from execution.catalogue import Catalogue
from execution.options import Options
from experiment.errors import ExitCode, UsageError
from experiment.suite import Suite
from experiment.units import noun
from reports.comparison import COMPARISON_FORMATS
from reports.comparison_report import ComparisonReport, DesignSummary
from reports.comparison_words import ranked
from reports.repeats import score_text

FINALISTS = 2


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is: a design, and in a gate the side it plays for."""

    design: str
    side: str = ""


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """What is compared. `screen` names the runtime that chooses the finalists first (empty: none)."""

    designs: tuple[str, ...]
    repeats: int
    screen: str = ""
    resume: bool = False
    command: str = ""


def comparison_jobs(scenarios: Sequence[str], turns: Sequence[Turn], seeds: Sequence[int]) -> tuple[Job, ...]:
    """A, B, B, A for every scenario and seed: scenarios in random order, designs forth and back."""
    rng = random.Random(f"comparison-{seeds[0]}")
    jobs: list[Job] = []
    forth = True
    for seed in seeds:
        order = list(enumerate(scenarios))
        rng.shuffle(order)
        for index, scenario in order:
            ordered = turns if forth else tuple(reversed(turns))
            jobs.extend(Job(index, scenario, turn.design, seed, turn.side) for turn in ordered)
            forth = not forth
    return tuple(jobs)


def compare(
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    order: ComparisonOrder,
    hooks: Hooks,
    stop: threading.Event,
) -> tuple[ComparisonReport, Path]:
    """Run all pairs and write the comparison; with a screen, simulate first and run the finalists only."""
    if len(set(order.designs)) < 2:
        raise UsageError(f"found {noun(len(set(order.designs)), 'design')}, expected at least two to compare")
    if order.screen == options.runtime:
        raise UsageError(
            f"found the runtime {order.screen} to screen and to run the finalists, which would play the same "
            "runs again, expected another --runtime, or no --screen"
        )
    screened: tuple[str, ...] = ()
    if order.screen:
        first = replace(order, screen="", resume=False)  # quick, and complete or worth nothing
        report, _ = compare(suite, catalogue, replace(options, runtime=order.screen), first, hooks, stop)
        finalists = best(report, FINALISTS)
        screened = (screening(report, finalists),)
        order = replace(order, designs=tuple(name for name in order.designs if name in finalists))
    scenarios = tuple(dict.fromkeys(entry.scenario for entry in suite.entries))
    turns = [Turn(design) for design in order.designs]
    jobs = comparison_jobs(scenarios, turns, seeds_of(suite.seed, order.repeats))
    name = f"compare-{suite.name}-{options.runtime}"
    prepared = prepare(jobs, Home(catalogue, options))
    conditions = prepared.conditions()
    if order.resume:
        campaign = resume(options.out, name, jobs, conditions, COMPARISON_FORMATS)
    else:
        campaign = begin(options.out, name, jobs, conditions)
    for _record in play(campaign, prepared, hooks, stop):
        pass
    weights = {
        scenario: max(entry.weight for entry in suite.entries if entry.scenario == scenario)
        for scenario in scenarios
    }
    titles = {design: catalogue.design(design, catalogue.system()).title for design in order.designs}
    report = comparison_report(
        suite.name, campaign.records(), weights, titles, order.command, options.runtime
    )
    report = replace(report, screened=screened)
    for file, rendering in COMPARISON_FORMATS.items():
        (campaign.folder / file).write_text(rendering(report), encoding="utf-8")
    return report, campaign.folder


def comparison_exit_code(report: ComparisonReport) -> ExitCode:
    """5 when something was left injected, 2 when a cell has no score."""
    if report.unclean:
        return ExitCode.CLEANUP_INCOMPLETE
    known = all(cell.score is not None for cell in report.cells)
    return ExitCode.PASS if known else ExitCode.INCONCLUSIVE


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
