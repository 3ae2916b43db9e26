"""Servers: slots that work off a queue in order of arrival, which may refuse, crash and be paused.

When a request is taken in, its time in the queue and its completion are known at once: they follow from the
instants at which the slots become free, kept in a heap. So a request costs two events, its arrival and its
completion, and a queue of any length costs none. A crash raises the server's epoch: a completion from an
older epoch is lost work. A pause moves completions by its length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from typing import Protocol

from simulation.engine.attempts import Attempt
from simulation.engine.clock import Clock
from simulation.engine.randomness import Sampler


class Handler(Protocol):
    """What a server does once its own work on a request is finished: it must reply, now or later."""

    def handle(self, attempt: Attempt) -> None: ...


@dataclass(slots=True)
class Disturbance:
    """A crash, or a pause from `start` to `end` (None while it lasts)."""

    crash: bool
    start: float
    end: float | None = None


class Server:
    """`slots` at work at once (None: no limit), each request for a time drawn from `demand`.

    `capacity` bounds the requests inside, waiting ones included; more are refused. `waits` collects the time
    each request spent in the queue; `admissions`, when it is a list, whether each arrival was taken in.
    """

    __slots__ = (
        "_backlog",
        "_cores",
        "_held",
        "_inside",
        "_unlimited",
        "_worked_until",
        "admissions",
        "capacity",
        "clock",
        "demand",
        "disturbances",
        "epoch",
        "free",
        "handler",
        "lost",
        "name",
        "on_crash",
        "paused",
        "plain",
        "refused",
        "slots",
        "up",
        "waits",
    )

    def __init__(
        self, clock: Clock, name: str, demand: Sampler, slots: int | None = 1, capacity: int | None = None
    ) -> None:
        self.clock = clock
        self.name = name
        self.demand = demand
        self._unlimited = demand
        self._cores: float | None = None
        self._worked_until = 0.0
        self.slots = slots
        self.capacity = capacity
        self.free: list[float] = [0.0] * (slots or 0)
        self.handler: Handler | None = None
        self.up = True
        self.paused = False
        self.epoch = 0
        self.disturbances: list[Disturbance] = []
        self.plain = False
        self.on_crash: list[Callable[[], None]] = []  # cuts the connections to it
        self.refused = 0
        self.lost = 0
        self.waits: list[float] = []
        self.admissions: list[bool] | None = None
        self._inside: list[float] = []
        self._backlog: list[Attempt] = []
        self._held: list[tuple[float, Attempt]] = []
        self._settle()

    def _settle(self) -> None:
        """`plain` tells a channel that it may serve an arrival on its short path."""
        self.plain = self.slots is not None and self.capacity is None and self.up and not self.paused

    @property
    def arrivals(self) -> int:
        """Requests taken in."""
        return len(self.waits)

    def admit(self, now: float) -> float:
        """The instant at which a request that arrives now is completed, or -1 when it is refused."""
        if self.capacity is not None:
            inside = self._inside
            while inside and inside[0] <= now:
                heappop(inside)
            full = len(inside) >= self.capacity
            if self.admissions is not None:
                self.admissions.append(not full)
            if full:
                self.refused += 1
                return -1.0
        if self.slots is None:
            start = now
            done = now + next(self.demand)
        else:
            start = self.free[0]
            if start < now:
                start = now
            done = start + next(self.demand)
            heapreplace(self.free, done)
        self.waits.append(start - now)
        if self.capacity is not None:
            heappush(self._inside, done)
        return done

    def disturbed(self, attempt: Attempt, done: float) -> bool:
        """For work from an older epoch that was to be done at `done`: True when it must not end now."""
        shift = 0.0
        for one in self.disturbances[attempt.epoch :]:
            if one.start >= done + shift:
                break
            if one.crash:
                self.lost += 1
                return True
            if one.end is None:
                self._held.append((self.clock._now - one.start, attempt))
                return True
            shift += one.end - one.start
        attempt.epoch = self.epoch
        if shift > 0.0:
            self.clock.schedule_at(self.clock._now + shift, attempt)
        return shift > 0.0

    def limit(self, cores: float | None) -> None:
        """Give the process a share of a core: its work takes so much longer. None gives it back."""
        self.demand = self._unlimited if cores is None else (one / cores for one in self._unlimited)
        self._cores = cores

    def takes(self, work: float) -> float:
        """Seconds until `work` seconds of the process's own work are done: under a limit its requests share
        the CPU, one after the other."""
        if self._cores is None:
            return work
        now = self.clock._now
        self._worked_until = max(now, self._worked_until) + work / self._cores
        return self._worked_until - now

    def crash(self) -> None:
        """The process dies: what it was doing and what it held in its queue is gone."""
        self.up = False
        self.paused = False
        self._worked_until = 0.0
        self._settle()
        self._disturb(Disturbance(True, self.clock._now, self.clock._now))
        self._backlog.clear()
        self._held.clear()
        self._inside.clear()
        for cut in self.on_crash:
            cut()

    def restart(self) -> None:
        self.up = True
        self._settle()
        self.free = [self.clock._now] * (self.slots or 0)

    def pause(self) -> None:
        """The process stands still; requests wait in its socket buffers."""
        self.paused = True
        self._settle()
        self._disturb(Disturbance(False, self.clock._now))

    def resume(self) -> None:
        if not self.paused:
            return
        now = self.clock._now
        pause = self.disturbances[-1]
        pause.end = now
        self.paused = False
        self._settle()
        length = now - pause.start
        self.free = [at + length if at > pause.start else now for at in self.free]
        heapify(self.free)
        held, self._held = self._held, []
        for remaining, attempt in held:
            attempt.epoch = self.epoch
            self.clock.schedule_at(now + remaining, attempt)
        backlog, self._backlog = self._backlog, []
        for attempt in backlog:
            self.clock.schedule_at(now, attempt)

    def park(self, attempt: Attempt) -> None:
        """Keep an arrival, or anything else that must wait, until the pause ends."""
        self._backlog.append(attempt)

    def _disturb(self, one: Disturbance) -> None:
        self.disturbances.append(one)
        self.epoch = len(self.disturbances)
