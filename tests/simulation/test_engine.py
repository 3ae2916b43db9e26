"""Servers, channels and faults of the twin, event by event."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import simpy

from benchmarks.simulation_model import build
from experiment.controls import Blackhole, Delay, Impairment, Loss, Refuse, Reset, Throttle
from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.failures import (
    DISCONNECTED,
    REFUSED,
    REJECTED_BULKHEAD,
    RESET,
    SHORT_CIRCUITED,
    TIMEOUT,
    Cause,
    Failure,
)
from simulation.engine.loop import run_out, run_until
from simulation.engine.policies import Backoff, Bulkhead, CircuitBreaker, Protection, RetryBudget
from simulation.engine.randomness import (
    BATCH,
    AbsoluteNormal,
    Constant,
    Distribution,
    Exponential,
    Gamma,
    LogNormal,
    Mixture,
    Pareto,
    Quantiles,
    TailCurve,
    Uniform,
    sampler,
    stream,
    uniform_sampler,
)
from simulation.engine.servers import Server


class Ends:
    """Records when each call ended, and how."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seen: list[tuple[Any, float, Failure | None]] = []

    def resume(self, attempt: Attempt, error: Failure | None) -> None:
        self.seen.append((attempt.request, round(self.clock.now, 6), error))


class Effects:
    """A handler that commits and replies."""

    def __init__(self) -> None:
        self.committed: list[Any] = []

    def handle(self, attempt: Attempt) -> None:
        self.committed.append(attempt.request)
        attempt.channel.reply(attempt, "done")


class Bench:
    """One server that takes `service` seconds and one channel of 0.1 s each way."""

    def __init__(
        self, service: float = 1.0, protection: Protection | None = None, slots: int | None = 1
    ) -> None:
        self.clock = Clock()
        self.ends = Ends(self.clock)
        self.effects = Effects()
        self.server = Server(self.clock, "server", sampler(Constant(service), stream(1)), slots)
        self.server.handler = self.effects
        delay = sampler(Constant(0.1), stream(1))
        self.channel = Channel(
            self.clock, "a -> server", self.server, delay, delay, uniform_sampler(stream(1)), protection
        )

    def call_at(self, when: float, request: Any) -> None:
        self.clock.call_at(when, lambda: self.channel.call(self.ends, request))

    def impair(self, start: float, end: float, impairment: Impairment) -> None:
        self.clock.call_at(start, lambda: self.channel.wire.impair("f", impairment))
        self.clock.call_at(end, lambda: self.channel.wire.restore("f"))

    def play(self) -> list[tuple[Any, float, Failure | None]]:
        run_out(self.clock)
        return self.ends.seen


@pytest.mark.parametrize(
    "kind",
    [
        Uniform(0.0, 1.0),
        Exponential(0.3),
        Pareto(1.0, 2.0),
        LogNormal(1.0, 0.4),
        Gamma(1.0, 0.3),
        Gamma(1.0, 3.0),
        AbsoluteNormal(10.0, 2.0),
        TailCurve(((1.0, 1.0), (10.0, 0.02), (69.0, 0.0034))),
        Quantiles((0.0, 1.0, 5.0, 9.0)),
        Mixture(((0.4, Exponential(1.0)), (0.6, Exponential(3.0)))),
    ],
    ids=lambda kind: type(kind).__name__,
)
def test_how_many_values_are_drawn_at_once_changes_none(kind: Distribution) -> None:
    """A sampler begins with few, and its values are those of whole batches."""
    rng = stream(7, "whole")
    whole = [value for _ in range(3) for value in kind.draw(rng, BATCH).tolist()]
    assert list(islice(sampler(kind, stream(7, "whole")), len(whole))) == whole


def test_requests_queue_in_order_of_arrival() -> None:
    """One slot: the second request waits for the first."""
    bench = Bench()
    bench.call_at(0.0, "a")
    bench.call_at(0.5, "b")
    assert bench.play() == [("a", 1.2, None), ("b", 2.2, None)]
    assert bench.server.waits == [0.0, pytest.approx(0.5)]


def test_a_late_answer_is_dropped_but_its_effect_stands() -> None:
    """A client that gives up is told so; the server commits all the same, once per attempt."""
    bench = Bench(protection=Protection(timeout=0.5, attempts=2), slots=None)
    bench.call_at(0.0, "a")
    assert bench.play() == [("a", 1.0, TIMEOUT)]
    assert bench.effects.committed == ["a", "a"]
    assert (bench.channel.logical, bench.channel.attempts, bench.channel.timeouts) == (1, 2, 2)


def test_time_limits_are_kept_to_the_instant() -> None:
    """Attempts of one channel time out in turn, each at its own time."""
    bench = Bench(service=9.0, protection=Protection(timeout=0.5))
    for number in range(3):
        bench.call_at(number * 0.2, number)
    assert bench.play() == [(0, 0.5, TIMEOUT), (1, 0.7, TIMEOUT), (2, 0.9, TIMEOUT)]


