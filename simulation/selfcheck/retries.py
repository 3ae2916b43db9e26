"""Retries: effects that happen twice without an idempotency key, and the load that retrying adds."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import numpy as np

from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.failures import Failure
from simulation.engine.loop import run_out
from simulation.engine.policies import Protection, RetryBudget
from simulation.engine.randomness import Constant, Exponential, sampler, stream, uniform_sampler
from simulation.engine.servers import Server
from simulation.engine.sources import Source
from simulation.selfcheck.cases import Case, CheckRow, Parameter, at_most, require, row, share, spread
from simulation.selfcheck.queues import SEED, SEEDS

GAP_S = 0.001  # between requests; the server has no limit, so it does not matter


class Ledger:
    """One effect for every attempt it completes or, by an atomic key, one for every request."""

    def __init__(self, keyed: bool) -> None:
        self.keyed = keyed
        self.effects: dict[Any, int] = {}

    def handle(self, attempt: Attempt) -> None:
        request = attempt.request
        if not self.keyed or request not in self.effects:
            self.effects[request] = self.effects.get(request, 0) + 1
        attempt.channel.reply(attempt, self.effects[request])


class Clients:
    """What the clients were told."""

    def __init__(self) -> None:
        self.told_failed: set[Any] = set()

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if error is not None:
            self.told_failed.add(attempt.request)


@dataclass(frozen=True, slots=True)
class Effects:
    """Sums over the requests of one run."""

    duplicates: int
    effects: int
    effects_squared: int
    done_but_told_failed: int


def simulate_effects(
    seed: int,
    requests: int,
    rate: float,
    timeout: float,
    delay: float,
    request_loss: float,
    response_loss: float,
    retries: int,
    keyed: bool,
) -> Effects:
    """`requests` go over one lossy channel, from clients that give up on an attempt after `timeout`."""
    clock = Clock()
    ledger, clients = Ledger(keyed), Clients()
    service = sampler(Exponential(1 / rate), stream(seed, "service"))
    server = Server(clock, "server", service, slots=None)
    server.handler = ledger
    nothing, back = sampler(Constant(0.0), stream(seed)), sampler(Constant(delay), stream(seed))
    uniform = uniform_sampler(stream(seed, "loss"))
    protection = Protection(timeout, retries + 1)
    channel = Channel(clock, "calls", server, nothing, back, uniform, protection)
    channel.wire.request_loss = request_loss
    channel.wire.response_loss = response_loss
    channel.wire.refresh()
    Source(clock, sampler(Constant(GAP_S), stream(seed)), lambda n: channel.call(clients, n), count=requests)
    run_out(clock)
    counts = np.asarray(list(ledger.effects.values()))
    return Effects(
        int((counts > 1).sum()),
        int(counts.sum()),
        int((counts**2).sum()),
        len(clients.told_failed & ledger.effects.keys()),
    )


def duplicates(
    *,
    service_rate: float,
    timeout: float,
    delay: float,
    request_loss: float,
    response_loss: float,
    retries: int,
    customers: int,
    seeds: int,
    seed: int,
) -> list[CheckRow]:
    """One attempt is acknowledged with probability a, has its effect unseen with b, and is not acknowledged
    with f = 1 - a; the attempts of a request are independent because nothing queues."""
    r, q, n = request_loss, response_loss, retries
    require(r <= 1 and q <= 1, f"found losses of {r:g} and {q:g}, expected shares of at most 1")
    found = f"found a service rate of {service_rate:g} and a timeout of {timeout:g}"
    require(service_rate > 0 and timeout > 0, f"{found}, expected both above 0")
    a = (1 - r) * (1 - q) * (1 - exp(-service_rate * max(timeout - delay, 0.0)))
    b, f = (1 - r) - a, 1 - a
    # Sums instead of the quotients (1 - x**m) / (1 - x), which have no value at r = 1 or a = 0.
    duplicate = 1 - r ** (n + 1) - a * sum(r**k for k in range(n + 1)) - (n + 1) * b * r**n
    effects = (1 - r) * sum(f**k for k in range(n + 1))
    unseen = f ** (n + 1) - r ** (n + 1)

    def run(keyed: bool) -> list[Effects]:
        arguments = (customers, service_rate, timeout, delay, r, q, n, keyed)
        return spread(simulate_effects, [(seed + k, *arguments) for k in range(seeds)])

    runs, keyed = run(False), run(True)
    total = customers * seeds
    mean = sum(each.effects for each in runs) / total
    variance = sum(each.effects_squared for each in runs) / total - mean**2
    rows = []
    for quantity, expected, count in (
        ("P(duplicate)", duplicate, sum(each.duplicates for each in runs)),
        ("P(done, told it failed)", unseen, sum(each.done_but_told_failed for each in runs)),
    ):
        rows.append(share(quantity, expected, count / total, total))
    rows.insert(1, row("E[effects]", effects, mean, sqrt(variance / total)))
    with_key = sum(each.duplicates for each in keyed) / total
    rows.append(row("P(duplicate) with a key", 0.0, with_key, 0.0))
    return rows


@dataclass(slots=True)
class Outcomes:
    ok: int = 0
    failed: int = 0

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if error is None:
            self.ok += 1
        else:
            self.failed += 1


def simulate_retries(
    seed: int, requests: int, failure: float, retries: int, ratio: float | None, initial: float
) -> tuple[int, int, int]:
    """Successes, attempts and squared attempts a request, of requests that fail independently."""
    clock = Clock()
    nothing = sampler(Constant(0.0), stream(seed))
    server = Server(clock, "server", nothing, slots=None)
    budget = RetryBudget(ratio, initial) if ratio is not None else None
    channel = Channel(
        clock,
        "calls",
        server,
        nothing,
        nothing,
        uniform_sampler(stream(seed, "failure")),
        Protection(attempts=retries + 1, budget=budget),
    )
    channel.wire.error_share = failure
    channel.wire.refresh()
    outcomes = Outcomes()
    Source(clock, sampler(Constant(1.0), stream(seed)), lambda n: channel.call(outcomes, n), count=requests)
    run_out(clock)
    return outcomes.ok, channel.attempts, channel.logical


def retries(
    *, failure: float, retries: int, budget: float, initial: float, customers: int, seeds: int, seed: int
) -> list[CheckRow]:
    """Success 1 - p^(n+1), load (1 - p^(n+1)) / (1 - p); a token bucket bounds it by ratio and size."""
    p, n = failure, retries
    require(p <= 1, f"found failure {p:g}, expected a share of at most 1")
    free = spread(simulate_retries, [(seed + k, customers, p, n, None, 0.0) for k in range(seeds)])
    bound = spread(simulate_retries, [(seed + k, customers, p, n, budget, initial) for k in range(seeds)])
    total = customers * seeds
    success = 1 - p ** (n + 1)
    load = sum(p**k for k in range(n + 1))
    # Attempts are the sum of indicators "at least k failures in a row".
    second = sum((2 * k + 1) * p**k for k in range(n + 1))
    ok = sum(each[0] for each in free) / total
    sent = sum(each[1] for each in free) / total
    bounded = sum(each[1] for each in bound) / total
    return [
        share("P(success)", success, ok, total),
        row("attempts per request", load, sent, sqrt(max(second - load**2, 0.0) / total)),
        at_most("attempts per request with the budget, at most", 1 + budget + initial / customers, bounded),
    ]


DUPLICATES = Case(
    "duplicates",
    "Effects that happen twice when a retry bears no key",
    "the attempts of a request as independent trials with late effects still applied",
    (
        Parameter("service_rate", float, 10.0, "rate mu of the exponential service time, per second"),
        Parameter("timeout", float, 0.3, "client time limit T in seconds"),
        Parameter("delay", float, 0.0, "added response delay d in seconds", minimum=0),
        Parameter("request_loss", float, 0.02, "share r of requests that are lost", minimum=0),
        Parameter("response_loss", float, 0.01, "share q of responses that are lost", minimum=0),
        Parameter("retries", int, 2, "retries n after the first attempt", minimum=0),
        Parameter("customers", int, 100_000, "requests of one run", minimum=100),
        SEEDS,
        SEED,
    ),
    duplicates,
)
RETRIES = Case(
    "retries",
    "The load that retries add, with and without a retry budget",
    "geometric series of independent failures",
    (
        Parameter("failure", float, 0.5, "probability p that an attempt fails", minimum=0),
        Parameter("retries", int, 3, "retries after the first attempt", minimum=0),
        Parameter("budget", float, 0.1, "tokens that each request adds to the retry budget", minimum=0),
        Parameter("initial", float, 10.0, "tokens in the full budget, also at the start", minimum=0),
        Parameter("customers", int, 50_000, "requests of one run", minimum=100),
        SEEDS,
        SEED,
    ),
    retries,
)
