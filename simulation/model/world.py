"""The whole simulated system of one plan: nodes, channels and the bus, wired as system.yaml says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiment.design import LinkPatterns
from experiment.errors import UnsupportedError, nearest
from experiment.plan import Plan
from experiment.topology import Link
from simulation.engine.bulkheads import Bulkhead
from simulation.engine.channels import Channel
from simulation.engine.clock import Clock
from simulation.engine.policies import Backoff, CircuitBreaker, RetryBudget
from simulation.engine.protection import Protection
from simulation.engine.randomness import Sampler, sampler, stream, uniform_sampler
from simulation.engine.servers import Server
from simulation.model.bus import BusNode, Consumer, Outbox
from simulation.model.magnitudes import Magnitudes
from simulation.model.messages import NOT_DONE, UNSENT, Request
from simulation.model.nodes import Node, StoreNode
from simulation.services.billing import Billing
from simulation.services.checkin import Checkin
from simulation.services.eligibility import Eligibility
from simulation.services.instruments import Payer, Payments, Registry
from simulation.services.medication import Pharmacy, Prescriptions

MODELS: dict[str, type[Node]] = {
    "checkin": Checkin,
    "eligibility": Eligibility,
    "payer": Payer,
    "registry": Registry,
    "prescriptions": Prescriptions,
    "pharmacy": Pharmacy,
    "billing": Billing,
    "payments": Payments,
}
SERVING_PATTERNS = frozenset(
    {
        "shedding",
        "eligibility",
        "inline_wait",
        "eligibility_cache",
        "retry_schedule",
        "registry_fallback",
        "idempotency_key",
        "outbox",
        "dedupe",
        "version_fence",
        "dispense_check",
        "if_match",
        "saga",
        "lookup_before_retry",
        "database",
        "outbox_poll",
        "max_rate",
    }
)
LINK_PATTERNS = frozenset({"timeout", "propagate_deadline", "retry", "breaker", "bulkhead"})


class World:
    """Built once per simulated run."""

    def __init__(self, plan: Plan, magnitudes: Magnitudes, chance: str = "") -> None:
        self.plan = plan
        self._chance = (chance,) if chance else ()
        self.magnitudes = magnitudes
        self.clock = Clock()
        self.consumers: list[Consumer] = []
        self._numbers = 0
        self.spans: dict[tuple[str, str], list[float]] = {}  # seconds each request took inside a service
        self._works = {name: sampler(one, self.stream("work", name)) for name, one in magnitudes.work.items()}
        self.patients = {patient.id for patient in plan.population.patients}
        self.cover = {
            patient.coverage_id: "in-force" if patient.coverage.get("status") == "active" else "not-covered"
            for patient in plan.population.patients
        }
        self.nodes: dict[str, Node] = {}
        self.channels: dict[str, Channel] = {}
        for name, service in plan.system.services.items():
            if service.role == "store":
                self.nodes[name] = StoreNode(self, name)
            elif service.role == "bus":
                self.nodes[name] = BusNode(self, name)
            else:
                self.nodes[name] = MODELS[name](self, name)
        for link in plan.system.links:
            self._connect(link)
        for name in self.nodes:
            self._open(name)

    # parts

    def server(self, name: str) -> Server:
        role = self.plan.system.services[name].role
        kind = {"store": "store_slots", "bus": "bus_slots"}.get(role, "service_slots")
        demand = sampler(self.magnitudes.of_service(name), self.stream("service", name))
        return Server(self.clock, name, demand, int(self.magnitudes.constants[kind]))

    def stream(self, *purpose: object) -> np.random.Generator:
        """All that happens by chance in the system: from the plan's seed, and apart from the plan itself."""
        return stream(self.plan.seed, *self._chance, *purpose)

    def random(self, *purpose: object) -> Sampler:
        return uniform_sampler(self.stream(*purpose))

    def _connect(self, link: Link) -> None:
        node = self.nodes[link.caller]
        channel = self.channel(link.name, link.callee, link.protocol, self._protection(node, link))
        key = {"postgres": "postgres", "nats": "bus"}.get(link.protocol, link.callee)
        node.links[key] = channel
        self.channels[link.name] = channel

    def channel(self, name: str, callee: str, protocol: str, protection: Protection) -> Channel:
        delay = self.magnitudes.of_link(name, protocol)
        there = sampler(delay, self.stream("there", name))
        back = sampler(delay, self.stream("back", name))
        uniform = self.random("link", name)
        channel = Channel(self.clock, name, self.nodes[callee].server, there, back, uniform, protection)
        sizes = self.magnitudes.constants
        channel.wire.request_bytes, channel.wire.response_bytes = (
            sizes["request_bytes"],
            sizes["response_bytes"],
        )
        channel.wire.silent = False
        return channel

    def user_channels(self, entry: str) -> list[Channel]:
        """The ways that users take to a service."""
        return [channel for channel in self.nodes[entry].server.channels if channel.name.startswith("users")]

    def _protection(self, node: Node, link: Link) -> Protection:
        """The link's patterns as the live services apply them: stores and the bus get one attempt."""
        patterns = self.plan.design.links[link.name]
        http = link.protocol == "http"
        sizes = self.magnitudes.constants
        retry = patterns.retry if http else None
        bulkhead: Bulkhead | None = None
        if http and patterns.bulkhead is not None:
            bulkhead = Bulkhead(patterns.bulkhead.concurrent, patterns.bulkhead.queue)
        elif http:
            bulkhead = node.tables.get("shared_pool") or Bulkhead(
                int(sizes["shared_pool_concurrent"]), int(sizes["shared_pool_queue"])
            )
            node.tables["shared_pool"] = bulkhead
        budget = None
        if retry is not None and retry.budget is not None:
            budget = RetryBudget(retry.budget, sizes["budget_size"], 0.0)
        breaker = patterns.breaker
        return Protection(
            timeout=patterns.timeout,
            attempts=retry.attempts if retry is not None else 1,
            backoff=Backoff(retry.backoff, retry.cap, retry.jitter) if retry is not None else Backoff(),
            budget=budget,
            breaker=CircuitBreaker(breaker.failures, breaker.open_for) if breaker is not None else None,
            bulkhead=bulkhead,
            may_repeat=_repeatable(patterns),
            left=lambda request: self.time_left(request, None, self.clock._now),
        )

    def time_left(self, request: Request, timeout: float | None, now: float) -> float | None:
        """Seconds an attempt that starts now may take: the shortest of the limits that it has."""
        margin = self.magnitudes.constants["reply_margin_s"]
        limits = [limit for limit in (timeout, request.limit) if limit is not None]
        if request.deadline is not None:
            limits.append(max(0.0, request.deadline - now - margin))
        return min(limits) if limits else None

    # the bus

    def outbox(self, node: Node) -> Outbox:
        """A node's publisher, started with its process."""
        outbox = Outbox(node)
        if "bus" in node.links:
            node.spawn(outbox.relay())
        return outbox

    def _open(self, name: str) -> None:
        node = self.nodes[name]
        handler = getattr(node, "on_events", None)
        if node.CONSUMES and "bus" in node.links and handler is not None:
            consumer = Consumer(node, node.CONSUMES, handler)
            self.consumers.append(consumer)
            node.connected = consumer.reconnect
        elif isinstance(node, BusNode):
            node.connected = self.reconnect_all
        node.opened()

    def reconnect_all(self) -> None:
        for consumer in self.consumers:
            consumer.reconnect()

    def reconnect(self, link: str) -> None:
        """The connection of a link was cut: what a consumer had not acknowledged comes again."""
        for consumer in self.consumers:
            if consumer.link == link:
                consumer.reconnect()

    def work(self, service: str, what: str) -> float:
        """What an operation takes beyond its own service's queue and the calls it makes."""
        drawn = self._works.get(f"{service}/{what}")
        return next(drawn) if drawn is not None else 0.0

    def hurry(self, link: str) -> None:
        """A delay on a link ended: what it held of the events arrives."""
        for consumer in self.consumers:
            if consumer.link == link:
                consumer.hurry()

    # names

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def new_id(self, kind: str) -> str:
        return f"{kind}-{self.next_number():06d}"


