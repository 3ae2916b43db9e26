"""What every service is made of: configuration, design, links, store, bus, outbox, consumer, and how they
start."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import asyncpg
import msgspec
from starlette.routing import Route

from reference_system.common import disclosure, tracing
from reference_system.common.behaviours import Behaviours
from reference_system.common.bus import LOST as BUS_LOST
from reference_system.common.bus import Bus, Event
from reference_system.common.config import Address, BulkheadPattern, Config, Design
from reference_system.common.exporter import COLLECTOR, Exporter
from reference_system.common.link import Link
from reference_system.common.logs import Log
from reference_system.common.metrics import Metrics
from reference_system.common.patterns import consumer, outbox
from reference_system.common.patterns.bulkhead import Bulkhead
from reference_system.common.patterns.sealing import Sealer
from reference_system.common.patterns.shedding import Shedding
from reference_system.common.store import Store, StoreUnavailable
from reference_system.common.switches import (
    Admission,
    Disclosing,
    Keeping,
    NoSwitches,
    Publishing,
    Telling,
    read_switches,
)
from reference_system.common.transport import Transport, mode_of

CONNECT_AGAIN_S = 0.1
SHARED_POOL = BulkheadPattern(concurrent=20, queue=1_000_000)  # links without a bulkhead share it
META = """
CREATE TABLE IF NOT EXISTS meta (
    one boolean PRIMARY KEY DEFAULT true, run text NOT NULL, seed bigint NOT NULL,
    clock_scale float8 NOT NULL, config_digest text NOT NULL, design bytea NOT NULL, part text[])
"""
RECORD_FIELDS = ("kind", "key", "id", "at", "version", "status", "amount", "value", "caller")


T = TypeVar("T")


class Person(msgspec.Struct, frozen=True):
    """One of the staff: a role, and the wards where it is held."""

    id: str
    role: str
    wards: list[str]


class Care(msgspec.Struct, frozen=True):
    """Where a patient is cared for. The patient's consent excludes who is `barred`."""

    patient: str
    ward: str
    barred: list[str] = []


