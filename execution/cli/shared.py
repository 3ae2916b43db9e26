"""Options and types that several commands take. Imports little, so that quick commands start quickly."""

from __future__ import annotations

import functools
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from execution.options import RUNTIMES, Options
from experiment.units import LARGEST_SEED

SEED = click.IntRange(0, LARGEST_SEED)
json_option = click.option("--json", "as_json", is_flag=True, help="machine-readable output on stdout")


class OutputFile(click.Path):
    """A file to be written: tried before the work, whose result would be lost when it could not be."""

    def __init__(self, *endings: str) -> None:
        super().__init__(dir_okay=False)
        self._endings = endings

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self._endings and path.suffix not in self._endings:
            expected = " or ".join(self._endings)
            self.fail(f"found {path}, expected a file that ends with {expected}", param, ctx)
        known = path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("ab").close()
        except OSError as error:
            reason = f"{path} cannot be written ({error.strerror}), expected a file in a folder of yours"
            self.fail(reason, param, ctx)
        if not known:
            path.unlink()
        return path


class OutputFolder(click.Path):
    """A folder for results: made on trial before the work, like an OutputFile."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
        except OSError as error:
            reason = f"{path} cannot be written to ({error.strerror}), expected a folder of yours"
            self.fail(reason, param, ctx)
        return path


class FiniteRange(click.FloatRange):
    """A number between bounds; `nan` compares false with every bound and is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"found {value}, expected a finite number", param, ctx)
        return number


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
        **own: Any,
    ) -> int:
        options = Options(runtime, time_scale, population, out or Options().out, system, service_image)
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
        )
    ):
        decorated = option(decorated)
    return decorated
