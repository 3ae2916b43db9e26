"""Queues with known answers: M/M/c (Erlang C), M/G/1 (Pollaczek-Khinchine), M/M/c/K (Erlang's loss)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, cos, log, nan, pi, sqrt

import numpy as np

from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.failures import Failure
from simulation.engine.loop import run_out
from simulation.engine.randomness import (
    Array,
    Constant,
    Distribution,
    Exponential,
    sampler,
    stream,
    with_variation,
)
from simulation.engine.servers import Server
from simulation.engine.sources import Source
from simulation.selfcheck.cases import LEAST_EVENTS, Case, CheckRow, Parameter, require, row, share, spread
from simulation.selfcheck.statistics import batch_means, estimate, quantile, queue_controls

MMCK_LOAD = 12.0
MOST_STATES = 10_000_000  # of a bounded queue: they are summed in memory
NOTHING = 800.0  # exp(-800) is 0 as a float
WARM_UP = 0.05  # share of the customers of a run that are not counted
FADED = 3.0  # so many times the longest time constant leave 5%

CUSTOMERS = Parameter("customers", int, 400_000, "customers of one run", minimum=1000)
SEEDS = Parameter("seeds", int, 10, "independent runs", minimum=2)
SEED = Parameter("seed", int, 17, "the first run's seed", minimum=0)
# At this size and below this utilisation a mean must be right to one percent too.
FULL_SIZE, EASY, EASY_WITHIN = 4_000_000, 0.8, 0.01


@dataclass(frozen=True, slots=True)
class QueueRun:
    """One run: waiting times of the accepted in order of arrival, and what there is to control for."""

    waits: Array
    accepted: Array
    controls: Array


class _Drain:
    """The customers' end of the channel: they do not come back."""

    def resume(self, attempt: object, error: Failure | None) -> None:
        """Nothing follows."""


def simulate_queue(
    seed: int,
    customers: int,
    slots: int,
    service: Distribution,
    rate: float,
    capacity: int | None,
    cv2: float,
) -> QueueRun:
    """Poisson customers through one channel into one server."""
    clock = Clock()
    services = service.draw(stream(seed, "service"), customers)
    gaps = Exponential(1 / rate).draw(stream(seed, "gap"), customers)
    server = Server(clock, "server", iter(services.tolist()), slots, capacity)
    nothing = sampler(Constant(0.0), stream(seed))
    channel = Channel(clock, "customers", server, nothing, nothing, nothing)
    accepted: list[bool] = []
    drain = _Drain()

    def arrive(number: int) -> None:
        channel.call(drain, number)

    Source(clock, iter([*gaps.tolist(), 0.0]), arrive, count=customers)
    if capacity is not None:
        server.admissions = accepted
    run_out(clock)
    skip = int(customers * WARM_UP)
    taken = np.asarray(accepted, dtype=float) if capacity is not None else np.ones(customers)
    waits = np.asarray(server.waits)[int(taken[:skip].sum()) :]
    # The n-th customer's wait depends on the services before it and the gap just before it.
    controls = queue_controls(
        np.concatenate([[service.mean], services[:-1]])[skip:],
        gaps[skip:],
        slots,
        cv2 * service.mean**2,
        (service.mean, 1 / rate),
    )
    return QueueRun(waits, taken[skip:], controls)


def erlang_b(slots: int, load: float) -> float:
    """Share of customers blocked by `slots` servers offered `load` erlangs, by the stable recursion."""
    blocked = 1.0
    for servers in range(1, slots + 1):
        blocked = load * blocked / (servers + load * blocked)
    return blocked


def erlang_c(slots: int, load: float) -> float:
    """Share of customers who wait in M/M/c."""
    blocked = erlang_b(slots, load)
    return blocked / (1 - load / slots * (1 - blocked))


def _strictly(utilisation: float, customers: int, seeds: int) -> float | None:
    return EASY_WITHIN if utilisation <= EASY and customers * seeds >= FULL_SIZE else None


