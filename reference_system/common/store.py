"""PostgreSQL over the service's own link: a small pool that gives up on a dead connection at once.

asyncpg's own pool asks the server to cancel and waits for its answer when a connection is released after a
timeout, which never comes through a black hole; and it resets the session in one more round trip per use.
Here a connection that timed out is dropped, and a healthy one is handed on as it is.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import asyncpg
import msgspec

from reference_system.common.config import Address, LinkPatterns
from reference_system.common.metrics import LinkCounters
from reference_system.common.patterns import deadline
from reference_system.common.patterns.breaker import Breaker
from reference_system.common.tracing import Tracer

MAX_CONNECTIONS = 10
CONNECT_TIMEOUT_S = 2.0
OPERATOR_LIMIT_S = 20.0
SPAN_FROM_S = 0.02  # quicker statements leave no span of their own: there are several in every request
# Every statement finds its rows by an index. Tables begin each run empty: without this the first plans, made
# when reading a whole table was cheapest, would be kept while it grows. One plan per connection is enough.
PLANNING = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
Row = Any  # asyncpg.Record

# Set for requests of operators: a reset or a list of all records may take longer than a user's request.
unhurried: ContextVar[bool] = ContextVar("unhurried", default=False)

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke in the middle of an operation is used again
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # too many connections, a full disk: it may be better later
    ConnectionError,
    OSError,
    asyncio.IncompleteReadError,
)


class StoreUnavailable(Exception):
    """The store did not answer. `sent` is False when the statement certainly never reached it."""

    def __init__(self, reason: str, sent: bool) -> None:
        super().__init__(f"store: {reason}")
        self.sent = sent


class Store:
    """Runs single statements, each its own transaction. `schema` keeps services apart in a shared
    database."""

    def __init__(
        self, schema: str, address: Address, patterns: LinkPatterns, counters: LinkCounters, tracer: Tracer
    ) -> None:
        self.schema = schema
        self._address = address
        self._counters = counters
        self._tracer = tracer
        self._attributes = {"link": f"{schema} -> postgres"}
        self._idle: list[asyncpg.Connection] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._in_use: set[asyncpg.Connection] = set()
        self._opened = 0
        self.apply(patterns)

    def apply(self, patterns: LinkPatterns) -> None:
        self._patterns = patterns
        self._breaker = Breaker(patterns.breaker, self._counters)

    async def obeyed(self) -> dict[str, Any]:
        """The patterns that act on its statements now, and the database that answers. Raises
        StoreUnavailable."""
        row = await self.row("SELECT current_database() AS database")
        patterns = {"timeout": self._patterns.timeout, "breaker": self._breaker.pattern}
        link = self._attributes["link"]
        found = {f"{link}: {name}": msgspec.to_builtins(value) for name, value in patterns.items()}
        return {**found, "database": row["database"] if row is not None else None}

    @property
    def bounded(self) -> bool:
        """Whether the design gives statements a time limit."""
        return self._patterns.timeout is not None

    async def row(self, sql: str, *arguments: Any) -> Row | None:
        """The first row, or None."""
        return await self._run("fetchrow", sql, arguments)

    async def rows(self, sql: str, *arguments: Any) -> Sequence[Row]:
        result: Sequence[Row] = await self._run("fetch", sql, arguments)
        return result

    async def run(self, sql: str, *arguments: Any) -> None:
        """A statement without a result; several, separated by semicolons, when there are no arguments."""
        await self._run("execute", sql, arguments)

    async def _run(self, method: str, sql: str, arguments: tuple[Any, ...]) -> Any:
        self._counters.logical += 1
        breaker = self._breaker
        if not breaker.allow():
            raise StoreUnavailable("breaker open", sent=False)
        ends, started = None, time.time()
        limit = OPERATOR_LIMIT_S if unhurried.get() else deadline.within(self._patterns.timeout)
        if limit is not None and limit <= 0:
            breaker.abandoned()
            raise StoreUnavailable("deadline passed", sent=False)
        if limit is not None:
            ends = time.monotonic() + limit
        ok, sent, connection = False, False, None
        try:
            connection = await self._acquire(ends)
            self._counters.attempts += 1
            sent = True
            left = None if ends is None else max(0.001, ends - time.monotonic())
            result = await getattr(connection, method)(sql, *arguments, timeout=left)
            ok = True
            return result
        except TimeoutError as error:
            self._counters.timeouts += 1
            raise StoreUnavailable("timeout", sent) from error
        except LOST as error:
            self._counters.errors += 1
            raise StoreUnavailable(f"{type(error).__name__}: {error}", sent) from error
        except asyncpg.PostgresError:
            ok = True  # the store answered; the statement was wrong
            raise
        finally:
            if ok:
                breaker.succeeded()
            elif breaker is self._breaker:
                breaker.failed()
            if connection is not None:
                self._release(connection, ok)
            kept = not ok or time.time() - started > SPAN_FROM_S
            if kept or self._tracer.tells_calls:
                self._tracer.past("postgres", started, ok, self._attributes, kept=kept)

    async def _acquire(self, ends: float | None) -> asyncpg.Connection:
        """An idle connection, or a new one, or the next that comes free. Raises TimeoutError at `ends`."""
        if self._idle and not self._idle[-1].is_closed():
            connection = self._idle.pop()
            self._in_use.add(connection)
            return connection
        async with asyncio.timeout(None if ends is None else max(0.0, ends - time.monotonic())):
            while True:
                while self._idle:
                    connection = self._idle.pop()
                    if not connection.is_closed():
                        self._in_use.add(connection)
                        return connection
                    self._opened -= 1
                if self._opened < MAX_CONNECTIONS:
                    return await self._open()
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(turn)
                try:
                    await turn
                except BaseException:
                    if turn.done() and not turn.cancelled():
                        self._wake()
                    raise

    async def _open(self) -> asyncpg.Connection:
        self._opened += 1
        address = self._address
        try:
            connection = await asyncpg.connect(
                host=address.host,
                port=address.port,
                database=address.database,
                user=address.user,
                password=address.password,
                ssl=False,
                timeout=CONNECT_TIMEOUT_S if self._patterns.timeout else 60,
                server_settings={"search_path": self.schema, "application_name": self.schema, **PLANNING},
                max_cached_statement_lifetime=0,
            )
        except BaseException:
            self._opened -= 1
            self._wake()
            raise
        self._in_use.add(connection)
        return connection

    def _release(self, connection: asyncpg.Connection, healthy: bool) -> None:
        self._in_use.discard(connection)
        if healthy and not connection.is_closed() and not connection.is_in_transaction():
            self._idle.append(connection)
        else:
            self._opened -= 1
            connection.terminate()
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def prepare(self, ddl: str) -> None:
        """Make the schema and its tables where they are missing; one service at a time per database."""
        await self.run(
            f"BEGIN; SELECT pg_advisory_xact_lock(4242); CREATE SCHEMA IF NOT EXISTS {self.schema};"
            f"SET LOCAL search_path TO {self.schema}; {ddl}; COMMIT;"
        )

    async def close(self) -> None:
        for connection in [*self._idle, *self._in_use]:
            connection.terminate()
        self._idle.clear()
