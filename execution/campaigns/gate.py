"""Where the gate's runs are played: each side's own system, and one campaign folder for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from execution.campaigns.campaign import Home, Hooks, Prepared, begin, playing, prepare
from execution.campaigns.revisions import system_at
from execution.campaigns.stored_runs import machine_warnings, scenario_hash, stored_records
from execution.catalogue import Catalogue, default_catalogue
from execution.options import SIMULATION, Options
from execution.program import version_text
from execution.whole_files import write_whole
from experiment.errors import UsageError
from experiment.jobs import Job
from experiment.stop import Stop
from experiment.suite import Suite
from gate.formats import GATE_FORMATS
from gate.play import BASELINE, CANDIDATE, GateOrder, match_of, play_gate, refuse_unlike
from gate.report import GateReport
from measurement.run_records import file_hash
from measurement.score import FORMULA


def run_gate(
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    order: GateOrder,
    hooks: Hooks,
    stop: Stop,
) -> tuple[GateReport, Path]:
    """Play pairs until the gate has decided, and write every output into the campaign's folder."""
    home = Home(catalogue, options)
    sides = sides_of(order, home)
    order = replace(
        order,
        baseline=order.baseline or sides[BASELINE].catalogue.usual_design(),
        candidate=order.candidate or sides[CANDIDATE].catalogue.usual_design(),
    )
    stored = {
        side: found
        for side, what in ((BASELINE, order.baseline), (CANDIDATE, order.candidate))
        if (found := stored_records(what)) is not None
    }
    match = match_of(suite, order, stored)
    with stop.cut_short(0.0):  # nothing has begun
        prepared = prepare(match.jobs(), home, sides)
    refuse_unlike({job: _conditions(prepared, job) for job in prepared.jobs}, stored)
    warnings = code_warnings(prepared)
    warnings += [text for records in stored.values() for text in machine_warnings(records)]
    campaign = begin(options.out, f"gate-{suite.name}", prepared.jobs, prepared.conditions())
    with playing(campaign, prepared, hooks, stop) as play_one:
        scenarios = sides[CANDIDATE].catalogue.scenario_files()
        report = play_gate(match, play_one, stop, scenarios, warnings)
    report = replace(report, version=version_text())
    for file, rendering in GATE_FORMATS.items():
        write_whole(campaign.folder / file, rendering(report))
    return report, campaign.folder


def _conditions(prepared: Prepared, job: Job) -> Mapping[str, object]:
    """What a stored run must share to be a pair with the job's."""
    plan, options = prepared.plans[job], prepared.homes[job].options
    return {
        "source": options.runtime,
        "time_scale": options.time_scale,
        "population": plan.population.source,
        "scenario_hash": scenario_hash(plan.scenario),
        "formula": FORMULA,
    }


def sides_of(order: GateOrder, usual: Home) -> dict[str, Home]:
    """Each side's own system, revision or image; as `usual` where none is given. Raises UsageError for an
    image on a runtime that has none."""
    found: dict[str, Home] = {}
    for side, system, image, revision in (
        (BASELINE, order.baseline_system, order.baseline_image, order.baseline_revision),
        (CANDIDATE, order.candidate_system, order.candidate_image, order.candidate_revision),
    ):
        if image and usual.options.runtime != "containers":
            raise UsageError(
                f"found --{side}-image on the runtime {usual.options.runtime}, which starts no images, "
                "expected --runtime containers"
            )
        catalogue = usual.catalogue
        if system:  # the scenarios of both sides are the same
            catalogue = replace(default_catalogue(system), scenarios_of=catalogue.system_path)
        if revision:
            at = system_at(catalogue.system_path, revision, usual.options.out)
            catalogue = replace(default_catalogue(at), scenarios_of=usual.catalogue.system_path)
        options = replace(
            usual.options,
            system=catalogue.system_path if system or revision else usual.options.system,
            service_image=image or usual.options.service_image,
        )
        found[side] = Home(catalogue, options)
    return found


def code_warnings(prepared: Prepared) -> list[str]:
    """The twin runs system.yaml and designs, never the code of a checkout. Raises UsageError when two
    checkouts do not differ in anything it can see."""
    homes = {job.side: home for job, home in prepared.homes.items()}
    paths = {home.catalogue.system_path.resolve() for home in homes.values()}
    if len(paths) < 2 or any(home.options.runtime != SIMULATION for home in homes.values()):
        return []
    invisible = "code differences are invisible to the twin"
    seen = [
        {_model(prepared, job) for job in prepared.jobs if job.side == side} for side in (BASELINE, CANDIDATE)
    ]
    if seen[0] == seen[1]:
        raise UsageError(
            f"found two checkouts with the same system.yaml and designs on the runtime {SIMULATION}: "
            f"{invisible}, expected --runtime processes or containers"
        )
    return [f"{invisible}: only what system.yaml and the designs say was compared"]


def _model(prepared: Prepared, job: Job) -> tuple[str, bytes]:
    """What the twin sees of a job's system and design."""
    plan = prepared.plans[job]
    design = msgspec.json.encode((plan.design.links, plan.design.services), order="sorted")
    return file_hash(prepared.homes[job].catalogue.system_path), design
