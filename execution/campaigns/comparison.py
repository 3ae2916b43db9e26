"""Where a comparison's runs are played, and its files written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from comparison.compare import ComparisonOrder, compare
from comparison.formats import COMPARISON_FORMATS
from comparison.report import ComparisonReport, DesignDifferences, Difference
from execution.campaigns.campaign import Home, Hooks, begin, play, prepare, resume
from execution.catalogue import Catalogue
from execution.options import Options
from execution.places import ROOT
from execution.program import git_commit
from execution.runs.facts import machine
from execution.spelling import design_rows
from execution.whole_files import write_whole
from experiment.jobs import Job
from experiment.short_names import short_names
from experiment.stop import Stop
from experiment.suite import Suite
from experiment.topology import System
from measurement.run_records import RunRecord


def run_comparison(
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    order: ComparisonOrder,
    hooks: Hooks,
    stop: Stop,
) -> tuple[ComparisonReport, Path]:
    """Run all pairs and write the comparison into the campaign's folder."""

    def played(name: str, runtime: str, jobs: Sequence[Job], again: bool) -> tuple[list[RunRecord], Path]:
        with stop.cut_short(0.0):  # nothing has begun
            prepared = prepare(jobs, Home(catalogue, replace(options, runtime=runtime)))
        conditions = prepared.conditions()
        if again:
            campaign = resume(options.out, name, jobs, conditions, COMPARISON_FORMATS)
        else:
            campaign = begin(options.out, name, jobs, conditions)
        for _record in play(campaign, prepared, hooks, stop):
            pass
        return campaign.records(), campaign.folder

    system = catalogue.system()
    titles = {design: catalogue.design(design, system).title for design in order.designs}
    report, folder = compare(suite, order, titles, options.runtime, played)
    differences = _differences(report, order.designs, catalogue, system)
    report = replace(report, machine=machine(), git=git_commit(ROOT), differences=differences)
    for file, rendering in COMPARISON_FORMATS.items():
        write_whole(folder / file, rendering(report))
    return report, folder


def _differences(
    report: ComparisonReport, designs: Sequence[str], catalogue: Catalogue, system: System
) -> tuple[DesignDifferences, ...]:
    """The first of the designs that were compared against each other one."""
    compared = {design.design for design in report.designs}
    left = {name: words for words, name in short_names(designs).items() if name in compared}
    names = [design.design for design in report.designs]
    first = catalogue.design(left[names[0]], system)
    return tuple(
        DesignDifferences(
            name,
            names[0],
            tuple(
                Difference(*row) for row in design_rows(first, catalogue.design(left[name], system), system)
            ),
        )
        for name in names[1:]
    )