def _repeatable(patterns: LinkPatterns) -> Callable[[Request, str], bool]:
    only_idempotent = patterns.retry is not None and patterns.retry.only_idempotent

    def may_repeat(request: Request, error: str) -> bool:
        if not error.startswith(UNSENT) and not error.endswith(NOT_DONE):
            request.sent = True
        return request.idempotent or not request.sent or not only_idempotent

    return may_repeat


def refuse_unknown(plan: Plan, capabilities: dict[str, frozenset[str]]) -> None:
    """Raises UnsupportedError naming every service, switch and fault that the model does not know."""
    problems: list[str] = []
    for name, service in plan.system.services.items():
        if service.role in ("service", "instrument") and name not in MODELS:
            problems.append(f'the service "{name}", which the twin does not model; {nearest(name, MODELS)}')
    for patterns, known in (
        (next(iter(plan.design.services.values())), SERVING_PATTERNS),
        (next(iter(plan.design.links.values())), LINK_PATTERNS),
    ):
        for switch in type(patterns).__slots__:
            if switch not in known:
                problems.append(f'the switch "{switch}" of a design, which the twin does not model')
    for spec in plan.scenario.faults:
        able = capabilities[spec.fault.target_kind]
        if spec.fault.requires not in able:
            names = ", ".join(sorted(able))
            problems.append(
                f"{spec.where}: {spec.fault.kind} on {spec.target}, which the twin cannot do; it can: {names}"
            )
    if problems:
        raise UnsupportedError("\n".join(f"simulation: found {problem}" for problem in problems))