def test_a_crash_loses_what_was_in_flight() -> None:
    """Work of an older epoch never completes; the caller sees its connection reset; a restart is empty."""
    bench = Bench()
    bench.call_at(0.0, "lost")
    bench.call_at(0.2, "queued")
    bench.call_at(0.7, "refused")
    bench.clock.call_at(0.6, bench.server.crash)
    bench.clock.call_at(2.0, bench.server.restart)
    bench.call_at(2.0, "fresh")
    assert bench.play() == [
        ("lost", 0.6, RESET),
        ("queued", 0.6, RESET),
        ("refused", 0.9, DISCONNECTED),
        ("fresh", 3.2, None),
    ]
    assert bench.effects.committed == ["fresh"]
    assert bench.server.lost == 2


@pytest.mark.parametrize("leaf", [True, False])
def test_a_pause_moves_everything_by_its_length(leaf: bool) -> None:
    """Work in service, in the queue and in the socket waits; nothing is lost."""
    bench = Bench()
    if leaf:
        bench.server.handler = None
    bench.call_at(0.0, "in service")
    bench.call_at(0.1, "queued")
    bench.call_at(1.0, "arrives paused")
    bench.clock.call_at(0.5, bench.server.pause)
    bench.clock.call_at(5.5, bench.server.resume)
    assert bench.play() == [
        ("in service", 6.2, None),
        ("queued", 7.2, None),
        ("arrives paused", 8.2, None),
    ]


def test_a_black_hole_swallows_and_its_end_closes_connections() -> None:
    """A call without a time limit hangs until the heal; a request already there commits unheard."""
    bench = Bench()
    bench.call_at(0.0, "committed")
    bench.call_at(1.0, "swallowed")
    bench.impair(0.5, 4.0, Blackhole())
    assert bench.play() == [("committed", 4.0, RESET), ("swallowed", 4.0, RESET)]
    assert bench.effects.committed == ["committed"]


def test_a_refusal_drops_what_is_open_and_refuses_the_rest() -> None:
    """Existing calls are reset at once, new ones refused after one way."""
    bench = Bench()
    bench.call_at(0.0, "open")
    bench.call_at(1.0, "new")
    bench.impair(0.5, 2.0, Refuse())
    bench.call_at(2.0, "after")
    assert bench.play() == [("open", 0.5, RESET), ("new", 1.1, REFUSED), ("after", 3.2, None)]


def test_a_reset_strikes_after_its_delay() -> None:
    """Calls are cut `after_s`, and never reach the server while it acts."""
    bench = Bench()
    bench.call_at(1.0, "cut")
    bench.impair(0.5, 2.0, Reset(after_s=0.3))
    assert bench.play() == [("cut", 1.4, RESET)]
    assert bench.effects.committed == []


@pytest.mark.parametrize("leaf", [True, False])
def test_latency_acts_in_its_direction(leaf: bool) -> None:
    """A delay that begins while a request is served holds the answer only."""
    bench = Bench()
    if leaf:
        bench.server.handler = None
    bench.call_at(0.0, "a")
    bench.impair(0.5, 9.0, Delay(2.0, direction="to_caller"))
    bench.call_at(1.5, "b")
    seen = bench.play()
    assert [error for _, _, error in seen] == [None, None]
    assert [at for _, at, _ in seen] == [pytest.approx(3.2, abs=0.11), pytest.approx(4.7)]


def test_a_throttle_takes_its_time_per_byte() -> None:
    """A message of 500 bytes at 1000 bytes a second takes half a second more."""
    bench = Bench()
    bench.channel.wire.request_bytes = 500
    bench.impair(0.0, 9.0, Throttle(1000))
    bench.call_at(1.0, "a")
    assert bench.play() == [("a", 2.7, None)]


def test_a_total_loss_delivers_at_its_end() -> None:
    """Packets are sent again until the link is back: late, not lost."""
    bench = Bench(service=0.0)
    bench.call_at(1.0, "a")
    bench.impair(0.5, 5.0, Loss(1.0))
    assert bench.play() == [("a", 5.2, None)]


def test_a_lost_response_can_close_the_connection() -> None:
    """The effect stands and the caller learns of the loss at once."""
    bench = Bench(service=0.0)
    bench.channel.wire.response_loss, bench.channel.wire.silent = 1.0, False
    bench.channel.wire.refresh()
    bench.call_at(0.0, "a")
    assert bench.play() == [("a", 0.2, DISCONNECTED)]
    assert bench.effects.committed == ["a"]


def test_a_breaker_opens_probes_and_closes() -> None:
    """Two failures open it; calls are refused at once; one probe after `open_for` closes it again."""
    bench = Bench(service=0.0, protection=Protection(1.0, breaker=CircuitBreaker(2, 3.0)))
    bench.impair(0.0, 3.0, Refuse())
    for when in (0.1, 0.2, 1.0, 4.0, 5.0):
        bench.call_at(when, when)
    assert [error for _, _, error in bench.play()] == [
        REFUSED,
        REFUSED,
        SHORT_CIRCUITED,
        None,
        None,
    ]
    assert bench.channel.breaker is not None
    assert (bench.channel.breaker.openings, bench.channel.breaker.state) == (1, "closed")


