"""Where a comparison's runs are played, and its files written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from comparison.compare import ComparisonOrder, compare
from comparison.formats import COMPARISON_FORMATS
from comparison.report import ComparisonReport
from execution.campaigns.campaign import Home, Hooks, begin, play, prepare, resume
from execution.catalogue import Catalogue
from execution.options import Options
from execution.places import ROOT
from execution.program import git_commit
from execution.runs.facts import machine
from execution.whole_files import write_whole
from experiment.jobs import Job
from experiment.stop import Stop
from experiment.suite import Suite
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
    report = replace(report, machine=machine(), git=git_commit(ROOT))
    for file, rendering in COMPARISON_FORMATS.items():
        write_whole(folder / file, rendering(report))
    return report, folder
