"""`calibrate`: the twin, fitted to a live run."""

from __future__ import annotations

from pathlib import Path

import click

from execution.commands.lazy import Pasteable
from execution.commands.option_sets import feed_option, population_option, system_option
from execution.commands.parameters import FILE, OutputFile, json_option
from execution.commands.saying import dump, say, shown
from execution.options import Options


@click.command(
    cls=Pasteable, epilog="Example: codeblue calibrate reports/runs/RUN --out var/calibration.json"
)
@click.argument("run", type=FILE)
@click.option(
    "--out", type=OutputFile(), default="calibration.json", show_default=True, help="File for the sizes."
)
@system_option
@population_option
@feed_option
@json_option
def calibrate(
    run: Path,
    out: Path,
    system: Path | None,
    population: Path | None,
    feeds: tuple[tuple[str, Path], ...],
    as_json: bool,
) -> int:
    """RUN is a run folder. --population and feeds are those that the run used."""
    from dataclasses import asdict

    from execution.campaigns.distances import calibrated
    from execution.runs.run_folder import RunFolder
    from experiment.errors import ExitCode
    from experiment.units import noun
    from simulation.model.magnitudes import save_magnitudes

    found = calibrated(RunFolder(run, system), Options(population=population, feeds=feeds), out.stem)
    save_magnitudes(found, out)
    if as_json:
        made = {
            name: [asdict(call) for call in calls] for name, calls in sorted(found.calls.items()) if calls
        }
        fits = {
            name: {"family": fit.family, "distance": fit.distance, "samples": fit.samples}
            for name, fit in sorted(found.fits.items())
        }
        dump({"file": str(out), "fits": fits, "calls": made})
        return int(ExitCode.PASS)
    for name, fit in sorted(found.fits.items()):
        say(f"{name:36} {fit.family:12} distance {fit.distance:.3f} over {noun(fit.samples, 'sample')}")
    for name, calls in sorted(found.calls.items()):
        if calls:
            say(f"calls of {name}: {', '.join(f'{call.callee} {call.count:.2g}' for call in calls)}")
    say(f"written to {shown(out)}")
    return int(ExitCode.PASS)
