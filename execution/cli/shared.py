"""Options that several commands take. Imports little, so that quick commands start quickly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from execution.options import Options


json_option = click.option("--json", "as_json", is_flag=True, help="machine-readable output on stdout")


def live_options(function: click.decorators.FC) -> click.decorators.FC:
    """Options that every command that runs the system takes."""
    for option in reversed(
        (
            click.option(
                "--runtime",
                default="processes",
                show_default=True,
                help="processes, containers or simulation",
            ),
            click.option(
                "--time-scale", type=click.FloatRange(0.1, 100), default=1.0, help="longer or shorter phases"
            ),
            click.option("--population", type=click.Path(path_type=Path), help="folder of FHIR R4 bundles"),
            click.option("--system", type=click.Path(path_type=Path), help="system.yaml of another system"),
            click.option("--out", type=click.Path(path_type=Path), help="where run folders land"),
        )
    ):
        function = option(function)
    return function


def options_of(
    runtime: str, time_scale: float, population: Path | None, system: Path | None, out: Path | None
) -> Options:
    from execution.options import Options

    return Options(runtime, time_scale, population, Options().patients, out or Options().out, system)
