"""The two sides of a gate: what each is, where it is played, and whether runs of both can be pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from execution.campaigns.campaign import Home, Job, Prepared
from execution.campaigns.pairing import CONDITIONS, key_of, stem
from execution.campaigns.run_records import RunRecord, file_hash
from execution.catalogue import default_catalogue
from execution.options import SIMULATION
from experiment.errors import UsageError
from measurement.gate import MARGIN
from measurement.score import FORMULA

BASELINE, CANDIDATE = "baseline", "candidate"


@dataclass(frozen=True, slots=True)
class GateOrder:
    """`baseline` and `candidate` are designs, or folders of earlier runs (FOLDER or FOLDER:DESIGN). The
    systems are files or checkouts (None: the catalogue's own), the images those of the services.
    `on_inconclusive` says what too few pairs do to the exit code."""

    baseline: str
    candidate: str
    n_max: int = 7
    margin: float = MARGIN
    on_inconclusive: str = "fail"  # or warn
    min_score: float | None = None
    max_drop: float | None = None
    baseline_system: Path | None = None
    candidate_system: Path | None = None
    baseline_image: str = ""
    candidate_image: str = ""
    command: str = ""


def sides_of(order: GateOrder, usual: Home) -> dict[str, Home]:
    """Each side's own system or image; as `usual` where none is given. Raises UsageError for an image on a
    runtime that has none."""
    found: dict[str, Home] = {}
    for side, system, image in (
        (BASELINE, order.baseline_system, order.baseline_image),
        (CANDIDATE, order.candidate_system, order.candidate_image),
    ):
        if image and usual.options.runtime != "containers":
            raise UsageError(
                f"found --{side}-image on the runtime {usual.options.runtime}, which starts no images, "
                "expected --runtime containers"
            )
        catalogue = default_catalogue(system) if system else usual.catalogue
        options = replace(
            usual.options,
            system=catalogue.system_path if system else usual.options.system,
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


def refuse_unlike(prepared: Prepared, stored: Mapping[str, Sequence[RunRecord]]) -> None:
    """Raises UsageError when runs to be played would be no pairs with those that are stored."""
    known = {key_of(record): record for records in stored.values() for record in records}
    for job, plan in prepared.plans.items():
        record = known.get((stem(job.scenario), job.seed))
        if record is None:
            continue
        options = prepared.homes[job].options
        planned = {
            "source": options.runtime,
            "time_scale": options.time_scale,
            "population": plan.population.source,
            "scenario_hash": file_hash(Path(plan.scenario.source)),
            "formula": FORMULA,
        }
        differing = [
            f"{name} {getattr(record, field) or 'not known'}, now {planned[field]}"
            for field, name in CONDITIONS.items()
            if getattr(record, field) != planned[field]
        ]
        if differing:
            raise UsageError(
                f"found another {'; another '.join(differing)} in {record.folder}, expected the conditions "
                f"of the runs to be played ({job.scenario}, seed {job.seed}), which alone make pairs"
            )
