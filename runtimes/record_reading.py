"""Systems of record of services that know nothing of the harness: rows of a query or an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from experiment.errors import StartError
from experiment.history import Record
from experiment.record_sources import RecordSource
from experiment.values import decoded
from runtimes.http_calls import CallError, call
from runtimes.runtime import Address, Zero
from runtimes.sql import Login, QueryError, read_rows

DEADLINE_S = 20.0
TOKEN = "{token}"


def read_source(
    source: RecordSource, service: Address, login: Login | None, zero: Zero, token: str
) -> list[Record]:
    """The records of one source whose key carries the run's token: what earlier runs left is theirs.

    Raises StartError naming the service, the kind and what is wrong."""
    try:
        rows = _rows(source, service, login, token)
        return [record for row in rows if (record := _record(source, row, zero, token)) is not None]
    except (CallError, QueryError, ValueError, TypeError) as error:
        what = f'the records "{source.kind}" of {source.store} could not be read'
        raise StartError(f"{what}: {error}") from None


def _rows(source: RecordSource, service: Address, login: Login | None, token: str) -> Iterable[Any]:
    if source.sql:
        if login is None:
            raise ValueError(f"{source.store} has no database")
        return read_rows(login, source.sql.replace(TOKEN, token), source.limit)
    path = source.http.replace(TOKEN, token)
    answer = call(service, "GET", path, deadline_s=DEADLINE_S)
    if answer.status != 200:
        raise ValueError(f"GET http://{service}{path} answered {answer.status}, expected 200")
    rows = _listed(answer.body, source.entries)
    if len(rows) > source.limit:
        raise ValueError(f"found more than {source.limit} entries, expected that many at most")
    return rows


def _listed(body: bytes, entries: str) -> list[Any]:
    """The list in a JSON answer, or one value a line."""
    try:
        answer = decoded(body, object)
    except msgspec.DecodeError:
        return _lines(body, entries)
    found = _inside(answer, entries) if entries else answer
    if isinstance(found, dict) and not entries:
        return [found]  # one value on the only line
    if not isinstance(found, list):
        where = f"at {entries} in the answer" if entries else "in the answer"
        raise ValueError(f"found no list {where}, expected the list of entries")
    return found


def _lines(body: bytes, entries: str) -> list[Any]:
    if entries:
        raise ValueError(f"found an answer that is not JSON, expected one with a list at {entries}")
    try:
        return [decoded(line, object) for line in body.splitlines() if line.strip()]
    except msgspec.DecodeError:
        raise ValueError("found an answer that is not JSON, expected JSON, or one value a line") from None


def _inside(value: Any, path: str) -> Any:
    """The value at a dotted path; None where it breaks off."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _record(source: RecordSource, row: Any, zero: Zero, token: str) -> Record | None:
    """One row as a record; None for a key of another run. Raises ValueError for what cannot be one."""
    if not isinstance(row, Mapping):
        raise ValueError(f"found the entry {row!r:.100}, expected an object")
    said = {
        column: row[name] if name in row else _inside(row, name) for column, name in source.columns.items()
    }
    if said["key"] is None:
        named = source.columns["key"]
        raise ValueError(f'found an entry without "{named}", expected its key there: {dict(row)!r:.200}')
    if token not in str(said["key"]):
        return None
    time = _unix(said["t"])
    return Record(
        source.store,
        source.kind,
        str(said["key"]),
        _text(said["id"]),
        None if time is None else zero.at(time),
        None if said["version"] is None else int(said["version"]),
        _text(said["status"]),
        None if said["amount"] is None else float(said["amount"]),
        _text(said["value"]),
        _text(said["caller"]),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _unix(value: Any) -> float | None:
    """Seconds since 1970 from a number, an ISO 8601 text or a time of the database (UTC if it says none)."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    return float(value)
