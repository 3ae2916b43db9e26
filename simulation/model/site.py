"""What every part of one simulated system shares: clock, chance, sizes, design, people."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from experiment.design import Design
from experiment.plan import Plan
from experiment.topology import Role
from simulation.engine.clock import Clock
from simulation.engine.randomness import Sampler, sampler, stream, uniform_sampler
from simulation.engine.servers import Server
from simulation.model.magnitudes import RESTART, Magnitudes
from simulation.model.messages import Request

SLOTS = {"store": "store_slots", "bus": "bus_slots"}  # of a service: service_slots


class Site:
    """Made once for a simulated run. `chance` is "" or names another draw of the same plan.

    `spans` collects the seconds that each request took inside a service, by (service, operation).
    """

    def __init__(self, plan: Plan, magnitudes: Magnitudes, chance: str = "") -> None:
        self.clock = Clock()
        self.magnitudes = magnitudes
        self.design: Design = plan.design
        self.population = plan.population
        self.clock_scale = plan.scenario.clock_scale
        self.system = plan.system
        self.calls = magnitudes.calls  # of services without a model of their own
        self.spans: dict[tuple[str, str], list[float]] = {}
        self.tables: dict[str, dict[str, Any]] = {}  # of each service, for those that share a database
        self._seed = plan.seed
        self._chance = (chance,) if chance else ()
        self._numbers = 0
        self._constants = magnitudes.constants
        self._margin_s = magnitudes.constants["reply_margin_s"]
        self.span_names = (f"{number:016x}" for number in count(1))
        self._works = {name: sampler(one, self.stream("work", name)) for name, one in magnitudes.work.items()}

    def constant(self, name: str) -> float:
        return self._constants[name]

    def restart_s(self, service: str) -> float:
        """How long a process that crashed takes until it is ready again."""
        constants = self.magnitudes.constants
        return constants.get(f"{RESTART}/{service}", constants[RESTART])

    # chance

    def stream(self, *purpose: object) -> np.random.Generator:
        """All that happens by chance in the system: from the plan's seed, and apart from the plan itself."""
        return stream(self._seed, *self._chance, *purpose)

    def random(self, *purpose: object) -> Sampler:
        return uniform_sampler(self.stream(*purpose))

    def server(self, name: str, role: Role) -> Server:
        """The process of a service, or a store or bus, which works at several requests at once."""
        demand = sampler(self.magnitudes.of_service(name, role), self.stream("service", name))
        return Server(self.clock, name, demand, int(self.constant(SLOTS.get(role, "service_slots"))))

    def processing(self, name: str, *purpose: object) -> Sampler:
        """What an instrument takes before it commits."""
        return sampler(self.magnitudes.processing[name], self.stream(name, *purpose))

    # time inside a service

    def work(self, service: str, what: str) -> float:
        """What an operation takes beyond its own service's queue and the calls it makes."""
        if not self._works:
            return 0.0
        drawn = self._works.get(f"{service}/{what}")
        return next(drawn) if drawn is not None else 0.0

    def took(self, service: str, what: str, seconds: float) -> None:
        """A request ended inside a service."""
        self.spans.setdefault((service, what), []).append(seconds)

    def time_left(self, request: Request, timeout: float | None, now: float) -> float | None:
        """Seconds an attempt that starts now may take: the shortest of the limits that it has."""
        left, limit = timeout, request.limit
        if limit is not None and (left is None or limit < left):
            left = limit
        if request.deadline is not None:
            limit = max(0.0, request.deadline - now - self._margin_s)
            if left is None or limit < left:
                left = limit
        return left

    # names

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def new_id(self, kind: str) -> str:
        return f"{kind}-{self.next_number():06d}"

    def switches(self, service: str) -> Mapping[str, Any]:
        """What the design says of a service, by the names of the switches."""
        return self.design.services[service]
