"""What a check of the simulator is: parameters in, rows of expected and simulated figures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from math import isnan
from multiprocessing import get_context
from os import sched_getaffinity
from typing import Any, Literal, TypeVar

from experiment.errors import UsageError, nearest

Result = TypeVar("Result")

ALONE_S = 1.0
SIGMAS = 3.0
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a case. `name` is a Python name; on the command line `_` becomes `-`."""

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One quantity. `standard_error` is that of the simulated figure, 0 where nothing is random."""

    quantity: str
    expected: float
    simulated: float
    standard_error: float
    verdict: Literal["pass", "fail"]

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        return {key: None if isinstance(v, float) and isnan(v) else v for key, v in plain.items()}


@dataclass(frozen=True, slots=True)
class Case:
    """`run` takes every parameter by name. `source` is where the expected figures come from."""

    name: str
    title: str
    source: str
    parameters: tuple[Parameter, ...]
    run: Callable[..., list[CheckRow]]

    def check(self, **given: Any) -> list[CheckRow]:
        """Run with the defaults of what is not given. Raises UsageError for an unknown or wrong parameter."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name, value in given.items():
            if name not in known:
                raise UsageError(f'{self.name} has no parameter "{name}"; {nearest(name, known)}')
            choices = known[name].choices
            if choices and value not in choices:
                raise UsageError(f"{known[name].option}: found {value}, expected one of {', '.join(choices)}")
        values = {name: parameter.default for name, parameter in known.items()} | given
        try:
            return self.run(**values)
        except ValueError as error:
            raise UsageError(f"{self.name}: {error}") from None


def row(
    quantity: str,
    expected: float,
    simulated: float,
    standard_error: float = 0.0,
    *,
    within: float | None = None,
) -> CheckRow:
    """A row that passes within three standard errors, or, where `within` is given, within that share of the
    expected figure (or three standard errors when a short run leaves more room than that)."""
    off = abs(simulated - expected)
    room = SIGMAS * standard_error + ROUNDING
    if within is not None:
        room = max(room, within * abs(expected))
    verdict: Literal["pass", "fail"] = "pass" if off <= room else "fail"
    return CheckRow(quantity, expected, simulated, standard_error, verdict)


def at_most(quantity: str, bound: float, simulated: float, standard_error: float = 0.0) -> CheckRow:
    """A row whose expected figure is an upper bound."""
    return CheckRow(quantity, bound, simulated, standard_error, "pass" if simulated <= bound else "fail")


def at_least(quantity: str, bound: float, simulated: float, standard_error: float = 0.0) -> CheckRow:
    """A row whose expected figure is a lower bound."""
    return CheckRow(quantity, bound, simulated, standard_error, "pass" if simulated >= bound else "fail")


def require(condition: bool, message: str) -> None:
    """Refuse parameters for which there is no expected figure."""
    if not condition:
        raise ValueError(message)


def spread(work: Callable[..., Result], arguments: Sequence[tuple[Any, ...]]) -> list[Result]:
    """`work(*a)` for each, in order, over the machine's cores, on whose number no result depends.

    Short work stays in this process: starting others takes longer than it.
    """
    results: list[Result] = []
    until = time.monotonic() + ALONE_S
    for each in arguments:
        if results and time.monotonic() > until:
            break
        results.append(work(*each))
    rest = arguments[len(results) :]
    cores = min(len(sched_getaffinity(0)), len(rest))
    if cores <= 1:
        return results + [work(*each) for each in rest]
    with ProcessPoolExecutor(cores, mp_context=get_context("forkserver")) as pool:
        return results + list(pool.map(work, *zip(*rest, strict=True)))
