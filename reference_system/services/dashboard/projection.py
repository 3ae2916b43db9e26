"""The dashboard's own copy of what others know of a patient, fed by their events.

A result in a schema that it does not understand is put aside as a dead letter, everything else flows on, and
after an upgrade it is played again. Without that care it is dropped with a line in the log, and lost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from reference_system.common.bus import Event, decode_event, encode_event
from reference_system.common.patterns.consumer import FRESH, winners
from reference_system.common.service import Service
from reference_system.services.dashboard import reading, statements
from reference_system.services.dashboard.reading import V1, Result, Unknown

STALE_AFTER_S = 3.0  # the bus says something every second
REPLAYED_AT_ONCE = 500


class Projection:
    """Tables that follow events, and the labels that say how far they do."""

    def __init__(self, dashboard: Service) -> None:
        self._dashboard = dashboard
        self.known: tuple[str, ...] = (V1,)  # schemas of results that are understood
        self.replaying = False  # what was put aside of them

    # events

    async def take(self, events: Sequence[Event], replayed: bool = False) -> None:
        """Bring the copy up to date with a batch."""
        groups: dict[str, list[Event]] = {"lab": [], "rx": [], "eligibility": [], "patient": []}
        for event in events:
            groups[event.type.partition(".")[0]].append(event)
        await self._results(groups["lab"], replayed)
        chosen = self._chosen(groups["rx"])
        await self._write(
            statements.MEDICATIONS,
            groups["rx"],
            chosen,
            [event.key for event in chosen],
            [event.version or 0 for event in chosen],
            [str(event.body.get("patient", "")) for event in chosen],
            [str(event.body["dose"]) for event in chosen],
            [str(event.body["status"]) for event in chosen],
            [event.at for event in chosen],
        )
        decided = list({event.body["patient"]: event for event in groups["eligibility"]}.values())
        await self._write(
            statements.INSURANCES,
            groups["eligibility"],
            decided,
            [str(event.body["patient"]) for event in decided],
            [str(event.body["coverage"]) for event in decided],
            [str(event.body["status"]) for event in decided],
            [event.at for event in decided],
        )
        people = self._chosen(groups["patient"])
        await self._write(
            statements.PERSONS,
            groups["patient"],
            people,
            [event.key for event in people],
            [event.version or 0 for event in people],
            [event.at for event in people],
        )

    def _chosen(self, events: list[Event]) -> list[Event]:
        return winners(events, self._dashboard.switches.version_fence)

    async def _results(self, events: list[Event], replayed: bool) -> None:
        understood: list[Event] = []
        unknown: list[tuple[Event, str]] = []
        found: dict[str, Result] = {}
        for event in events:
            try:
                found[event.id] = reading.read(event.body, self.known)
                understood.append(event)
            except Unknown as error:
                unknown.append((event, error.schema))
        await self._put_aside(unknown)
        chosen = self._chosen(understood)
        results = [found[event.id] for event in chosen]
        await self._write(
            statements.RESULTS,
            understood,
            chosen,
            [one.report for one in results],
            [one.version for one in results],
            [one.patient for one in results],
            [one.code for one in results],
            [one.value for one in results],
            [one.unit for one in results],
            [one.flag for one in results],
            [one.status for one in results],
            [event.at for event in chosen],
            dedupe=not replayed,
        )

    async def _write(
        self, tail: str, events: list[Event], chosen: list[Event], *columns: list[Any], dedupe: bool = True
    ) -> None:
        if not events:
            return
        switches = self._dashboard.switches
        once = switches.dedupe and dedupe
        fresh = f"WITH {FRESH}" if once else "WITH fresh AS (SELECT unnest($1::text[]) AS id)"
        ids = [event.id for event in events]
        await self._dashboard.store.run(
            fresh + tail, ids, switches.version_fence, [event.id for event in chosen], *columns
        )

    # what is not understood

    async def _put_aside(self, unknown: list[tuple[Event, str]]) -> None:
        if not unknown:
            return
        dashboard = self._dashboard
        if dashboard.switches.result_contract == "breaking":
            dashboard.metrics.count("events_dropped", len(unknown))
            dashboard.log.seldom("results of an unknown schema were dropped", schema=unknown[0][1])
            return
        await dashboard.store.run(
            statements.DEAD_LETTERS,
            [event.id for event, _ in unknown],
            [event.key for event, _ in unknown],
            [schema for _, schema in unknown],
            [encode_event(event).decode() for event, _ in unknown],
            [event.at for event, _ in unknown],
        )

    async def understand(self, schemas: tuple[str, ...]) -> None:
        """From now on these are understood: what was put aside of them is played again. Raises
        StoreUnavailable."""
        self.known, self.replaying = schemas, True
        try:
            while rows := await self._dashboard.store.rows(
                "SELECT id, event FROM dead_letter WHERE schema = ANY($1::text[]) ORDER BY id LIMIT $2",
                list(schemas),
                REPLAYED_AT_ONCE,
            ):
                await self.take([decode_event(row["event"]) for row in rows], replayed=True)
                ids = [row["id"] for row in rows]
                await self._dashboard.store.run("DELETE FROM dead_letter WHERE id = ANY($1::text[])", ids)
        finally:
            self.replaying = False

    # what is shown

    async def parts(self, patient: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Every part with its age, and the headers that say what is not fresh."""
        store = self._dashboard.store
        aside = await store.row("SELECT min(at) AS at FROM dead_letter")
        results = await store.rows(
            "SELECT * FROM result WHERE patient = $1 ORDER BY at DESC LIMIT 50", patient
        )
        medications = await store.rows(
            "SELECT rx AS prescription, version, dose, status, at FROM medication WHERE patient = $1 "
            "ORDER BY at DESC LIMIT 50",
            patient,
        )
        insurance = await store.row("SELECT coverage, status, at FROM insurance WHERE patient = $1", patient)
        person = await store.row("SELECT id, version FROM person WHERE id = $1", patient)
        silent = self._dashboard.consumer.silent_s if self._dashboard.consumer is not None else 0.0
        behind = silent if aside is None or aside["at"] is None else max(silent, time.time() - aside["at"])
        parts = {
            "results": {"age_s": behind, "entries": [dict(row) for row in results]},
            "prescriptions": {"age_s": silent, "entries": [dict(row) for row in medications]},
            "insurance": {"age_s": silent, "entries": None if insurance is None else dict(insurance)},
            "person": {"age_s": silent, "entries": None if person is None else dict(person)},
        }
        label = "incomplete" if behind > silent else "stale" if silent > STALE_AFTER_S else ""
        return parts, {"x-label": label, "x-age-ms": f"{behind * 1000:.0f}"} if label else {}

    async def all_results(self) -> list[Result]:
        rows = await self._dashboard.store.rows("SELECT * FROM result ORDER BY at")
        names = Result.__dataclass_fields__
        return [Result(**{name: row[name] for name in names}) for row in rows]
