"""One page of several finished runs of a scenario, beside the folder of the first one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from execution.runs.run_folder import RunFolder
from execution.whole_files import write_whole
from experiment.design import differences
from experiment.errors import UsageError
from reports.beside import Side, render_beside
from reports.report import RunReport

Finished = tuple[RunFolder, RunReport]


def write_beside(finished: Sequence[Finished]) -> Path:
    """The page's path. Raises UsageError for runs of several scenarios or systems, and for one run twice."""
    (first, report), *others = finished
    for name, value in (("scenario", report.header.scenario), ("system", report.header.system)):
        for other, its in others:
            found = getattr(its.header, name)
            if found != value:
                raise UsageError(
                    f"{other.path}: found a run of the {name} {found}, expected {value}, as {first.path} is: "
                    "runs of several can be compared by `codeblue compare`"
                )
    if len({run.path.resolve() for run, _ in finished}) < len(finished):
        raise UsageError(f"{first.path}: found the same run twice, expected different ones")
    folder = first.path.resolve().parent
    beside = first.design()
    sides = [
        Side(
            its,
            Path(os.path.relpath(run.path.resolve() / "report.html", folder)).as_posix(),
            () if run is first else tuple(differences(beside, run.design())),
        )
        for run, its in finished
    ]
    page = folder / f"{_name(finished)}.html"
    write_whole(page, render_beside(sides))
    return page


def _name(finished: Sequence[Finished]) -> str:
    """The name of the first run's folder up to its scenario, and the designs."""
    first, report = finished[0]
    stamp = first.path.resolve().name.split("-", 1)[0]
    designs = "-".join(its.header.design for _, its in finished)
    return f"{stamp}-{report.header.scenario}-{designs}-beside"
