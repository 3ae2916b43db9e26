"""The whole simulated system of one plan: nodes, channels and the bus, wired as system.yaml says."""

from __future__ import annotations

from collections.abc import Callable

from experiment.errors import UnsupportedError
from experiment.obeyed import PATTERNS
from experiment.patterns import LinkPatterns
from experiment.plan import Plan
from experiment.topology import Link
from simulation.engine.channels import Channel
from simulation.engine.failures import Failure
from simulation.engine.policies import Backoff, Bulkhead, CircuitBreaker, Protection, RetryBudget
from simulation.engine.randomness import Sampler, sampler
from simulation.model.bus import BusNode, Consumer
from simulation.model.magnitudes import Magnitudes
from simulation.model.messages import Request
from simulation.model.models import Models, models_of
from simulation.model.nodes import Node, StoreNode
from simulation.model.site import Site

OWN: dict[str, type[Node]] = {"store": StoreNode, "bus": BusNode}  # by role
USERS = "users -> {}"  # the name of the users' way to a service


class World:
    """Built once per simulated run. Raises ConfigError for models that cannot be used."""

    def __init__(
        self, plan: Plan, magnitudes: Magnitudes, chance: str = "", models: Models | None = None
    ) -> None:
        self.plan = plan
        self.site = Site(plan, magnitudes, chance)
        self.clock = self.site.clock
        self.consumers: list[Consumer] = []
        self.nodes: dict[str, Node] = {}
        self.channels: dict[str, Channel] = {}
        self._users: dict[str, Channel] = {}  # by entry
        self._pools: dict[str, Bulkhead] = {}  # the connections that a service's links share
        self.models = models if models is not None else models_of(plan.system)
        for name, service in plan.system.services.items():
            model = OWN.get(service.role) or self.models.nodes[name]
            self.nodes[name] = model(self.site, name, self.site.server(name, service.role))
        for link in plan.system.links:
            self._connect(link)
        for node in self.nodes.values():
            node.wired()
        for node in self.nodes.values():
            self._open(node)

    @property
    def spans(self) -> dict[tuple[str, str], list[float]]:
        """Seconds that each request took inside a service, by (service, operation)."""
        return self.site.spans

    # parts

    def _connect(self, link: Link) -> None:
        node = self.nodes[link.caller]
        channel = self._channel(link.name, link.callee, link.protocol, self._protection(link))
        node.link(link.callee, self.plan.system.services[link.callee].role, channel)
        self.channels[link.name] = channel

    def user_channel(self, entry: str) -> Channel:
        """The way that users take to a service; every one of them waits as long as its request says."""
        if entry not in self._users:
            protection = Protection(left=lambda request: request.limit)
            self._users[entry] = self._channel(USERS.format(entry), entry, "client", protection)
        return self._users[entry]

    def ways_to_and_from(self, name: str) -> list[Channel]:
        """Every channel that ends at a node, the users' own included."""
        links = self.plan.system.links
        touching = [self.channels[link.name] for link in links if name in (link.caller, link.callee)]
        return [*touching, *(channel for entry, channel in self._users.items() if entry == name)]

    def _channel(self, name: str, callee: str, protocol: str, protection: Protection) -> Channel:
        site = self.site
        there, back, uniform = self.samplers(name, protocol)
        channel = Channel(self.clock, name, self.nodes[callee].server, there, back, uniform, protection)
        channel.wire.request_bytes = site.constant("request_bytes")
        channel.wire.response_bytes = site.constant("response_bytes")
        channel.wire.silent = False
        return channel

    def samplers(self, name: str, protocol: str, *apart: str) -> tuple[Sampler, Sampler, Sampler]:
        """Of the delay of a link there and back, and of what happens by chance on it."""
        site = self.site
        delay = site.magnitudes.of_link(name, protocol)
        there, back = (sampler(delay, site.stream(way, name, *apart)) for way in ("there", "back"))
        return there, back, site.random("link", name, *apart)

    def shared_pool(self, caller: str) -> Bulkhead | None:
        """The connections that the links of a service without a bulkhead of their own share."""
        return self._pools.get(caller)

    def only_idempotent(self, link: Link) -> bool:
        """Whether the caller of a link repeats only what may be carried out twice."""
        return _only_idempotent(self.plan.design.links[link.name])

    def _protection(self, link: Link) -> Protection:
        """The link's patterns as the live services apply them: stores and the bus get one attempt."""
        patterns = self.plan.design.links[link.name]
        site, http = self.site, link.protocol == "http"
        retry = patterns.retry if "retry" in PATTERNS[link.protocol] else None
        bulkhead: Bulkhead | None = None
        if http and patterns.bulkhead is not None:
            bulkhead = Bulkhead(patterns.bulkhead.concurrent, patterns.bulkhead.queue)
        elif http:
            sizes = int(site.constant("shared_pool_concurrent")), int(site.constant("shared_pool_queue"))
            bulkhead = self._pools.setdefault(link.caller, Bulkhead(*sizes))
        budget = None
        if retry is not None and retry.budget is not None:
            budget = RetryBudget(retry.budget, site.constant("budget_size"), 0.0)
        breaker = patterns.breaker if link.protocol not in ("mllp", "tcp") else None
        return Protection(
            timeout=patterns.timeout,
            attempts=retry.attempts if retry is not None else 1,
            backoff=Backoff(retry.backoff, retry.cap, retry.jitter) if retry is not None else Backoff(),
            budget=budget,
            breaker=CircuitBreaker(breaker.failures, breaker.open_for) if breaker is not None else None,
            bulkhead=bulkhead,
            may_repeat=_repeatable(patterns),
            left=lambda request: site.time_left(request, None, site.clock._now),
        )

    # the bus

    def _open(self, node: Node) -> None:
        node.opened()
        handler = getattr(node, "on_events", None)
        if node.CONSUMES and node.bus and handler is not None:
            bus = self.nodes[node.bus]
            assert isinstance(bus, BusNode), f"{node.bus} has the role of a bus"
            self.consumers.append(Consumer(node, bus, node.CONSUMES, handler))
        elif isinstance(node, BusNode):
            node.connected = self._reconnect_all

    def _reconnect_all(self) -> None:
        for consumer in self.consumers:
            consumer.reconnect()

    def reconnect(self, link: str) -> None:
        """The connection of a link was cut: what a consumer had not acknowledged comes again."""
        for consumer in self.consumers:
            if consumer.link == link:
                consumer.reconnect()

    def hurry(self, link: str) -> None:
        """A delay on a link ended: what it held of the events arrives."""
        for consumer in self.consumers:
            if consumer.link == link:
                consumer.hurry()


