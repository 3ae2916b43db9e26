"""What a check of the simulator is: parameters in, rows of expected and simulated figures out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import isnan, sqrt
from os import sched_getaffinity
from typing import Any, Literal, TypeVar

from scipy.optimize import brentq
from scipy.stats import binom

from experiment.errors import UsageError, nearest
from simulation.workers import workers

Result = TypeVar("Result")

Verdict = Literal["pass", "fail", "inconclusive"]

ALONE_S = 1.0
SIGMAS = 3.0
UNLIKELY = 0.0027  # outside three standard errors, either side
ROUNDING = 1e-12
LEAST_EVENTS = 10.0  # expected ones; with fewer the normal law behind three standard errors does not hold


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a case. `name` is a Python name; on the command line `_` becomes `-`. `minimum` is the
    least value that there is an expected figure for."""

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One quantity. `standard_error` is that of the simulated figure, 0 where nothing is random; `note` says
    why nothing is known, where it is not the number of events."""

    quantity: str
    expected: float
    simulated: float
    standard_error: float
    verdict: Verdict
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        if not self.note:
            del plain["note"]
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
            least = known[name].minimum
            if least is not None and value is not None and not value >= least:
                raise UsageError(f"{known[name].option}: found {value}, expected at least {least:g}")
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
    strictly: float | None = None,
    events: float | None = None,
) -> CheckRow:
    """A row that passes within three standard errors.

    Where `within` is given, within that share of the expected figure too, when a short run leaves less room
    than that; where `strictly` is given, only within that share. `events` is how many rare events the figure
    rests on: with too few nothing is said.
    """
    off = abs(simulated - expected)
    room = SIGMAS * standard_error + ROUNDING
    if within is not None:
        room = max(room, within * abs(expected))
    if strictly is not None:
        room = min(room, strictly * abs(expected) + ROUNDING)
    verdict: Verdict = "pass" if off <= room else "fail"
    if isnan(simulated) or isnan(standard_error) or (events is not None and events < LEAST_EVENTS):
        verdict = "inconclusive"
    return CheckRow(quantity, expected, simulated, standard_error, verdict)


def share(quantity: str, expected: float, simulated: float, trials: float, error: float = 0.0) -> CheckRow:
    """A row about a share of `trials`: its error is at least the binomial one under the expected share.

    Rare events are judged by the exact binomial law at the probability of three standard errors.
    """
    error = max(error, sqrt(max(expected * (1 - expected), 0.0) / trials))
    made = row(quantity, expected, simulated, error)
    rare = trials * min(expected, 1 - expected) < LEAST_EVENTS
    if made.verdict == "fail" and rare and 0 < expected < 1:
        count = round(simulated * trials)
        likely = 2 * min(binom.cdf(count, trials, expected), binom.sf(count - 1, trials, expected))
        made = replace(made, verdict="pass" if likely >= UNLIKELY else "fail")
    return made


def at_most(quantity: str, bound: float, simulated: float, grain: float = 0.0) -> CheckRow:
    """A row whose expected figure is an upper bound, of a figure that can only be seen every `grain`."""
    return CheckRow(quantity, bound, simulated, 0.0, "pass" if simulated <= bound + grain else "fail")


def at_least(quantity: str, bound: float, simulated: float) -> CheckRow:
    """A row whose expected figure is a lower bound."""
    return CheckRow(quantity, bound, simulated, 0.0, "pass" if simulated >= bound else "fail")


def require(condition: bool, message: str) -> None:
    """Refuse parameters for which there is no expected figure."""
    if not condition:
        raise ValueError(message)


def crossing(excess: Callable[[float], float], low: float, high: float, what: str) -> float:
    """The x between `low` and `high` at which `excess` is 0. Raises ValueError for one that lies beyond."""
    if not excess(low) * excess(high) <= 0:
        raise ValueError(
            f"found no {what} between {low:g} and {high:g} ms, expected delays with a lighter tail"
        )
    return float(brentq(excess, low, high, xtol=1e-9 * low))


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
    with workers(cores) as pool:
        return results + list(pool.map(work, *zip(*rest, strict=True)))
