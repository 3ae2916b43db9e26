"""Where the harness reads the system of record of a service that has no `records` endpoint."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import quote, unquote, urlsplit

from experiment.decoding import Decoder
from experiment.rows import Record
from experiment.services import Service
from experiment.yaml_source import Node, key_place, place

COLUMNS = tuple(one.name for one in fields(Record) if one.name not in ("store", "kind"))
MOST_ROWS = 100_000
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class DatabaseLogin:
    """A database at a service, and the role that reads it."""

    service: str
    user: str
    password: str = field(repr=False)
    database: str = ""


@dataclass(frozen=True, slots=True)
class RecordSource:
    """One kind of record of one service: an SQL query on the service's database, or an HTTP path that answers
    JSON or one JSON object a line. Both go past the proxies, when the system has settled."""

    store: str
    """The service that keeps the records."""
    kind: str
    """What a record is called, such as order or parcel."""
    sql: str = ""
    """An SQL query; its columns are named as those of a record, or as `fields` says."""
    database: str = ""
    """The database of the query, where the harness did not make it: postgresql://USER:PASSWORD@SERVICE/NAME.
    A part such as ${ORDERS_PASSWORD} is taken from the environment."""
    http: str = ""
    """A path of the service that gives the records."""
    entries: str = ""
    """Where the list of records stands in the answer, such as entries or data.items."""
    fields: dict[str, str] = field(default_factory=dict)
    """Column of a record to its name in the row or answer."""
    limit: int = MOST_ROWS
    """The most rows that are read; more are refused."""

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit {self.limit}; expected 1 or more")

    def login(self, known: Mapping[str, str]) -> DatabaseLogin:
        """The parts of `database`, filled from variables. Raises ValueError for another form, and for a
        variable that is not set where `known` has any."""
        missing = [name for name in VARIABLE.findall(self.database) if known and name not in known]
        if missing:
            raise ValueError(f"the variable {missing[0]} of {self.kind} of {self.store} is not set")
        text = VARIABLE.sub(lambda found: quote(known.get(found[1], ""), safe=""), self.database)
        parts = urlsplit(text)
        name = parts.path.strip("/")
        if parts.scheme not in ("postgresql", "postgres") or not (parts.hostname and parts.username and name):
            raise ValueError(f'"{self.database}"; expected postgresql://USER:PASSWORD@SERVICE/NAME')
        service = parts.netloc.rpartition("@")[2].partition(":")[0]  # as it is written, not in small letters
        return DatabaseLogin(service, unquote(parts.username), unquote(parts.password or ""), unquote(name))

    @property
    def columns(self) -> dict[str, str]:
        """Column of a record to its name in the source."""
        return {name: name for name in COLUMNS} | self.fields


def check_record_source(
    decoder: Decoder,
    node: Node,
    index: int,
    source: RecordSource,
    services: dict[str, Service],
    databases: Collection[str],
) -> None:
    """Each mistake at its own place; `databases` are the services that have one."""

    def fail(key: str, found: str, expected: str, hint: str = "") -> None:
        decoder.fail(place(node, "records", index, key), found, expected, hint)

    owners = [name for name, service in services.items() if service.is_code]
    if source.store not in owners:
        fail(
            "store",
            f'the unknown service "{source.store}"',
            "a service of this file",
            decoder.nearest(source.store, owners),
        )
        return
    ways = [way for way in ("sql", "http") if getattr(source, way)]
    if len(ways) != 1:
        fail("kind", f"{' and '.join(ways) or 'neither sql nor http'} for {source.store}", "one of sql, http")
    if source.database:
        try:
            login = source.login({})
        except ValueError as error:
            decoder.refuse(place(node, "records", index, "database"), error)
            return
        if login.service not in owners or not source.sql:
            found = f"the service {login.service}" if source.sql else "a database without sql"
            fail("database", found, "a service of this file", decoder.nearest(login.service, owners))
    elif source.sql and source.store not in databases:
        expected = f"http, database, or a link from {source.store} to a PostgreSQL store"
        fail("sql", f"sql for {source.store}, which has no database", expected)
    if source.http and not source.http.startswith("/"):
        fail("http", f'"{source.http}"', "a path such as /ledger")
    if services[source.store].control.records is not None:
        found = f"records of {source.store}, which has the endpoint records"
        fail("store", found, "one of them: the endpoint gives all its records")
    for column in source.fields:
        if column not in COLUMNS:
            where = key_place(node, "records", index, "fields", column)
            decoder.fail(
                where,
                f'the unknown column "{column}"',
                "a column of a record",
                decoder.nearest(column, COLUMNS),
            )
