"""Reading a service's database, as the role that owns it; the only file that imports the SQL driver."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg

from runtimes.runtime import Address

CONNECT_DEADLINE_S = 5.0
STATEMENT_DEADLINE_S = 15.0


class QueryError(Exception):
    """The database refused a query or did not answer in time; the message says which."""


@dataclass(frozen=True, slots=True)
class Login:
    """A database past its proxy, and the role that owns it."""

    address: Address
    user: str
    password: str
    database: str


def read_rows(login: Login, query: str, limit: int) -> list[dict[str, Any]]:
    """The rows of a query in a transaction that cannot write. Raises QueryError, also for more than `limit`
    rows: a part of a system of record is not the system of record."""
    try:
        rows = asyncio.run(_read(login, query, limit + 1))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise QueryError(str(error) or type(error).__name__) from None
    if len(rows) > limit:
        raise QueryError(f"found more than {limit} rows, expected that many at most")
    return rows


async def _read(login: Login, query: str, most: int) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(
        host=login.address.host,
        port=login.address.port,
        user=login.user,
        password=login.password,
        database=login.database,
        timeout=CONNECT_DEADLINE_S,
        command_timeout=STATEMENT_DEADLINE_S,
    )
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL statement_timeout = {round(STATEMENT_DEADLINE_S * 1000)}")
            cursor = await connection.cursor(query)
            return [dict(row) for row in await cursor.fetch(most)]
    finally:
        await connection.close(timeout=CONNECT_DEADLINE_S)