def _too_few(utilisation: float, slots: int, cv2: float, customers: int) -> str:
    """Says so of a run that is no longer than LEAST_EVENTS relaxation times, and empty of another.

    A queue forgets its beginning within the relaxation time: 1 / (1 - sqrt(rho))^2 service times for M/M/1,
    as much longer as the service times vary more, and a service time at least.
    """
    relaxation = max(utilisation / (1 - sqrt(utilisation)) ** 2 * (1 + cv2) / 2, slots * utilisation)
    needed = ceil(LEAST_EVENTS * relaxation)
    found = f"{customers} customers are too few for the utilisation {utilisation:g}"
    return f"{found}; --customers {needed} would do" if customers < needed else ""


def _nothing(expected: Mapping[str, float], note: str) -> list[CheckRow]:
    return [CheckRow(name, value, nan, nan, "inconclusive", note) for name, value in expected.items()]


def _runs(seeds: int, seed: int, *arguments: object) -> list[QueueRun]:
    require(seeds >= 2, "found --seeds below 2, expected 2 or more: errors come from comparing runs")
    return spread(simulate_queue, [(seed + number, *arguments) for number in range(seeds)])


def mmc(*, servers: int, utilisation: float, customers: int, seeds: int, seed: int) -> list[CheckRow]:
    """Service rate 1: P(wait > t) = C exp(-(c - load) t), with Erlang's C."""
    require(0 < utilisation < 1, f"found utilisation {utilisation}, expected between 0 and 1")
    require(servers >= 1, f"found {servers} servers, expected at least 1")
    load = servers * utilisation
    waiting, spare = erlang_c(servers, load), servers - load
    note = _too_few(utilisation, servers, 1.0, customers)
    if note:
        return _nothing({"P(wait)": waiting, "mean wait": waiting / spare}, note)
    runs = _runs(seeds, seed, customers, servers, Exponential(1.0), load, None, 1.0)
    controls = np.concatenate([run.controls for run in runs])
    waited = estimate(np.concatenate([batch_means((run.waits > 0).astype(float)) for run in runs]), controls)
    mean = estimate(np.concatenate([batch_means(run.waits) for run in runs]), controls)
    counted = sum(len(run.waits) for run in runs)
    strictly = _strictly(utilisation, customers, seeds)
    rows = [
        share("P(wait)", waiting, waited[0], counted, waited[1]),
        row("mean wait", waiting / spare, *mean, strictly=strictly, events=counted * waiting),
    ]
    for level in (0.95, 0.99):
        if waiting > 1 - level:
            expected = log(waiting / (1 - level)) / spare
            simulated = quantile([run.waits for run in runs], level, controls)
            events = counted * (1 - level)
            rows.append(row(f"p{100 * level:.0f} wait", expected, *simulated, events=events))
    return rows


def mg1(*, utilisation: float, cv2: float, customers: int, seeds: int, seed: int) -> list[CheckRow]:
    """Mean service 1: mean wait = rho (1 + cv2) / (2 (1 - rho)); P(wait) = rho."""
    require(0 < utilisation < 1, f"found utilisation {utilisation}, expected between 0 and 1")
    require(cv2 >= 0, f"found cv2 {cv2}, expected 0 or more")
    expected = utilisation * (1 + cv2) / (2 * (1 - utilisation))
    note = _too_few(utilisation, 1, cv2, customers)
    if note:
        return _nothing({"mean wait": expected, "P(wait)": utilisation}, note)
    runs = _runs(seeds, seed, customers, 1, with_variation(1.0, cv2), utilisation, None, cv2)
    controls = np.concatenate([run.controls for run in runs])
    mean = estimate(np.concatenate([batch_means(run.waits) for run in runs]), controls)
    waited = estimate(np.concatenate([batch_means((run.waits > 0).astype(float)) for run in runs]), controls)
    counted = sum(len(run.waits) for run in runs)
    strictly = _strictly(utilisation, customers, seeds)
    return [
        row("mean wait", expected, *mean, strictly=strictly, events=counted * utilisation),
        share("P(wait)", utilisation, waited[0], counted, waited[1]),
    ]


