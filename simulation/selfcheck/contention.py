"""Backoff and jitter under optimistic concurrency: the AWS architecture blog's model on the twin's channels.

Every client reads a row's version and writes it back, over a network with a one-way delay of |N(10, 2)| ms;
a write on an old version fails, and its client backs off and reads again. Time is in milliseconds here. There
is no closed form, so what is expected comes from a second, bare implementation of the same description, and
for 100 clients from the figures that were published.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.failures import Failure
from simulation.engine.loop import run_out
from simulation.engine.policies import Backoff
from simulation.engine.randomness import (
    AbsoluteNormal,
    Constant,
    Sampler,
    sampler,
    stream,
    uniform_sampler,
)
from simulation.engine.servers import Server
from simulation.selfcheck.cases import Case, CheckRow, Parameter, require, row, spread
from simulation.selfcheck.queues import SEED

POLICIES = {
    "none": Backoff(0.0),
    "exponential": Backoff(5.0, 2000.0, "none", offset=1),
    "equal_jitter": Backoff(5.0, 2000.0, "equal", offset=1),
    "full_jitter": Backoff(5.0, 2000.0, "full", offset=1),
    "decorrelated": Backoff(5.0, 2000.0, "decorrelated", offset=1),
}
PUBLISHED = {  # 100 clients: calls, completion in ms
    "none": (2418.0, 2022.0),
    "exponential": (1858.0, 63677.0),
    "equal_jitter": (812.0, 6541.0),
    "full_jitter": (796.0, 4918.0),
    "decorrelated": (1000.0, 4568.0),
}
PUBLISHED_CLIENTS = 100
FEW_CLIENTS = 20_000  # clients over all repetitions: the fewer contend, the more a run's time varies
CALLS_WITHIN, TIME_WITHIN = 0.02, 0.05
NETWORK = AbsoluteNormal(10.0, 2.0)
REFERENCE_SEED = 7919  # keeps the second implementation's draws apart from the twin's


class Row:
    """The contended row: a version, compared and set."""

    def __init__(self) -> None:
        self.version = 0
        self.writes = 0

    def handle(self, attempt: Attempt) -> None:
        seen = attempt.request
        if seen is None:
            attempt.channel.reply(attempt, self.version)
            return
        self.writes += 1
        won = seen == self.version
        self.version += won
        attempt.channel.reply(attempt, won)


class Client:
    """Reads, writes, and on a conflict backs off and begins again."""

    def __init__(self, clock: Clock, channel: Channel, backoff: Backoff, uniform: Sampler) -> None:
        self.clock, self.channel, self.backoff, self.uniform = clock, channel, backoff, uniform
        self.conflicts = 0
        self.waited = 0.0
        self.read()

    def read(self) -> None:
        self.channel.call(self, None)

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        if attempt.request is None:
            self.channel.call(self, attempt.answer)
        elif not attempt.answer:
            self.conflicts += 1
            self.waited = self.backoff.delay(self.conflicts, self.waited, self.uniform)
            self.clock.call_after(self.waited, self.read)


def simulate_contention(seed: int, clients: int, policy: str) -> tuple[int, float]:
    """Writes tried, and milliseconds until every client has won once."""
    clock = Clock()
    server = Server(clock, "row", sampler(Constant(0.0), stream(seed)), slots=None)
    server.handler = held = Row()
    delay = sampler(NETWORK, stream(seed, "network"))
    uniform = uniform_sampler(stream(seed, "jitter"))
    channel = Channel(clock, "row", server, delay, delay, uniform)
    for _ in range(clients):
        Client(clock, channel, POLICIES[policy], uniform)
    run_out(clock)
    return held.writes, clock.now


def reference(seed: int, clients: int, policy: str) -> tuple[int, float]:
    """The same description with a heap and nothing else, and its own arithmetic for the waits."""
    rng = stream(seed + REFERENCE_SEED, "reference", policy)
    base, cap = 5.0, 2000.0
    version = writes = serial = 0
    now = 0.0
    heap: list[tuple[float, int, str, int, float, int]] = []

    def message(at: float, kind: str, conflicts: int, slept: float, seen: int) -> None:
        nonlocal serial
        serial += 1
        heappush(heap, (at + abs(rng.normal(10.0, 2.0)), serial, kind, conflicts, slept, seen))

    for _ in range(clients):
        message(0.0, "read", 0, base, 0)
    while heap:
        now, _, kind, conflicts, slept, seen = heappop(heap)
        if kind == "read":
            message(now, "write_next", conflicts, slept, version)
        elif kind == "write_next":
            message(now, "write", conflicts, slept, seen)
        elif kind == "write":
            writes += 1
            if seen == version:
                version += 1
                message(now, "won", conflicts, slept, 0)
            else:
                message(now, "lost", conflicts + 1, slept, 0)
        elif kind == "lost":
            full = min(cap, base * 2.0 ** min(conflicts, 60))
            if policy == "none":
                wait = 0.0
            elif policy == "exponential":
                wait = full
            elif policy == "equal_jitter":
                wait = full / 2 + rng.uniform(0, full / 2)
            elif policy == "full_jitter":
                wait = rng.uniform(0, full)
            else:
                wait = slept = min(cap, rng.uniform(base, slept * 3))
            message(now + wait, "read", conflicts, slept, 0)
    return writes, now


def backoff(*, clients: int, policy: str, repetitions: int, seed: int) -> list[CheckRow]:
    """Mean calls and completion time of each policy, and the order of the policies by both."""
    require(clients >= 1, f"found {clients} clients, expected at least one")
    require(repetitions != 1, "found --repetitions 1, expected at least two, or 0 for as many as are needed")
    repetitions = repetitions or max(100, FEW_CLIENTS // clients)
    policies = tuple(POLICIES) if policy == "all" else (policy,)
    rows: list[CheckRow] = []
    figures: list[tuple[float, float, float, float]] = []
    for name in policies:
        arguments = [(seed + k, clients, name) for k in range(repetitions)]
        simulated = np.asarray(spread(simulate_contention, arguments), dtype=float)
        if clients == PUBLISHED_CLIENTS:
            expected = np.asarray(PUBLISHED[name])
        else:
            expected = np.asarray(spread(reference, arguments), dtype=float).mean(axis=0)
        mean, error = simulated.mean(axis=0), simulated.std(axis=0, ddof=1) / np.sqrt(repetitions)
        figures.append((*expected, *mean))
        for index, (what, within) in enumerate((("calls", CALLS_WITHIN), ("completion ms", TIME_WITHIN))):
            quantity = f"{name}: {what}"
            rows.append(
                row(
                    quantity,
                    float(expected[index]),
                    float(mean[index]),
                    float(error[index]),
                    within=within,
                )
            )
    if len(policies) > 1:
        table = np.asarray(figures)
        for index, what in enumerate(("calls", "completion ms")):
            agree = np.array_equal(np.argsort(table[:, index]), np.argsort(table[:, index + 2]))
            rows.append(row(f"policies in the expected order of {what}", 1.0, float(agree)))
    return rows


BACKOFF = Case(
    "backoff",
    "Backoff and jitter among clients that contend for one row",
    "AWS architecture blog, Exponential Backoff And Jitter (2015), and its public simulator",
    (
        Parameter("clients", int, PUBLISHED_CLIENTS, "clients that contend", minimum=1),
        Parameter("policy", str, "all", "one policy, or all", ("all", *POLICIES)),
        Parameter("repetitions", int, 0, "runs to average; 0: as many as a steady mean needs", minimum=0),
        SEED,
    ),
    backoff,
)