class Reset(msgspec.Struct, frozen=True):
    """The body of POST /admin/reset. `services` are those of the run; others may be up and are not called."""

    run: str
    seed: int = 0
    design: Design | None = None
    clock_scale: float | None = None
    services: list[str] | None = None
    patients: list[dict[str, Any]] | None = None
    coverages: list[dict[str, Any]] | None = None
    hl7_feed: list[dict[str, Any]] | None = None
    staff: list[Person] | None = None
    care: list[Care] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a resource without an id, before anything is emptied."""
        for resource in (*(self.patients or ()), *(self.coverages or ())):
            if not isinstance(resource.get("id"), str):
                raise ValueError("patients and coverages need an id each")


class Service:
    """Base of all services. A service names its tables and routes, and overrides the hooks that it needs."""

    DDL: ClassVar[str] = ""
    TABLES: ClassVar[tuple[str, ...]] = ()
    CONSUMES: ClassVar[tuple[str, ...]] = ()
    SWITCHES: ClassVar[type[msgspec.Struct]] = NoSwitches
    CHANGES: ClassVar[tuple[str, ...]] = ()  # planned changes that it makes on request
    DISCLOSES: ClassVar[bool] = False  # shows patient data to persons
    SEALS: ClassVar[bool] = False  # keeps patient data
    switches: Any  # what the design says of these

    def __init__(self, config: Config) -> None:
        """Raises ValueError when the design lacks a switch that the service reads."""
        self.config = config
        self.name = config.service
        self.run = ""
        self.part: frozenset[str] | None = None  # services of the run; None: all
        self.seed = config.seed
        self.clock_scale = config.clock_scale
        self.sealer = Sealer(config.secret, config.service)
        self.transport = Transport(config.certificates)
        self._follow(config.design)
        self.log = Log(self.name, config.log)
        self.metrics = Metrics()
        self.tracer = tracing.Tracer(self.name, config.spans, config.seed)
        self.behaviours = Behaviours(config.seed)
        self.waiting_for = "start"
        self.links: dict[str, Link] = {}
        self.propagates = False  # deadlines are handed on to the callees
        self._tasks: set[asyncio.Task[Any]] = set()  # work of a run: ends with it, as do its requests
        self._reset_over = asyncio.Event()
        self._reset_over.set()
        self._loops: set[asyncio.Task[Any]] = set()  # live as long as the process
        self.bus: Bus | None = None
        self.outbox: outbox.Outbox
        self.consumer: consumer.Consumer | None = None
        self.exporter: Exporter | None = None  # of a run with a collector
        self.disclosure: disclosure.Disclosure

    # hooks

    def routes(self) -> list[Route]:
        raise NotImplementedError

    async def on_events(self, events: list[Event]) -> None:
        """Commit a batch of consumed events. Raises StoreUnavailable to be called again."""

    async def opened(self) -> None:
        """Store and bus are there: load what memory needs, resume what a crash cut off."""

    async def cleared(self, reset: Reset) -> None:
        """All tables are empty and the design is in force: forget, and take in the new run's patients."""

    async def backlog(self) -> dict[str, int]:
        return {}

    @property
    def listener(
        self,
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]] | None:
        """Who talks to connections that do not begin as HTTP does; None: nobody, as in most services."""
        return None

    async def records(self) -> list[dict[str, Any]]:
        return []

    async def make_change(self, name: str, made: bool) -> None:
        """Make one of its CHANGES, or take it back; nothing happens where that is done."""
        raise NotImplementedError

    async def change_state(self, name: str) -> tuple[bool, bool]:
        """Whether anything of the change is there, and whether it is in force."""
        raise NotImplementedError

    # parts

    @property
    def ready(self) -> bool:
        return not self.waiting_for

    def calls(self, callee: str) -> bool:
        """Whether a callee takes part in this run; one that does not is not called, though it may be up."""
        return callee in self.links and (self.part is None or callee in self.part)

    def spawn(self, work: Coroutine[Any, Any, Any], span: tracing.Span | None = None) -> asyncio.Task[Any]:
        """Background work of this run, free of the request's deadline; it is cancelled by a reset."""
        context = contextvars.Context()
        context.run(tracing.current.set, span)
        task = asyncio.get_running_loop().create_task(self._guarded(work), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def of_run(self, work: Callable[[], Coroutine[Any, Any, T]], run: str | None = None) -> T | None:
        """One piece of what a loop does for a run, or for this `run` alone. It begins when no reset is under
        way, and a reset drops it: None."""
        await self._reset_over.wait()
        if run is not None and run != self.run:
            return None
        task = asyncio.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await task
        except asyncio.CancelledError:
            loop = asyncio.current_task()
            if loop is None or loop.cancelling():
                raise
            return None

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """The current task answers a request of this run: a reset drops it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    def takes(self, run: str) -> bool:
        """Whether a request that another service sent in this run is one of ours. While a reset is under way
        none is; a user's names no run."""
        return self._reset_over.is_set() and (not run or not self.run or run == self.run)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await work
        except Exception as error:  # noqa: BLE001  a background task must leave a trace of its end
            self.log.error("background work failed", error=f"{type(error).__name__}: {error}")

    def loop(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._loops.add(task)
        task.add_done_callback(self._loop_ended)

    def _loop_ended(self, task: asyncio.Task[Any]) -> None:
        self._loops.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("loop died", error=repr(task.exception()))
            self.waiting_for = "a background loop that died; see the log"

    def build(self) -> None:
        """Make the parts; called once inside the event loop, nothing is connected yet."""
        config = self.config
        shared = Bulkhead(SHARED_POOL)
        for callee, address in config.links.items():
            patterns, counters = self.design.link(f"{self.name} -> {callee}"), self.metrics.link(callee)
            if address.protocol == "http":
                rng = random.Random(f"{config.seed}/{self.name}/{callee}")
                tracer = tracing.Tracer(self.name, None, 0) if callee == COLLECTOR else self.tracer
                link = Link(self.name, callee, address, patterns, counters, shared, tracer, rng)
                link.log = self.log if callee != COLLECTOR else None
                self.links[callee] = link
            elif address.protocol == "postgres":
                self.store = Store(self.name, address, patterns, counters, self.tracer)
            elif address.protocol == "nats":
                self.bus = Bus(self.name, address, patterns, counters, self.log, self.tracer)
        self._speak()
        if COLLECTOR in self.links:
            self._tell_of_spans(config.links[COLLECTOR])
        self.propagates = any(link.patterns.propagate_deadline for link in self.links.values())
        if self.bus is not None:
            self.outbox = outbox.Outbox(self.store, self.bus, self.log, self.metrics)
            self.outbox.apply(self.publishing.outbox, self.publishing.outbox_poll)
            if self.CONSUMES:
                self.consumer = consumer.Consumer(
                    self.bus,
                    list(self.CONSUMES),
                    lambda events: self.of_run(lambda: self.on_events(events), events[0].run),
                    self.log,
                    self.metrics,
                    self.tracer,
                    lambda: self.run,
                    lambda: self.behaviours,
                )
        if self.DISCLOSES:
            self._make_disclosure()

    def _make_disclosure(self) -> None:
        authz = self.config.links.get("authz")
        self.disclosure = disclosure.Disclosure(
            self.name,
            self.config.is_service,
            self.links,
            authz.token if authz is not None else "",
            self.store,
            self.outbox,
            self.log,
            self.metrics,
            self.spawn,
        )
        self.disclosure.apply(self.disclosing, self.clock_scale, self.calls)

    def _speak(self) -> None:
        for callee, link in self.links.items():
            link.speak(self.transport.speech(self.design, callee, self.config.links[callee].name))

    def _tell_of_spans(self, address: Address) -> None:
        """Spans go to the collector from now on; that of telling it is nobody's concern."""
        self.exporter = Exporter(self.links[COLLECTOR], address, self.tracer)
        self.exporter.apply(self.telling.trace_context, self.telling.trace_export)

    async def start(self) -> None:
        """Connect with as many attempts as it takes, then serve. `waiting_for` says what is missing."""
        self.loop(self._flush_spans())
        if self.exporter is not None:
            self.loop(self.exporter.run())
        ddl = "; ".join(
            [
                META,
                self.DDL,
                outbox.DDL if self.bus else "",
                consumer.DDL if self.consumer else "",
                disclosure.DDL if self.DISCLOSES else "",
            ]
        )
        await self._insist("store", lambda: self.store.prepare(ddl))
        await self._insist("store: run", self._restore)
        if self.bus is not None:
            await self._insist("bus", self.bus.connect)
            self.loop(self.outbox.relay())
        if self.consumer is not None:
            self.loop(self.consumer.consume())
        if self.DISCLOSES:
            await self._insist("own accesses", self.disclosure.opened)
            self.loop(self.disclosure.run(self.of_run))
        await self._insist("own state", self.opened)
        self.waiting_for = ""
        self.log.info("ready", design=self.design.name, run=self.run)

    async def _insist(self, what: str, work: Any) -> None:
        while True:
            self.waiting_for = what
            try:
                await work()
                return
            except (StoreUnavailable, *BUS_LOST, asyncpg.PostgresError) as error:
                self.waiting_for = f"{what}: {type(error).__name__}: {error}"
                self.log.seldom("not ready", waiting_for=self.waiting_for)
                await asyncio.sleep(CONNECT_AGAIN_S)

    async def _flush_spans(self) -> None:
        while True:
            await asyncio.sleep(tracing.FLUSH_EVERY_S)
            self.tracer.flush()

    # runs and designs

    @property
    def _digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self.config.design)).hexdigest()

    async def _restore(self) -> None:
        """After a crash: go on in the run and the design that the last reset set, if our configuration is the
        same as then, or says by now what that reset said."""
        said = msgspec.json.encode(self.config.design)
        row = await self.store.row(
            "SELECT * FROM meta WHERE config_digest = $1 OR design = $2", self._digest, said
        )
        if row is not None:
            self.run, self.seed, self.clock_scale = row["run"], row["seed"], row["clock_scale"]
            self.part = None if row["part"] is None else frozenset(row["part"])
            self.apply(msgspec.json.decode(row["design"], type=Design))

    def _switches_in(
        self, design: Design
    ) -> tuple[Any, Admission, Telling, Publishing | None, Disclosing | None]:
        self.transport.check(design)
        publishes = any(address.protocol == "nats" for address in self.config.links.values())
        return (
            read_switches(self.SWITCHES, design, self.name),
            read_switches(Admission, design, self.name),
            read_switches(Telling, design, self.name),
            read_switches(Publishing, design, self.name) if publishes else None,
            read_switches(Disclosing, design, self.name) if self.DISCLOSES else None,
        )

    def _follow(self, design: Design) -> None:
        self.design = design
        self.switches, admission, self.telling, publishing, disclosing = self._switches_in(design)
        self.shedding = Shedding(admission)
        if publishing is not None:
            self.publishing = publishing
        if disclosing is not None:
            self.disclosing = disclosing
        self.transport.apply(mode_of(design, self.name))
        if self.SEALS:
            self.sealer.apply(read_switches(Keeping, design, self.name).encryption)

    def check(self, reset: Reset) -> Reset:
        """Raises ValueError when its design lacks a switch that the service reads."""
        if reset.design is not None:
            self._switches_in(reset.design)
        return reset

    def apply(self, design: Design) -> None:
        """Follow another design from now on."""
        self._follow(design)
        for callee, link in self.links.items():
            link.apply(design.link(f"{self.name} -> {callee}"))
            link.run = self.run
        self._speak()
        self.propagates = any(link.patterns.propagate_deadline for link in self.links.values())
        self.store.apply(design.link(f"{self.name} -> postgres"))
        if self.bus is not None:
            self.bus.apply(design.link(f"{self.name} -> bus"))
            self.outbox.apply(self.publishing.outbox, self.publishing.outbox_poll)
            self.outbox.run = self.run
        if self.exporter is not None:
            told = self.telling.trace_context, self.telling.trace_export
            self.exporter.apply(*told, wanted=self.calls(COLLECTOR))
        if self.DISCLOSES:
            self.disclosure.apply(self.disclosing, self.clock_scale, self.calls)

    async def obeyed(self) -> dict[str, Any]:
        """What is in force now, from the values that the code reads and the database that it is in. Raises
        StoreUnavailable."""
        found: dict[str, Any] = msgspec.to_builtins(self.switches)
        found |= {"tls": self.transport.mode, **msgspec.to_builtins(self.shedding.switches)}
        told = self.telling
        if self.exporter is not None and self.calls(COLLECTOR):
            told = Telling(self.tracer.over, self.exporter.mode)
        found |= msgspec.to_builtins(told)
        if self.bus is not None:
            found |= {"outbox": self.outbox.enabled, "outbox_poll": self.outbox.poll, **self.bus.obeyed()}
        if self.DISCLOSES:
            found |= msgspec.to_builtins(self.disclosing)
        if self.SEALS:
            found["encryption"] = self.sealer.enabled
        for link in self.links.values():
            found |= link.obeyed()
        return found | (await self.store.obeyed() if hasattr(self, "store") else {})

    async def reset(self, reset: Reset) -> None:
        """Drop what is still done for the run before, empty everything and begin `reset.run`. Raises
        StoreUnavailable."""
        self._reset_over.clear()
        try:
            await self._begin(reset)
        finally:
            self._reset_over.set()

    async def _begin(self, reset: Reset) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.run, self.seed = reset.run, reset.seed
        if reset.clock_scale is not None:
            self.clock_scale = reset.clock_scale
        self.part = None if reset.services is None else frozenset(reset.services)
        self.behaviours = Behaviours(reset.seed)
        self.apply(reset.design or self.design)
        if self.bus is not None:
            self.outbox.clear(reset.run)
        if self.exporter is not None:
            self.exporter.clear()
        if self.DISCLOSES:
            self.disclosure.clear()
        tables = [
            *self.TABLES,
            "meta",
            *(["outbox"] if self.bus else []),
            *(["consumed"] if self.consumer else []),
            *(disclosure.TABLES if self.DISCLOSES else ()),
        ]
        await self.store.run(f"TRUNCATE {', '.join(tables)}")
        await self.store.run(
            "INSERT INTO meta (run, seed, clock_scale, config_digest, design, part) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            self.run,
            self.seed,
            self.clock_scale,
            self._digest,
            msgspec.json.encode(self.design),
            reset.services,
        )
        await self.cleared(reset)
        self.metrics.reset()

    async def stop(self) -> None:
        """Stop loops and connections; spans are written. Never longer than a second."""
        for task in [*self._tasks, *self._loops]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._loops, return_exceptions=True)
        self.tracer.flush()
        if self.exporter is not None:
            self.exporter.close()
        if self.bus is not None:
            await self.bus.close()
        if hasattr(self, "store"):
            await self.store.close()
        for link in self.links.values():
            link.close()


def record(kind: str, **fields: Any) -> dict[str, Any]:
    """One row of the system of record; fields without meaning for its kind are null."""
    unknown = fields.keys() - set(RECORD_FIELDS)
    assert not unknown, f"record fields {unknown}; expected {RECORD_FIELDS}"
    return {name: kind if name == "kind" else fields.get(name) for name in RECORD_FIELDS}


def records_of(kind: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a store whose columns are called as the fields of a record."""
    return [record(kind, **row) for row in rows]
