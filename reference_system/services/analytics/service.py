"""Analytics: how many of what. Never slows the clinic, unless a design lets it read the others' tables.

From counts of its own that follow everybody's events; or, in a database that it shares with the laboratory,
by queries on the laboratory's tables.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common.bus import Event
from reference_system.common.operations import plain
from reference_system.common.patterns.consumer import FRESH
from reference_system.common.service import Reset, Service, record

MONTHLY_REPORT = "monthly_report"
PAUSE_S = 0.1  # between two runs of the report

SCHEMA = """
    CREATE TABLE IF NOT EXISTS counted (
        type text NOT NULL, label text NOT NULL, n bigint NOT NULL, at float8 NOT NULL,
        PRIMARY KEY (type, label))
"""

# Tail of a statement that begins with the events that are fresh ($1: ids of all events of the batch); $2 to
# $4 are ids, types and labels of the events.
COUNT = """
    INSERT INTO counted AS c (type, label, n, at)
    SELECT v.type, v.label, count(*), $5
    FROM unnest($2::text[], $3::text[], $4::text[]) AS v (event, type, label)
        JOIN fresh ON fresh.id = v.event
    GROUP BY v.type, v.label
    ON CONFLICT (type, label) DO UPDATE SET n = c.n + excluded.n, at = excluded.at
"""

COUNTS = "SELECT type, label, n FROM counted ORDER BY type, label"

# Straight from the laboratory's tables, which an analyst of a shared database knows by heart.
COUNTS_OF_LAB = """
    SELECT 'lab.result' AS type, urgency AS label, count(*) AS n
    FROM lab.report_version GROUP BY urgency ORDER BY urgency
"""

# The report of the month: every result of years, here each row many times over. Its figures must add up, so
# that nothing may be written while it runs.
YEARS = 12_000
REPORT = f"""
    BEGIN;
    LOCK TABLE lab.service_request, lab.report, lab.report_version IN SHARE MODE;
    SELECT v.urgency, avg(v.value::float8), stddev(v.value::float8), count(DISTINCT md5(v.report || y))
    FROM lab.report_version v CROSS JOIN generate_series(1, {YEARS}) AS y GROUP BY v.urgency;
    COMMIT
"""


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service."""

    dedupe: bool


class Analytics(Service):
    """Counts, and the report of the month."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches
    DDL: ClassVar[str] = SCHEMA
    TABLES: ClassVar[tuple[str, ...]] = ("counted",)
    CONSUMES: ClassVar[tuple[str, ...]] = (
        "lab.>", "rx.>", "dispense.>", "checkin.>", "eligibility.>", "claim.>", "payment.>"
    )  # fmt: skip
    CHANGES: ClassVar[tuple[str, ...]] = (MONTHLY_REPORT,)

    def build(self) -> None:
        super().build()
        self._report: asyncio.Task[Any] | None = None

    def routes(self) -> list[Route]:
        return [Route("/stats", self.stats, methods=["GET"])]

    @property
    def _shared(self) -> bool:
        """Whether it lives in one database with the laboratory, and reads there."""
        return self.config.links["postgres"].database != self.name

    async def stats(self, _: Request) -> Response:
        rows = await self._counts()
        return plain({"as_of": time.time(), "counts": [dict(row) for row in rows]})

    async def _counts(self) -> list[Any]:
        return list(await self.store.rows(COUNTS_OF_LAB if self._shared else COUNTS))

    async def on_events(self, events: list[Event]) -> None:
        """Every event once, by its type and what it says of itself."""
        if self._shared:
            return
        fresh = f"WITH {FRESH}" if self.switches.dedupe else "WITH fresh AS (SELECT unnest($1::text[]) AS id)"
        ids = [event.id for event in events]
        await self.store.run(
            fresh + COUNT,
            ids,
            ids,
            [event.type for event in events],
            [_label(event) for event in events],
            time.time(),
        )

    # the report of the month

    async def make_change(self, name: str, made: bool) -> None:
        """The report runs again and again until it is taken back."""
        if self._report is not None:
            self._report.cancel()
            self._report = None
        if made:
            self._report = self.spawn(self._reports())

    async def _reports(self) -> None:
        while True:
            if self._shared:
                await self.store.run(REPORT)
            else:
                await self._counts()
            await asyncio.sleep(PAUSE_S)

    async def change_state(self, name: str) -> tuple[bool, bool]:
        runs = self._report is not None and not self._report.done()
        return runs, runs

    # the system of record

    async def cleared(self, reset: Reset) -> None:
        self._report = None

    async def records(self) -> list[dict[str, Any]]:
        now = time.time()
        return [
            record("count", key=f"{row['type']}/{row['label']}", id=None, at=now, amount=float(row["n"]),
                   status=row["label"], value=row["type"])
            for row in await self._counts()
        ]  # fmt: skip


def _label(event: Event) -> str:
    """What the event says of itself: a flag, a status, or nothing."""
    body = event.body
    return str(body.get("flag") or body.get("interpretation") or body.get("status") or "")
