"""Distributions of durations, and samplers that draw from them in batches.

All durations are in one unit throughout a model (seconds in scenarios). A sampler is an endless iterator;
its randomness comes from one numpy Generator, made by `stream` from the seed and a purpose, so that a change
in one part of a model leaves the other parts' draws alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from math import exp, inf, sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Sampler = Iterator[float]

BATCH = 4096
FIRST = 128  # values of a sampler, then twice as many and so on up to a batch: a short run draws few


class Distribution(Protocol):
    """A non-negative random duration."""

    @property
    def mean(self) -> float: ...
    def draw(self, rng: np.random.Generator, size: int) -> Array: ...
    def tail(self, x: Array) -> Array: ...  # P(X > x)


def stream(seed: int, *purpose: object) -> np.random.Generator:
    """An independent source of randomness for one purpose."""
    digest = hashlib.sha256("/".join(map(str, purpose)).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def sampler(distribution: Distribution, rng: np.random.Generator, batch: int = BATCH) -> Sampler:
    """Draws one value at a time."""
    if isinstance(distribution, Constant):
        return repeat(distribution.value)

    # A mixture chooses its parts for all values of a batch first: smaller batches would be other values.
    size = batch if isinstance(distribution, Mixture) else min(batch, FIRST)

    def batches() -> Iterator[list[float]]:
        nonlocal size
        while True:
            yield distribution.draw(rng, size).tolist()
            size = min(batch, 2 * size)

    return chain.from_iterable(batches())


def uniform_sampler(rng: np.random.Generator) -> Sampler:
    """Draws uniformly from [0, 1)."""
    return sampler(Uniform(0.0, 1.0), rng)


@dataclass(frozen=True, slots=True)
class Constant:
    value: float

    @property
    def mean(self) -> float:
        return self.value

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return np.full(size, self.value)

    def tail(self, x: Array) -> Array:
        return (x < self.value).astype(float)


@dataclass(frozen=True, slots=True)
class Uniform:
    low: float
    high: float

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.uniform(self.low, self.high, size)

    def tail(self, x: Array) -> Array:
        return np.clip((self.high - x) / (self.high - self.low), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Exponential:
    mean: float

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.exponential(self.mean, size)

    def tail(self, x: Array) -> Array:
        return np.exp(-np.maximum(x, 0.0) / self.mean)


@dataclass(frozen=True, slots=True)
class Pareto:
    """P(X > x) = (minimum / x) ** shape for x above the minimum."""

    minimum: float
    shape: float

    @property
    def mean(self) -> float:
        return inf if self.shape <= 1 else self.shape * self.minimum / (self.shape - 1)

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return self.minimum * (1.0 + rng.pareto(self.shape, size))

    def tail(self, x: Array) -> Array:
        return (self.minimum / np.maximum(x, self.minimum)) ** self.shape


@dataclass(frozen=True, slots=True)
class LogNormal:
    median: float
    sigma: float

    @property
    def mean(self) -> float:
        return self.median * exp(self.sigma**2 / 2)

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.lognormal(np.log(self.median), self.sigma, size)

    def tail(self, x: Array) -> Array:
        from scipy.stats import lognorm

        return np.asarray(lognorm.sf(x, self.sigma, scale=self.median))


@dataclass(frozen=True, slots=True)
class Gamma:
    """With mean and squared coefficient of variation `cv2` (variance / mean squared)."""

    mean: float
    cv2: float

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return rng.gamma(1 / self.cv2, self.mean * self.cv2, size)

    def tail(self, x: Array) -> Array:
        from scipy.stats import gamma

        return np.asarray(gamma.sf(x, 1 / self.cv2, scale=self.mean * self.cv2))


@dataclass(frozen=True, slots=True)
class AbsoluteNormal:
    """|N(mu, sigma)|."""

    mu: float
    sigma: float

    @property
    def mean(self) -> float:
        from scipy.stats import foldnorm

        return float(foldnorm.mean(self.mu / self.sigma, scale=self.sigma))

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return np.abs(rng.normal(self.mu, self.sigma, size))

    def tail(self, x: Array) -> Array:
        from scipy.stats import foldnorm

        return np.asarray(foldnorm.sf(x, self.mu / self.sigma, scale=self.sigma))


@dataclass(frozen=True, slots=True)
class Mixture:
    """One of several distributions, by weight (weights sum to 1)."""

    parts: tuple[tuple[float, Distribution], ...]

    @property
    def mean(self) -> float:
        return sum(weight * part.mean for weight, part in self.parts)

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        choice = rng.choice(len(self.parts), size, p=[weight for weight, _ in self.parts])
        drawn = np.empty(size)
        for index, (_, part) in enumerate(self.parts):
            chosen = choice == index
            drawn[chosen] = part.draw(rng, int(chosen.sum()))
        return drawn

    def tail(self, x: Array) -> Array:
        return np.asarray(sum(weight * part.tail(x) for weight, part in self.parts))


@dataclass(frozen=True, slots=True)
class TailCurve:
    """Given by points (x, P(X > x)), straight between them on log-log paper and beyond the last one.

    The first point must have probability 1: it is the smallest value. `quantile` inverts the tail.
    """

    points: tuple[tuple[float, float], ...]

    @property
    def mean(self) -> float:
        grid = np.geomspace(self.points[0][0], self.points[-1][0] * 100, 100_000)
        return float(self.points[0][0] + np.trapezoid(self.tail(grid), grid))

    def _logs(self) -> tuple[Array, Array]:
        x, p = np.log(np.asarray(self.points)).T
        slope = (p[-1] - p[-2]) / (x[-1] - x[-2])
        return np.append(x, x[-1] + 20.0), np.append(p, p[-1] + 20.0 * slope)

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return self.quantile(1.0 - rng.random(size))

    def quantile(self, tail: Array) -> Array:
        """The x with P(X > x) = tail."""
        x, p = self._logs()
        return np.asarray(np.exp(np.interp(-np.log(tail), -p, x)))

    def tail(self, x: Array) -> Array:
        logs, p = self._logs()
        return np.asarray(np.exp(np.interp(np.log(np.maximum(x, self.points[0][0])), logs, p)))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Given by its values at evenly spaced probabilities from 0 to 1, straight between them."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.trapezoid(self.values, dx=1 / (len(self.values) - 1)))

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        return np.interp(rng.random(size), np.linspace(0, 1, len(self.values)), self.values)

    def tail(self, x: Array) -> Array:
        levels = np.linspace(0, 1, len(self.values))
        return np.asarray(1 - np.interp(x, self.values, levels, left=0.0, right=1.0))


def with_variation(mean: float, cv2: float) -> Distribution:
    """A service time with the given mean and squared coefficient of variation (0 is constant).

    Above 1 it is the hyperexponential of two phases with balanced means, as usual in queueing studies.
    """
    if cv2 == 0:
        return Constant(mean)
    if cv2 == 1:
        return Exponential(mean)
    if cv2 < 1:
        return Gamma(mean, cv2)
    share = (1 + sqrt((cv2 - 1) / (cv2 + 1))) / 2
    return Mixture(
        (
            (share, Exponential(mean / (2 * share))),
            (1 - share, Exponential(mean / (2 * (1 - share)))),
        )
    )
