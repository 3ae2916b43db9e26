"""Where the harness reads the system of record of a service that has no `records` endpoint."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields

from experiment.decoding import Decoder
from experiment.rows import Record
from experiment.services import Service
from experiment.yaml_source import Node, key_place, place

COLUMNS = tuple(one.name for one in fields(Record) if one.name not in ("store", "kind"))
MOST_ROWS = 100_000


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
    if source.sql and source.store not in databases:
        expected = f"http, or a link from {source.store} to a PostgreSQL store"
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