def finite_queue(servers: int, capacity: int, load: float) -> tuple[float, float]:
    """Loss and mean wait of the accepted in M/M/c/K, service rate 1, from the stationary distribution."""
    # Ratios of neighbouring states, summed as logarithms: powers and factorials overflow.
    if load < servers:  # beyond this room no state has a weight that a float can hold
        capacity = min(capacity, servers + ceil(NOTHING / log(servers / load)))
    require(capacity <= MOST_STATES, f"found capacity {capacity}, expected at most {MOST_STATES:,}")
    busy = np.minimum(np.arange(1, capacity + 1), servers)
    logs = np.concatenate([[0.0], np.cumsum(np.log(load / busy))])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    loss = float(weights[capacity])
    queued = float(np.maximum(np.arange(capacity + 1) - servers, 0) @ weights)
    # What is served is what the busy servers do; load times (1 - loss) would cancel under overload.
    served = float(np.minimum(np.arange(capacity + 1), servers) @ weights)
    return loss, queued / served


def customers_until_steady(servers: int, capacity: int, load: float) -> int:
    """How many arrive at an empty M/M/c/K, service rate 1, until 95% of what shows its beginning is gone.

    Under overload the waiting room fills with what is left over; then, as without overload, the beginning
    fades at the rate of the smallest eigenvalue of a queue with so much room, and no quicker than services
    end.
    """
    room = capacity - servers
    filling = room / (load - servers) if load > servers else 0.0
    fading = load + servers - 2 * sqrt(load * servers) * cos(pi / (room + 1))
    return ceil(load * (filling + FADED / min(fading, 1.0)))


def mmck(
    *,
    servers: int,
    capacity: int,
    load: float | None,
    utilisation: float | None,
    customers: int,
    seeds: int,
    seed: int,
) -> list[CheckRow]:
    """Service rate 1, `capacity` customers in the system at most, waiting ones included."""
    require(load is None or utilisation is None, "found both --load and --utilisation, expected one of them")
    if load is None:
        load = MMCK_LOAD if utilisation is None else servers * utilisation
    require(load > 0, f"found load {load}, expected above 0")
    require(capacity >= servers, f"found capacity {capacity}, expected at least the {servers} servers")
    loss, wait = finite_queue(servers, capacity, load)
    needed = ceil(customers_until_steady(servers, capacity, load) / WARM_UP)
    if capacity > servers and customers < needed:
        found = f"{customers} customers are too few for a waiting room of {capacity - servers}"
        note = f"{found}; --customers {needed} would do"
        return _nothing({"loss": loss, "mean wait of the accepted": wait}, note)
    runs = _runs(seeds, seed, customers, servers, Exponential(1.0), load, capacity, 1.0)
    controls = np.concatenate([run.controls for run in runs])
    lost = estimate(np.concatenate([batch_means(1 - run.accepted) for run in runs]), controls)
    rows = [share("loss", loss, lost[0], sum(len(run.accepted) for run in runs), lost[1])]
    if capacity > servers:
        mean = estimate(np.concatenate([batch_means(run.waits) for run in runs]), controls)
        waited = float(sum((run.waits > 0).sum() for run in runs))
        strictly = _strictly(load / servers, customers, seeds)
        rows.append(row("mean wait of the accepted", wait, *mean, strictly=strictly, events=waited))
    return rows


MMC = Case(
    "mmc",
    "M/M/c: waiting in a queue of c servers",
    "Erlang C",
    (
        Parameter("servers", int, 4, "servers c", minimum=1),
        Parameter("utilisation", float, 0.8, "utilisation of each server"),
        CUSTOMERS,
        SEEDS,
        SEED,
    ),
    mmc,
)
MG1 = Case(
    "mg1",
    "M/G/1: waiting for one server with any service time",
    "Pollaczek-Khinchine",
    (
        Parameter("utilisation", float, 0.8, "utilisation of the server"),
        Parameter("cv2", float, 4.0, "squared coefficient of variation of the service time (0: constant)"),
        CUSTOMERS,
        SEEDS,
        SEED,
    ),
    mg1,
)
MMCK = Case(
    "mmck",
    "M/M/c/K: customers lost by a bounded queue",
    "the birth-death process; Erlang B when there is no waiting room",
    (
        Parameter("servers", int, 10, "servers c", minimum=1),
        Parameter("capacity", int, 30, "customers K in the system at most", minimum=1),
        Parameter("load", float, None, f"offered load in erlangs; {MMCK_LOAD:g} without utilisation"),
        Parameter("utilisation", float, None, "offered load for each server, instead of the load"),
        CUSTOMERS,
        SEEDS,
        SEED,
    ),
    mmck,
)
