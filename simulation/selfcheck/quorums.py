"""Probabilistically bounded staleness of a store that reads and writes by quorum."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.loop import run_out
from simulation.engine.randomness import (
    Array,
    Constant,
    Distribution,
    Exponential,
    Mixture,
    Pareto,
    sampler,
    stream,
)
from simulation.engine.replicas import Quorum, ReplicaState
from simulation.engine.servers import Server
from simulation.engine.sources import Source
from simulation.selfcheck.cases import Case, CheckRow, Parameter, crossing, require, row, share, spread
from simulation.selfcheck.queues import SEED, SEEDS
from simulation.selfcheck.staleness import Delays, Staleness, latency_tail, quantile_of_tail
from simulation.selfcheck.statistics import quantile

PERCENTILE = 0.999
LATENCY_WITHIN = 0.02


def delay_mixture(text: str) -> Distribution:
    """`0.9122:pareto(0.235,10)+0.0878:exp(1.66)`: weights, Pareto(minimum, shape), Exp(rate); in ms."""
    parts: list[tuple[float, Distribution]] = []
    try:
        for part in text.replace(" ", "").split("+"):
            weight, _, rest = part.rpartition(":")
            kind, _, inner = rest.rstrip(")").partition("(")
            numbers = [float(number) for number in inner.split(",")]
            if not all(0 < number < inf for number in numbers):
                raise ValueError(inner)
            one: Distribution
            if kind == "pareto":
                one = Pareto(numbers[0], numbers[1])
            elif kind == "exp":
                one = Exponential(1 / numbers[0])
            else:
                raise ValueError(kind)
            parts.append((float(weight or 1.0), one))
        if not all(weight >= 0 for weight, _ in parts):
            raise ValueError(text)
    except (ValueError, IndexError, ZeroDivisionError):
        message = f'found the delay "{text}", expected such as 0.9:pareto(0.2,10)+0.1:exp(1.66)'
        raise ValueError(message) from None
    total = sum(weight for weight, _ in parts)
    require(abs(total - 1) < 1e-6, f'found weights of sum {total:g} in "{text}", expected 1')
    return Mixture(tuple((weight / total, one) for weight, one in parts))


@dataclass(frozen=True, slots=True)
class StoreRun:
    """Of every trial: commit and read latency in ms, and whether the read `after` the commit was current."""

    commits: Array
    reads: Array
    current: Array


class _Trial:
    """One write, and one read a given time after it committed."""

    __slots__ = ("_after", "_clock", "_kept", "_key", "_needed", "_reads", "_started")

    def __init__(
        self,
        clock: Clock,
        channels: tuple[list[Channel], list[Channel]],
        key: int,
        needed: tuple[int, int],
        after: float,
        kept: list[tuple[float, float, bool]],
    ) -> None:
        writes, reads = channels
        self._clock, self._reads, self._key, self._after, self._kept = clock, reads, key, after, kept
        self._needed = needed
        self._started = clock._now
        Quorum(writes, (key, 1), needed[0], self._committed)

    def _committed(self, _: list[Attempt]) -> None:
        latency = self._clock._now - self._started
        self._clock.call_after(self._after, lambda: self._read(latency))

    def _read(self, commit: float) -> None:
        started = self._clock._now

        def reached(answers: list[Attempt]) -> None:
            current = max(answer.answer[0] for answer in answers) >= 1
            self._kept.append((commit, self._clock._now - started, current))

        Quorum(self._reads, (self._key, None), self._needed[1], reached)


def simulate_store(
    seed: int, trials: int, replicas: int, needed: tuple[int, int], delays: Delays, after: float
) -> StoreRun:
    """WARS: a write reaches each replica after W and is acknowledged after A, a read after R and S."""
    clock = Clock()
    nothing = sampler(Constant(0.0), stream(seed))

    writes: list[Channel] = []
    reads: list[Channel] = []
    for number in range(replicas):
        state = ReplicaState(clock)
        server = Server(clock, f"replica {number}", nothing, slots=None)
        server.handler = state
        w, a, r, s = (
            sampler(each, stream(seed, name, number, after))
            for name, each in zip("wars", (delays.w, delays.a, delays.r, delays.s), strict=True)
        )
        writes.append(Channel(clock, f"write {number}", server, w, a, nothing))
        reads.append(Channel(clock, f"read {number}", server, r, s, nothing))
    kept: list[tuple[float, float, bool]] = []
    Source(
        clock,
        sampler(Constant(1.0), stream(seed)),
        lambda key: _Trial(clock, (writes, reads), key, needed, after, kept),
        count=trials,
    )
    run_out(clock)
    commits, read_times, current = np.asarray(kept, dtype=float).T
    return StoreRun(commits, read_times, current)


def pbs(
    *,
    replicas: int,
    read_quorum: int,
    write_quorum: int,
    write: str,
    acknowledge: str,
    read: str,
    respond: str,
    after: float,
    trials: int,
    seeds: int,
    seed: int,
) -> list[CheckRow]:
    """Consistency at once, after a given time, and at the time by which 99.9% of reads are consistent."""
    for what, quorum in (("read", read_quorum), ("write", write_quorum)):
        found = f"found a {what} quorum of {quorum} of {replicas} replicas"
        require(1 <= quorum <= replicas, f"{found}, expected 1 to {replicas}")
    delays = Delays(*(delay_mixture(text) for text in (write, acknowledge, read, respond)))
    needed = (write_quorum, read_quorum)
    staleness = Staleness(delays, replicas, read_quorum, write_quorum)
    rows: list[CheckRow] = []
    within = 0.0
    beyond = trials * seeds * (1 - PERCENTILE)
    if staleness.probability(0.0) > 1 - PERCENTILE:
        missing = 1 - PERCENTILE
        within = crossing(lambda t: staleness.probability(t) - missing, 1e-6, 1e5, "t for 99.9%")
    runs: list[StoreRun] = []
    for t in dict.fromkeys((0.0, after, within)):
        arguments = [(seed + k, trials, replicas, needed, delays, t) for k in range(seeds)]
        at_t = spread(simulate_store, arguments)
        runs = runs or at_t
        current = float(np.concatenate([run.current for run in at_t]).mean())
        expected = 1 - staleness.probability(t)
        error = sqrt(expected * (1 - expected) / (trials * seeds))
        quantity = f"P(consistent after {t:.4g} ms)" if t else "P(consistent at once)"
        rows.append(share(quantity, expected, current, trials * seeds))
    if within:
        # The share seen at the expected time, turned into a time by the slope there.
        step = 0.01 * within
        slope = (staleness.probability(within) - staleness.probability(within + step)) / step
        simulated_t = within + (PERCENTILE - current) / slope
        rows.append(row("ms until 99.9% are consistent", within, simulated_t, error / slope, events=beyond))
    for what, there, back, quorum, values in (
        ("write", delays.w, delays.a, write_quorum, [run.commits for run in runs]),
        ("read", delays.r, delays.s, read_quorum, [run.reads for run in runs]),
    ):
        exact = quantile_of_tail(latency_tail(there, back, replicas, quorum), 1 - PERCENTILE)
        simulated = quantile(values, PERCENTILE)
        rows.append(
            row(
                f"p99.9 {what} ms",
                exact,
                *simulated,
                within=LATENCY_WITHIN,
                events=beyond,
            )
        )
    return rows


_FAST = "0.9122:pareto(0.235,10)+0.0878:exp(1.66)"

PBS = Case(
    "pbs",
    "Probabilistically bounded staleness of a replicated store",
    "Bailis et al., VLDB 2012, model WARS; exact by quadrature (quorums of 1) or sampled from the definition",
    (
        Parameter("replicas", int, 3, "replicas N", minimum=1),
        Parameter("read_quorum", int, 1, "answers R that a read waits for"),
        Parameter("write_quorum", int, 1, "acknowledgements W that a write waits for"),
        Parameter("write", str, _FAST, "delay of a write to a replica, ms (LNKD-SSD)"),
        Parameter("acknowledge", str, _FAST, "delay of its acknowledgement, ms"),
        Parameter("read", str, _FAST, "delay of a read to a replica, ms"),
        Parameter("respond", str, _FAST, "delay of its response, ms"),
        Parameter("after", float, 10.0, "ms after the commit at which consistency is checked too", minimum=0),
        Parameter("trials", int, 20_000, "writes of one run", minimum=100),
        SEEDS,
        SEED,
    ),
    pbs,
)
