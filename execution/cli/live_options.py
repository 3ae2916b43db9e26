"""The options of every command that runs the system."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from execution.cli.parameters import FiniteRange, OutputFolder
from execution.options import RUNTIMES, Options
from experiment.units import LARGEST_SEED

SEED = click.IntRange(0, LARGEST_SEED)
calibration_option = click.option(
    "--calibration", type=click.Path(path_type=Path), help="sizes of the twin, from `calibrate`"
)


def live_options(function: Callable[..., int]) -> Callable[..., int]:
    """Options of every command that runs the system; the command gets them as one `options`."""

    @functools.wraps(function)
    def taking(
        *args: Any,
        runtime: str,
        time_scale: float,
        population: Path | None,
        system: Path | None,
        service_image: str,
        out: Path | None,
        calibration: Path | None,
        **own: Any,
    ) -> int:
        options = Options(
            runtime, time_scale, population, out or Options().out, system, service_image, calibration
        )
        return function(*args, options=options, **own)

    decorated: Callable[..., int] = taking
    for option in reversed(
        (
            click.option(
                "--runtime", type=click.Choice(RUNTIMES), default=RUNTIMES[0], show_default=True, help="where"
            ),
            click.option(
                "--time-scale",
                type=FiniteRange(0.1, 100),
                default=1.0,
                show_default=True,
                help="longer or shorter phases",
            ),
            click.option("--population", type=click.Path(path_type=Path), help="folder of FHIR R4 bundles"),
            click.option("--system", type=click.Path(path_type=Path), help="system.yaml of another system"),
            click.option(
                "--service-image", default="", help="image that holds the services, for --runtime containers"
            ),
            click.option("--out", type=OutputFolder(), help="where run folders land"),
            calibration_option,
        )
    ):
        decorated = option(decorated)
    return decorated
