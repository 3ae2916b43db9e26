"""A node of the simulated system: one process with its queue, links, store and state that a crash clears."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from experiment.rows import Record
from experiment.topology import Role
from simulation.engine.attempts import Attempt
from simulation.engine.channels import Channel
from simulation.engine.failures import DISCONNECTED, Cause, Failure
from simulation.engine.servers import Server
from simulation.engine.tasks import Task, Work, sleep
from simulation.model.messages import RETRYABLE, CallEnd, CallFailed, Held, Refused, Reply, Request
from simulation.model.site import Site
from simulation.model.spans import Calls, Context, Tell, Told

NOT_SERVED = Failure(Cause.STATUS, 503, not_done=True)


class Node:
    """One service. Subclasses say what it does: `serve` answers a request, `opened` starts what runs behind.

    `tables` outlives a crash, everything else in memory does not. The current request's deadline is handed
    down explicitly. `switches` is what the design says of this service, for each of its SWITCHES.
    """

    CONSUMES: tuple[str, ...] = ()  # subjects of events, handled by `on_events`
    SWITCHES: tuple[str, ...] = ()  # of a design, that this class obeys, besides those of its bases
    CHANGES: tuple[str, ...] = ()  # planned changes that it makes on request, by `change`
    BY_MESSAGE: frozenset[str] = frozenset()  # requests that carry a context only where events carry one

    def __init__(self, site: Site, name: str, server: Server) -> None:
        self.site = site
        self.clock = site.clock
        self.name = name
        self.generation = 0
        self.server = server
        self.server.handler = self
        given = site.switches(name)
        self.switches = {switch: given[switch] for switch in self.obeyed()}
        self.links: dict[str, Channel] = {}  # by callee
        self.database: Channel | None = None
        self.bus = ""  # its callee
        self.tables: dict[str, Any] = site.tables.setdefault(name, {})
        self.waiting: dict[str, Callable[[], int]] = {}  # what has not been worked off, beside `backlog`
        self.changes: dict[str, bool] = {}  # planned ones that are asked for: whether they are in force
        self.ready = True
        self.full = False  # no room for writes
        self.skew = 0.0  # seconds that its wall clock is off
        self.requests = self.shed = self.in_flight = 0
        self.received: dict[str, int] = {}
        self.connected: Callable[[], None] | None = None  # what a new connection to the bus starts
        self._hands_deadlines_on = False
        self._deferred: list[Callable[[], None]] = []
        self.rng = site.random(name, "choices")
        self.span: Context | None = None  # what the task that goes on now is part of
        self.tell: Tell | None = None  # to a collector
        self.over = (
            "all"  # contexts are handed on with requests ("http"), also with events ("all"), or "none"
        )

    @classmethod
    def obeyed(cls) -> tuple[str, ...]:
        """The switches that a model obeys, with those of its bases."""
        return tuple(dict.fromkeys(name for base in cls.__mro__ for name in vars(base).get("SWITCHES", ())))

    def link(self, callee: str, role: Role, channel: Channel) -> None:
        """The node's way to another; its first store is its database, its first bus its bus."""
        self.links[callee] = channel
        if role == "store" and self.database is None:
            self.database = channel
        elif role == "bus" and not self.bus:
            self.bus = callee
        self._hands_deadlines_on |= self.site.design.links[channel.name].propagate_deadline

    @property
    def wall(self) -> float:
        """What the node's own clock says."""
        return self.clock._now + self.skew

    @property
    def scale(self) -> float:
        return self.site.clock_scale

    def constant(self, name: str) -> float:
        return self.site.constant(name)

    # what subclasses say

    def wired(self) -> None:
        """All its links are there."""

    def closing(self) -> Work[None] | None:
        """Work that a request waits for between its end and its answer; None for nothing."""
        return None

    def serve(self, request: Request, deadline: float | None) -> Work[Reply] | Reply:
        """The answer to a request: at once, or by work that waits and then returns it."""
        raise NotImplementedError

    def opened(self) -> None:
        """The process is up with an empty memory: load what it needs, start what runs behind."""

    def admits(self) -> bool:
        """Whether a request is taken in; else it is answered 503 at the door."""
        return True

    def backlog(self) -> dict[str, int]:
        """What is accepted and not done, by name."""
        return {}

    def records(self) -> Iterable[Record] | None:
        """The rows of its system of record; None where the model keeps none."""
        return None

    def held(self, key: str) -> Held | None:
        """What a user who reads a business key in the end is shown; None where the key is another's."""
        return None

    def change(self, name: str, made: bool) -> Work[None]:
        """Make a planned change, or take it back: it is in force, or gone, when the work ends."""
        raise NotImplementedError

    # planned changes

    def begin_change(self, name: str) -> None:
        self.changes[name] = False
        self.spawn(self._changed(name, True))

    def take_back(self, name: str) -> None:
        if name in self.changes:
            self.changes[name] = False
            self.spawn(self._changed(name, False))

    def _changed(self, name: str, made: bool) -> Work[None]:
        yield from self.change(name, made)
        if made:
            self.changes[name] = True
        else:
            self.changes.pop(name, None)

    # the front

    def handle(self, attempt: Attempt) -> None:
        request: Request = attempt.request
        self.requests += 1
        self.received[request.caller] = self.received.get(request.caller, 0) + 1
        if not self.ready:
            attempt.channel.reply(attempt, Reply(503, refused=True), NOT_SERVED)
        elif not self.admits():
            self.shed += 1
            attempt.channel.reply(attempt, Reply(503, refused=True), NOT_SERVED)
        else:
            self.in_flight += 1
            span = self._part_of(self._heard(attempt)) if self.tell is not None else None
            Task(self._answer(attempt, request), self, span)

    def _answer(self, attempt: Attempt, request: Request) -> Work[None]:
        began, span = self.clock._now, self.span
        try:
            work = self.site.work(self.name, request.what)
            if work > 0.0:
                yield sleep(self.clock, self.server.takes(work))
            served = self.serve(request, self._deadline(attempt, request))
            reply = served if isinstance(served, Reply) else (yield from served)
        except Refused as refused:
            reply = Reply(refused.status)
        except CallFailed as failed:
            # 503 says that nothing was done; once something was sent, only 504 is honest.
            reply = Reply(504) if failed.sent else Reply(503, refused=True)
        self.in_flight -= 1
        self.site.took(self.name, request.what, self.clock._now - began)
        failure = None
        if reply.status in RETRYABLE:
            failure = Failure(Cause.STATUS, reply.status, not_done=reply.refused or reply.status == 429)
        if self.tell is not None and span is not None:
            heard = self._heard(attempt)
            parent = heard.span if heard is not None else None
            took = self.clock._now - began
            self.tell(
                Told("request", span.trace, span.span, parent, self.name, began, took, reply.status < 500)
            )
            if (waits := self.closing()) is not None:
                yield from waits
        attempt.channel.reply(attempt, reply, failure)

    def _deadline(self, attempt: Attempt, request: Request) -> float | None:
        """As the live front: where the design hands deadlines on, a request has one."""
        handed: float | None = None
        if request.hands_on:
            left = self.site.time_left(request, attempt.channel.timeout, attempt.sent)
            handed = None if left is None else attempt.sent + left
        if handed is None and self._hands_deadlines_on:
            return self.clock._now + self.constant("default_deadline_s")
        return handed

    # calls

    def call(
        self,
        callee: str,
        what: str,
        body: dict[str, Any],
        deadline: float | None = None,
        *,
        key: str | None = None,
        idempotent: bool = True,
        limit: float | None = None,
    ) -> Work[Reply]:
        """Call another service over its link; any status is an answer. Raises CallFailed."""
        channel = self.links[callee]
        hands_on = self.site.design.links[channel.name].propagate_deadline
        request = Request(what, body, self.name, key, idempotent, limit, deadline, hands_on)
        end = CallEnd(channel.name, request)
        channel.call(end, request, self.span)
        reply: Reply = yield end
        return reply

    def look(self, statement: Callable[[], Any], deadline: float | None = None) -> Work[Any]:
        """Read from the node's own database. Raises CallFailed."""
        return self.store(statement, deadline, "look")

    def store(
        self,
        statement: Callable[[], Any],
        deadline: float | None = None,
        what: str = "write",
        store: str = "",
    ) -> Work[Any]:
        """One transaction in the node's own database, or in another store by name: `statement` runs at its
        commit. Raises CallFailed, also when the database cannot write: what runs behind a service waits for
        it, as for one that is away."""
        channel = self.links[store] if store else self.database
        if channel is None:
            return statement()
        request = Request(what, {"run": statement}, self.name, deadline=deadline)
        end = CallEnd(channel.name, request)
        channel.call(end, request, self.span)
        reply: Reply = yield end
        if reply.status != 200:
            raise CallFailed(channel.name, Failure(Cause.STATUS, reply.status), sent=True)
        return reply.body["result"]

    def pause_for(self, seconds: float) -> Work[None]:
        yield sleep(self.clock, seconds)

    def spawn(self, work: Work[Any]) -> Task:
        """Background work of this process, part of whatever begins it."""
        return Task(work, self, self.span)

    def remaining(self, deadline: float | None) -> float | None:
        """Seconds of a request's deadline left to work in, never negative."""
        if deadline is None:
            return None
        return max(0.0, deadline - self.clock._now - self.constant("reply_margin_s"))

    # what it tells a collector

    def tells(self, tell: Tell, silent: str) -> None:
        """From now on a collector hears of this node; the callee `silent` is the collector."""
        self.tell = tell
        for callee, channel in self.links.items():
            if callee != silent and self.over != "none":
                channel.observer = Calls(channel.name, tell, self._now, self.site.span_names)

    def _now(self) -> float:
        return self.clock._now

    def _part_of(self, context: Context | None) -> Context:
        """A new span under one that came along, or of a trace of its own."""
        name = next(self.site.span_names)
        heard = context if self.over != "none" else None
        return Context(heard.trace if heard is not None else name, name)

    def _heard(self, attempt: Attempt) -> Context | None:
        """The context that came with a request, as far as the design hands contexts on."""
        carried = self.over == "all" or attempt.request.what not in self.BY_MESSAGE
        return attempt.context if carried and self.over != "none" else None

    def delivered(self, link: str, made_at: float, context: Context | None) -> None:
        """An event was handled that was made at a time."""
        if self.tell is None or self.over == "none":
            return
        heard = context if self.over == "all" else None
        span = self._part_of(heard)
        parent, now = heard.span if heard is not None else None, self.clock._now
        self.tell(
            Told("delivery", span.trace, span.span, parent, link, made_at, max(0.0, now - made_at), True)
        )

    # crash and pause

    @property
    def halted(self) -> bool:
        return self.server.paused

    def defer(self, action: Callable[[], None]) -> bool:
        if not self.server.paused:
            return False
        self._deferred.append(action)
        return True

    def crash(self) -> None:
        self.generation += 1
        self.ready = False
        self.in_flight = 0
        self._deferred.clear()
        self.server.crash()
        for channel in self.links.values():
            channel.forget()

    def restart(self) -> None:
        """The process starts; it is ready after its own start-up time."""
        self.server.restart()
        self.requests = self.shed = 0
        self.received = {}
        generation = self.generation

        def open_up() -> None:
            if generation == self.generation:
                self.ready = True
                self.opened()
                if self.connected is not None:
                    self.connected()

        self.clock.call_after(self.site.restart_s(self.name), open_up)

    def pause(self) -> None:
        self.server.pause()

    def resume(self) -> None:
        self.server.resume()
        deferred, self._deferred = self._deferred, []
        for action in deferred:
            action()


class StoreNode(Node):
    """A store such as PostgreSQL: runs statements as they are committed."""

    def handle(self, attempt: Attempt) -> None:
        if not self.ready:
            attempt.channel.reply(attempt, None, DISCONNECTED)
        elif self.full and attempt.request.what == "write":
            attempt.channel.reply(attempt, Reply(500))
        else:
            attempt.channel.reply(attempt, Reply(200, {"result": attempt.request.body["run"]()}))