def _only_idempotent(patterns: LinkPatterns) -> bool:
    return patterns.retry is not None and patterns.retry.only_idempotent


def _repeatable(patterns: LinkPatterns) -> Callable[[Request, Failure], bool]:
    only_idempotent = _only_idempotent(patterns)

    def may_repeat(request: Request, failure: Failure) -> bool:
        request.sent |= failure.sent
        return request.idempotent or not request.sent or not only_idempotent

    return may_repeat


def unknown_switches(plan: Plan, models: Models) -> list[str]:
    """The switches that the design sets and the models do not obey."""
    return [
        name
        for name, switch in plan.system.switches.items()
        if name not in models.switches
        and switch.effect != "database"  # of the same server: the same times
        and any(values.get(name) != switch.resolved for values in plan.design.services.values())
    ]


def refuse_unknown(plan: Plan, capabilities: dict[str, frozenset[str]]) -> None:
    """Raises ConfigError for models that cannot be used, and UnsupportedError naming every switch and fault
    that the twin does not know."""
    models = models_of(plan.system)
    problems = [
        f'the switch "{switch}" of the design {plan.design.name}, which the models of the system do not know'
        for switch in unknown_switches(plan, models)
        if not models.general
    ]
    problems += [
        f"{what} of {name} in the design {plan.design.name}, which the twin cannot play: it knows no code"
        for name, one in plan.design.variants.items()
        for what in one.started_with
    ]
    for spec in plan.scenario.faults:
        able = capabilities[spec.fault.target_kind]
        if spec.fault.requires not in able:
            names = ", ".join(sorted(able))
            problems.append(
                f"{spec.where}: {spec.fault.kind} on {spec.target}, which the twin cannot do; it can: {names}"
            )
        name = getattr(spec.fault, "change", None)
        if name is not None and name not in models.nodes[spec.target].CHANGES:
            problems.append(
                f"{spec.where}: the change {name}, which the model of {spec.target} does not make"
            )
    if problems:
        raise UnsupportedError("\n".join(f"simulation: found {problem}" for problem in problems))
