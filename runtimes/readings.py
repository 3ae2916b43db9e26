"""What services say of themselves, as rows of a history: counters, backlogs and systems of record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import msgspec

from experiment.errors import StartError
from experiment.history import Record, Sample
from experiment.record_sources import RecordSource
from experiment.rows import RECORDS_READ
from runtimes.http_calls import CallError, call
from runtimes.record_reading import read_source
from runtimes.runtime import Address, Point, Zero
from runtimes.sql import Login

T = TypeVar("T")
SAMPLE_DEADLINE_S = 0.5
RECORDS_DEADLINE_S = 20.0
LOOK_EVERY_S = 0.2
BREAKER_STATES = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


class _Row(msgspec.Struct):
    """One line of GET /records."""

    kind: str
    key: str
    id: str | None = None
    at: float | None = None
    version: int | None = None
    status: str | None = None
    amount: float | None = None
    value: str | None = None
    caller: str | None = None


_ROWS = msgspec.json.Decoder(_Row)


class Readings:
    """Reads all services at once, each in a thread of its own; only those that have the endpoint."""

    def __init__(self, services: Mapping[str, Point], sources: Sequence[RecordSource] = ()) -> None:
        """`sources` are the systems of record of services that have no endpoint for them."""
        self._services = dict(services)
        self._sources = tuple(sources)
        self._pool = ThreadPoolExecutor(max(1, len(self._services)), thread_name_prefix="readings")

    def each(
        self, endpoint: str, ask: Callable[[str, Address, str], T], look: Callable[[], None] | None = None
    ) -> dict[str, T]:
        """`ask(service, address, path)` for every service that has the endpoint, concurrently; `look` is
        called until all have answered, and may raise."""
        paths = {name: getattr(point.control, endpoint) for name, point in self._services.items()}
        asked = {
            name: self._pool.submit(ask, name, self._services[name].address, path)
            for name, path in paths.items()
            if path is not None
        }
        while look is not None and wait(asked.values(), LOOK_EVERY_S).not_done:
            look()
        return {name: future.result() for name, future in asked.items()}

    def metrics(self) -> dict[str, dict[str, Any] | None]:
        """The counters of every service; None of those that do not answer within half a second."""

        def ask(_: str, address: Address, path: str) -> dict[str, Any] | None:
            try:
                answer = call(address, "GET", path, deadline_s=SAMPLE_DEADLINE_S)
                return dict(answer.json()) if answer.status == 200 else None
            except (CallError, ValueError):
                return None

        return self.each("metrics", ask)

    def backlog(self) -> dict[str, dict[str, int]]:
        """What every service has not finished; one that does not answer has the backlog `unreachable`."""

        def ask(_: str, address: Address, path: str) -> dict[str, int]:
            try:
                answer = call(address, "GET", path, deadline_s=SAMPLE_DEADLINE_S * 4)
                return dict(answer.json()) if answer.status == 200 else {"unreachable": 1}
            except (CallError, ValueError):
                return {"unreachable": 1}

        return self.each("backlog", ask)

    def records(self, zero: Zero, token: str, logins: Mapping[str, Login]) -> list[Record | Sample]:
        """All systems of record, each with a sample of how many it gave: an empty store is not an unread one.

        Of what a source reads only that counts which carries the run's `token`; `logins` are the databases of
        services. Raises StartError when one cannot be read: without it nothing is judged."""

        def ask(service: str, address: Address, path: str) -> list[Record]:
            try:
                answer = call(address, "GET", path, deadline_s=RECORDS_DEADLINE_S)
                if answer.status != 200:
                    raise CallError(f"GET http://{address}{path}: status {answer.status}")
                return records_of(service, answer.body, zero)
            except (CallError, ValueError) as error:
                raise StartError(f"the records of {service} could not be read: {error}") from None

        def read(source: RecordSource) -> list[Record]:
            point = self._services[source.store]
            login = logins.get(source.store)
            if source.database:
                named = source.login(os.environ)
                listens = self._services[named.service].address
                login = Login(listens, named.user, named.password, named.database)
            return read_source(source, point.address, login, zero, token)

        t = round(time.monotonic() - zero.monotonic_s, 6)
        found = self.each("records", ask)
        reading = [(source.store, self._pool.submit(read, source)) for source in self._sources]
        for store, future in reading:
            found[store] = [*found.get(store, ()), *future.result()]
        rows: list[Record | Sample] = []
        for service, records in found.items():
            rows += [Sample(t, service, RECORDS_READ, float(len(records))), *records]
        return rows

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def records_of(service: str, lines: bytes, zero: Zero) -> list[Record]:
    """NDJSON rows as records of the history. Raises ValueError."""
    return [
        Record(
            service,
            row.kind,
            row.key,
            row.id,
            None if row.at is None else zero.at(row.at),
            row.version,
            row.status,
            row.amount,
            row.value,
            row.caller,
        )
        for row in (_ROWS.decode(line) for line in lines.splitlines() if line)
    ]


def samples_of(service: str, metrics: Mapping[str, Any] | None, t: float) -> Iterable[Sample]:
    """One reading of one service, flat. `up` is 0 when it did not answer; a breaker is 0 closed, 1 half
    open, 2 open.

    `links` gives a sample per counter about the callee; other mappings (received, dropped_replies) one per
    caller.
    """
    yield Sample(t, service, "up", 0.0 if metrics is None else 1.0)
    for name, value in (metrics or {}).items():
        if name == "links":
            for callee, counters in value.items():
                yield from _counters(service, counters, callee, t)
        elif isinstance(value, Mapping):
            for about, count in value.items():
                yield from _counters(service, {name: count}, about, t)
        else:
            yield from _counters(service, {name: value}, "", t)


def _counters(service: str, counters: Mapping[str, Any], about: str, t: float) -> Iterable[Sample]:
    for name, value in counters.items():
        if isinstance(value, (int, float)):
            yield Sample(t, service, name, float(value), about)
        elif name == "breaker_state" and value in BREAKER_STATES:
            yield Sample(t, service, name, BREAKER_STATES[value], about)