def test_a_bulkhead_lets_few_in_and_some_wait() -> None:
    """One at work, one waiting, the third refused; the waiting one goes when the first ends."""
    bench = Bench(protection=Protection(9.0, bulkhead=Bulkhead(1, 1)), slots=None)
    for name in "abc":
        bench.call_at(0.0, name)
    assert bench.play() == [("c", 0.0, REJECTED_BULKHEAD), ("a", 1.2, None), ("b", 2.4, None)]


def test_a_waiting_call_that_times_out_never_leaves() -> None:
    """As live: a call waits for the bulkhead no longer than its timeout, and has the whole of it once it is
    in. One that was given up while it waited was not sent, and is refused."""
    bench = Bench(service=5.0, protection=Protection(1.0, bulkhead=Bulkhead(1, 2)), slots=None)
    bench.call_at(0.0, "a")
    bench.call_at(0.5, "b")
    bench.call_at(0.6, "c")
    assert bench.play() == [("a", 1.0, TIMEOUT), ("c", 1.6, REJECTED_BULKHEAD), ("b", 2.0, TIMEOUT)]
    assert (bench.channel.attempts, bench.channel.rejected_bulkhead) == (2, 1)


def test_a_retry_budget_runs_dry() -> None:
    """Two tokens at the start and a tenth a request: of twenty failures four are tried again."""
    bench = Bench(service=0.0, protection=Protection(1.0, 2, budget=RetryBudget(0.1, 2.0)))
    bench.impair(0.0, 100.0, Refuse())
    for number in range(20):
        bench.call_at(1.0 + number, number)
    bench.play()
    assert bench.channel.retries == 3
    assert bench.ends.seen[-1][2] == Failure(Cause.REFUSED, budget_spent=True)


@pytest.mark.parametrize(
    ("jitter", "low", "high"), [("none", 0.4, 0.4), ("equal", 0.2, 0.4), ("full", 0.0, 0.4)]
)
def test_backoff_stays_within_its_jitter(jitter: Any, low: float, high: float) -> None:
    """The third retry waits base * 4, spread as the jitter says and never above the cap."""
    uniform = uniform_sampler(stream(3))
    waits = [Backoff(0.1, 1.0, jitter).delay(3, 0.0, uniform) for _ in range(200)]
    assert low <= min(waits) <= max(waits) <= high
    assert jitter == "none" or max(waits) - min(waits) > 0.9 * (high - low)
    assert max(Backoff(0.1, 0.3, jitter).delay(9, 0.0, uniform) for _ in range(50)) <= 0.3


def test_decorrelated_jitter_depends_on_the_last_wait() -> None:
    """Between the base and three times the last wait, capped."""
    backoff, uniform = Backoff(0.1, 5.0, "decorrelated"), uniform_sampler(stream(4))
    waits = [backoff.delay(2, 1.0, uniform) for _ in range(300)]
    assert 0.1 <= min(waits) < 0.3
    assert 2.8 < max(waits) <= 3.0


def trace(how: str) -> tuple[int, int, list[list[float]], list[list[float]]]:
    model = build(seed=5, length_s=8.0)
    if how == "shorter loop":
        run_until(model.clock, 8.0)
        run_out(model.clock)
    elif how == "clock":
        model.clock.run_until(8.0)
        model.clock.run_out()
    else:
        model.clock.run()  # SimPy's own
    return (
        model.visits.ok,
        model.visits.failed,
        [channel.latencies for channel in model.channels],
        [channel.server.waits for channel in model.channels],
    )


def test_the_loops_and_simpy_give_one_trace() -> None:
    """Through a slow link and a crash, every latency and every wait is the same under all three loops."""
    shorter = trace("shorter loop")
    assert shorter[1] > 0
    assert shorter == trace("clock") == trace("simpy")


def test_the_private_parts_of_simpy_are_where_they_were() -> None:
    """The clock uses SimPy's schedule: its version is pinned, its entries are (time, priority, id, event)."""
    assert simpy.__version__ == "4.1.2"
    environment = simpy.Environment()
    event = environment.timeout(2.5)
    assert environment._queue == [(2.5, 1, 0, event)]
    assert next(environment._eid) == 1


def test_processes_of_simpy_run_on_the_same_clock() -> None:
    """A generator process and an attempt share virtual time."""
    bench = Bench(service=0.0)
    seen: list[float] = []

    def process() -> Any:
        yield bench.clock.timeout(1.0)
        bench.channel.call(bench.ends, "from a process")
        yield bench.clock.timeout(1.0)
        seen.append(bench.clock.now)

    bench.clock.process(process())
    run_until(bench.clock, 10.0)
    assert bench.ends.seen == [("from a process", 1.2, None)]
    assert seen == [2.0]
