"""Hedged requests over a fan-out of slow leaves (The Tail at Scale)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt

import numpy as np

from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.failures import Failure
from simulation.engine.loop import run_out
from simulation.engine.randomness import (
    Array,
    Constant,
    TailCurve,
    sampler,
    stream,
)
from simulation.engine.replicas import HedgedCall
from simulation.engine.servers import Server
from simulation.engine.sources import Source
from simulation.selfcheck.cases import Case, CheckRow, Parameter, crossing, require, row, spread
from simulation.selfcheck.queues import SEED, SEEDS
from simulation.selfcheck.statistics import quantile

PERCENTILE = 0.999


def leaf_curve(text: str) -> TailCurve:
    """`10:0.02,69:0.0034,1800:0.00001` as P(X > x ms), from its smallest value on."""
    try:
        points = tuple(
            (float(x), float(p)) for x, p in (pair.split(":") for pair in text.replace(" ", "").split(","))
        )
    except ValueError:
        raise ValueError(f'found --curve "{text}", expected points such as 10:0.02,69:0.0034') from None
    falling = all(0 < a[0] < b[0] and 1 >= a[1] > b[1] > 0 for a, b in pairwise(points))
    expected = "at least two points x:P with rising times x above 0 and falling shares P above 0, at most 1"
    require(len(points) >= 2 and falling, f'found --curve "{text}", expected {expected}')
    first = points[0]
    slope = log(points[1][1] / first[1]) / log(points[1][0] / first[0])
    smallest = first[0] * first[1] ** (-1 / slope)
    return TailCurve(((smallest, 1.0), *points) if first[1] < 1 else points)


@dataclass(frozen=True, slots=True)
class FanOutRun:
    """Latencies of whole requests in ms, and how many leaf requests were sent for `leaves` leaves."""

    latencies: Array
    sent: int
    leaves: int


class _FanOut:
    """One request to every leaf; it ends with the slowest."""

    __slots__ = ("_clock", "_latencies", "_left", "_started")

    def __init__(self, clock: Clock, leaves: int, latencies: list[float]) -> None:
        self._clock, self._latencies, self._left = clock, latencies, leaves
        self._started = clock._now

    def leaf_ended(self, error: Failure | None) -> None:
        self._left -= 1
        if self._left == 0:
            self._latencies.append(self._clock._now - self._started)


def simulate_fan_out(
    seed: int, requests: int, fan_out: int, curve: TailCurve, hedge_after: float | None
) -> FanOutRun:
    """Leaf times are a Latin hypercube over the run: stratified, so that tails are exact, in random order."""
    clock = Clock()
    rng = stream(seed, "leaf")
    count = requests * fan_out
    drawn = curve.quantile((rng.permutation(count) + rng.random(count)) / count)
    nothing = sampler(Constant(0.0), stream(seed))
    first = Server(clock, "replica 1", iter(drawn.tolist()), slots=None)
    second = Server(clock, "replica 2", sampler(curve, stream(seed, "replica")), slots=None)
    replicas = [Channel(clock, server.name, server, nothing, nothing, nothing) for server in (first, second)]
    latencies: list[float] = []

    def ask(_: int) -> None:
        request = _FanOut(clock, fan_out, latencies)
        for _leaf in range(fan_out):
            HedgedCall(clock, replicas, None, hedge_after, request.leaf_ended)

    Source(clock, sampler(Constant(1.0), stream(seed)), ask, count=requests)
    run_out(clock)
    return FanOutRun(np.asarray(latencies), sum(channel.attempts for channel in replicas), count)


def hedging(
    *,
    fan_out: int,
    hedge_after: float,
    curve: str,
    slow: float,
    within: float,
    requests: int,
    seeds: int,
    seed: int,
) -> list[CheckRow]:
    """P(max > x) = 1 - (1 - L(x))^n for n leaves; hedged, L(x) becomes L(x) L(x - h) above the delay h."""
    tail = leaf_curve(curve)
    require(hedge_after > 0, f"found --hedge-after {hedge_after:g}, expected more than 0 ms")
    require(0 < slow < 1, f"found --slow {slow:g}, expected a share between 0 and 1")
    require(requests >= 200, f"found {requests} requests, expected 200 or more for a p99.9")

    def leaf(x: float) -> float:
        return float(tail.tail(np.asarray(x)))

    def hedged(x: float) -> float:
        return leaf(x) * (leaf(x - hedge_after) if x > hedge_after + tail.points[0][0] else 1.0)

    def worst(of: Callable[[float], float]) -> float:
        bounds = tail.points[0][0], tail.points[-1][0] * 1e8
        return crossing(lambda x: (1 - of(x)) ** fan_out - PERCENTILE, *bounds, "p99.9")

    plain_runs = spread(
        simulate_fan_out, [(seed + k, requests // 2, fan_out, tail, None) for k in range(seeds)]
    )
    hedge_runs = spread(
        simulate_fan_out, [(seed + k, requests, fan_out, tail, hedge_after) for k in range(seeds)]
    )
    plain = quantile([run.latencies for run in plain_runs], PERCENTILE)
    quick = quantile([run.latencies for run in hedge_runs], PERCENTILE)
    extra = sum(run.sent for run in hedge_runs) / sum(run.leaves for run in hedge_runs) - 1
    at = float(tail.quantile(np.asarray(slow)))
    touched = np.concatenate([run.latencies for run in plain_runs]) > at
    expected = 1 - (1 - slow) ** fan_out
    error = sqrt(expected * (1 - expected) / len(touched))
    more = leaf(hedge_after)
    return [
        row(f"P(a request meets a leaf's slowest {slow:.0%})", expected, float(touched.mean()), error),
        row("p99.9 ms", worst(leaf), *plain, within=within),
        row("p99.9 ms hedged", worst(hedged), *quick, within=within),
        row("additional requests", more, extra, sqrt(more / (requests * seeds * fan_out))),
    ]


HEDGING = Case(
    "hedging",
    "Fan-out over slow leaves, and hedged requests",
    "Dean and Barroso, The Tail at Scale, CACM 2013",
    (
        Parameter("fan_out", int, 100, "leaves that each request waits for", minimum=1),
        Parameter("hedge_after", float, 10.0, "ms after which a leaf request is sent to a second replica"),
        Parameter("curve", str, "10:0.02,69:0.0034,1800:0.00001", "points x:P(leaf takes longer than x ms)"),
        Parameter("slow", float, 0.01, "share of leaf requests that count as slow"),
        Parameter("within", float, 0.1, "relative tolerance of the percentiles", minimum=0),
        Parameter("requests", int, 6_000, "hedged requests of one run; half as many not hedged", minimum=2),
        SEEDS,
        SEED,
    ),
    hedging,
)
