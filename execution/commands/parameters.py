"""Kinds of values on the command line. Imports little, so that quick commands start quickly."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


class OutputFile(click.Path):
    """A file to be written: tried before the work, whose result would be lost when it could not be. It gets
    the permissions that the user's own mask gives, which is the object of the command's context."""

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
            if ctx is not None and isinstance(ctx.obj, int):
                ctx.call_on_close(partial(_open_up, path, 0o666 & ~ctx.obj))
        return path


def _open_up(path: Path, mode: int) -> None:
    if path.exists():
        path.chmod(mode)


class OutputFolder(click.Path):
    """A folder for results: made on trial before the work, like an OutputFile. Absolute, since what is stored
    of runs must be found from another working directory too."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        import tempfile

        try:
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
        except OSError as error:
            reason = f"{path} cannot be written to ({error.strerror}), expected a folder of yours"
            self.fail(reason, param, ctx)
        return path.absolute()


class Finite(click.types.FloatParamType):
    """A finite number. `nan`, which compares false with every bound, is not one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"found {value}, expected a finite number", param, ctx)
        return number


class FiniteRange(click.FloatRange, Finite):
    """A finite number between bounds."""
