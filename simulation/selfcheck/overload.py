"""Metastable failure: a database that a retry storm keeps down when its trigger is gone (Bronson 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field

from experiment.controls import Loss
from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.failures import Failure
from simulation.engine.loop import run_until
from simulation.engine.policies import Protection, RetryBudget
from simulation.engine.randomness import Constant, sampler, stream
from simulation.engine.servers import Server
from simulation.engine.sources import Source
from simulation.selfcheck.cases import Case, CheckRow, Parameter, at_least, at_most, require, row

HEALTHY_S = 5.0  # before the outage
STUCK_S = 120.0  # how long a database without goodput is watched before the load is lowered
WATCHED_S = 60.0  # goodput is counted over this long at the end of a stretch


@dataclass(slots=True)
class Goodput:
    """The instants at which a query was answered in time."""

    clock: Clock
    at: list[float] = field(default_factory=list)

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if error is None:
            self.at.append(self.clock.now)

    def rate(self, end: float) -> float:
        return sum(end - WATCHED_S < at <= end for at in self.at) / WATCHED_S


class Database:
    """Queries at a steady `load` over one link that fails altogether for a while; lost packets come late."""

    def __init__(
        self, load: float, capacity: float, timeout: float, outage: float, budget: RetryBudget | None
    ) -> None:
        self.clock = clock = Clock()
        self.goodput = Goodput(clock)
        self.load = load
        nothing = sampler(Constant(0.0), stream(0))
        server = Server(clock, "database", sampler(Constant(1 / capacity), stream(0)), slots=1)
        self.channel = Channel(
            clock, "queries", server, nothing, nothing, nothing, Protection(timeout, 2, budget=budget)
        )
        self.back_at = HEALTHY_S + outage
        clock.call_at(HEALTHY_S, lambda: self.channel.wire.impair("outage", Loss(1.0)))
        clock.call_at(self.back_at, lambda: self.channel.wire.restore("outage"))

    def play(self, until: float, load: float | None = None) -> None:
        """Let the load, at another rate if given, arrive until then."""
        gap = sampler(Constant(1 / (load or self.load)), stream(0))
        Source(self.clock, gap, lambda n: self.channel.call(self.goodput, n), end=until)
        run_until(self.clock, until)

    def recovered_after(self) -> float | None:
        """Seconds from the link's return to the first query answered in time."""
        return next((at - self.back_at for at in self.goodput.at if at > self.back_at), None)


def metastable(
    *, load: float, capacity: float, timeout: float, outage: float, lower_load: float, budget: float
) -> list[CheckRow]:
    """One retry after `timeout`. The outage leaves (2 outage - timeout) load queries, its retries included.

    With 2 load < capacity the queue drains at capacity - 2 load; else retries alone keep it full.
    """
    found = f"found load {load:g}, capacity {capacity:g}, timeout {timeout:g} and lower load {lower_load:g}"
    require(min(load, capacity, timeout, lower_load) > 0, f"{found}, expected all above 0")
    require(outage > timeout, f"found an outage of {outage} s, expected longer than the timeout")
    require(lower_load < capacity / 2, f"found lower load {lower_load}, expected below half the capacity")
    left = (2 * outage - timeout) * load
    threshold = capacity / 2
    rows: list[CheckRow] = []
    database = Database(load, capacity, timeout, outage, None)
    if load < threshold:
        latest = left / (capacity - 2 * load)
        database.play(database.back_at + latest + 2 * WATCHED_S)
        after = database.recovered_after()
        soonest = (left - capacity * timeout) / (capacity - 2 * load)
        grain = 1 / load + 1 / capacity  # an answer in time is seen when a query next comes and is done
        seconds = float("nan") if after is None else after
        rows.append(at_least("seconds to recover, at least", max(soonest, 0.0), seconds))
        rows.append(at_most("seconds to recover, at most", latest, seconds, grain))
        healthy = database.goodput.rate(database.clock.now)
        rows.append(row("goodput afterwards, per second", load, healthy, within=0.02))
        return rows
    # At half the capacity the queue neither drains nor grows: the answers stay late.
    stuck_until = database.back_at + STUCK_S
    database.play(stuck_until)
    rows.append(row("goodput under the same load, per second", 0.0, database.goodput.rate(stuck_until)))
    queued = left + 2 * load * STUCK_S
    drained = stuck_until + queued / (capacity - 2 * lower_load) + 2 * WATCHED_S
    database.play(drained, lower_load)
    quantity = f"goodput after the load drops to {lower_load:g}/s"
    rows.append(row(quantity, lower_load, database.goodput.rate(drained), within=0.02))
    rows.append(_budgeted(load, capacity, timeout, outage, budget, left))
    return rows


def _budgeted(
    load: float, capacity: float, timeout: float, outage: float, budget: float, left: float
) -> CheckRow:
    """A budget saves the database only if load and budgeted retries together stay below its capacity."""
    database = Database(load, capacity, timeout, outage, RetryBudget(budget, max(1.0, budget * load)))
    spare = capacity - load * (1 + budget)
    length = 10 * WATCHED_S if spare <= 0 else 1.5 * left / spare + 2 * WATCHED_S
    database.play(database.back_at + length)
    expected = load if spare > 0 else 0.0
    rate = database.goodput.rate(database.clock.now)
    quantity = f"goodput with a retry budget of {budget:.0%}"
    if expected:
        return row(quantity, expected, rate, within=0.02)
    return row(quantity, 0.0, rate)


METASTABLE = Case(
    "metastable",
    "A retry storm that outlives its trigger",
    "Bronson et al., Metastable Failures in Distributed Systems, HotOS 2021",
    (
        Parameter("load", float, 140.0, "queries a second"),
        Parameter("capacity", float, 300.0, "queries a second that the database can do"),
        Parameter("timeout", float, 1.0, "seconds after which a query is sent once more"),
        Parameter("outage", float, 10.0, "seconds the link is down"),
        Parameter("lower_load", float, 100.0, "load that lets a stuck database recover"),
        Parameter("budget", float, 0.2, "retry budget as a share of the load", minimum=0),
    ),
    metastable,
)
