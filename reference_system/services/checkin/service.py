"""Check-in: the front door. Owns Encounter; an acknowledged check-in is never lost, whatever the insurer
does."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Literal
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.bus import Event
from reference_system.common.link import CallFailed
from reference_system.common.patterns import idempotency, outbox
from reference_system.common.patterns.cache import AgedCache
from reference_system.common.patterns.consumer import FRESH
from reference_system.common.service import Reset, Service, records_of
from reference_system.services.checkin.arrival import Arrival, read_arrival
from reference_system.services.checkin.temporary import Temporary, name_of

DEMOGRAPHICS_AGE_S = 86_400.0
TEMPORARY = "temporary"
INSERT = f"""
    WITH n AS (
        INSERT INTO encounter (id, key, guard, fingerprint, patient, patient_name, coverage,
            eligibility, label, body, at, number)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $13) ON CONFLICT (guard) DO NOTHING RETURNING id
    ), o AS (
        {outbox.insert(12, "n")}
    ) SELECT id FROM n
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service; durations in seconds."""

    dedupe: bool
    eligibility: Literal["sync", "async"]
    idempotency_key: bool
    inline_wait: float
    registry_fallback: bool
    temporary_merge: bool


class Checkin(Service):
    """Encounters, with the patient from the registry and the state of the insurance from eligibility."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    DISCLOSES: ClassVar[bool] = True
    SEALS: ClassVar[bool] = True
    switches: Switches
    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS encounter (
            id text NOT NULL, key text NOT NULL, guard text PRIMARY KEY, fingerprint text NOT NULL,
            patient text NOT NULL, patient_name text, coverage text NOT NULL, eligibility text NOT NULL,
            label text, body bytea NOT NULL, at float8 NOT NULL, number text, merged_at float8);
        CREATE INDEX IF NOT EXISTS encounter_key ON encounter (key)
    """
    TABLES: ClassVar[tuple[str, ...]] = ("encounter",)
    CONSUMES: ClassVar[tuple[str, ...]] = ("eligibility.>",)

    _names: AgedCache[str] = AgedCache(None)

    def routes(self) -> list[Route]:
        return [
            Route("/checkins", self.check_in, methods=["POST"]),
            Route("/fhir/Encounter", self.search, methods=["GET"]),
        ]

    async def check_in(self, request: Request) -> Response:
        arrival = read_arrival(
            await request.body(), request.headers.get(idempotency.HEADER), self.switches.idempotency_key
        )
        await self.disclosure.permit_change(request, arrival.patient, "Encounter")
        name, label = await self._demographics(arrival.patient)
        if self.switches.eligibility == "sync":
            return await self._check_in_at_once(arrival, name, label)
        id_, at = uuid4().hex, time.time()
        body = {"key": arrival.key, "coverage": arrival.coverage, "patient": arrival.patient}
        event = self.outbox.event("checkin.accepted", arrival.key, at, body)
        if not await self._insert(id_, arrival, name, label, "pending", at, event):
            return await self._replay(arrival)
        self.outbox.committed(event)
        eligibility, own_label = await self._ask_inline(arrival, at)
        return self._accepted(id_, arrival, name, _labels(label, own_label), eligibility)

    async def _check_in_at_once(self, arrival: Arrival, name: str | None, label: str | None) -> Response:
        """The insurer is asked inside the request: the patient waits for whatever the insurer does."""
        at = time.time()
        reply = await self._ask(arrival, at, None)
        if reply.status != 200:
            raise fhir.Refused(502, f"eligibility answered {reply.status}")
        id_, eligibility = uuid4().hex, str(reply.json()["disposition"])
        body = {"key": arrival.key, "coverage": arrival.coverage, "patient": arrival.patient}
        event = self.outbox.event("checkin.accepted", arrival.key, at, body)
        if not await self._insert(id_, arrival, name, label, eligibility, at, event):
            return await self._replay(arrival)
        self.outbox.committed(event)
        return self._accepted(id_, arrival, name, label, eligibility)

    async def _insert(
        self,
        id_: str,
        arrival: Arrival,
        name: str | None,
        label: str | None,
        eligibility: str,
        at: float,
        event: Event,
    ) -> bool:
        """The Encounter and its event in one transaction; False when the key is already taken."""
        inserted = await self.store.row(
            INSERT,
            id_,
            arrival.key,
            idempotency.guard(self.switches.idempotency_key, arrival.key),
            arrival.fingerprint,
            arrival.patient,
            self.sealer.seal_text(name),
            arrival.coverage,
            eligibility,
            label,
            self.sealer.seal(_encode(arrival.encounter)),
            at,
            self.outbox.row(event),
            name if label == TEMPORARY else None,
        )
        if inserted is not None and label == TEMPORARY and self.switches.temporary_merge:
            self._temporary.add(arrival.patient)
        return inserted is not None

    async def _replay(self, arrival: Arrival) -> Response:
        row = await self.store.row("SELECT * FROM encounter WHERE key = $1 ORDER BY at LIMIT 1", arrival.key)
        if row is None:
            raise fhir.Refused(409, f"the key {arrival.key!r} is being reset")
        if idempotency.judge(row["fingerprint"], arrival.fingerprint) is idempotency.Repeat.MISMATCH:
            raise fhir.Refused(422, f"Idempotency-Key {arrival.key!r} was used with another Encounter")
        name = self.sealer.open_text(row["patient_name"])
        return self._accepted(row["id"], arrival, name, row["label"], row["eligibility"], 200)

    def _accepted(
        self,
        id_: str,
        arrival: Arrival,
        name: str | None,
        label: str | None,
        eligibility: str,
        status: int = 201,
    ) -> Response:
        headers = {"x-eligibility": eligibility, "location": f"/fhir/Encounter/{id_}"}
        if label:
            headers["x-label"] = label
        return fhir.reply(status, fhir.encounter_reply(arrival.encounter, id_, eligibility, name), headers)

    async def _demographics(self, patient: str) -> tuple[str | None, str | None]:
        """Name and label. With the fallback an unreachable registry costs a label, not the check-in."""
        try:
            reply = await self.links["registry"].call("GET", f"/fhir/Patient/{patient}")
        except CallFailed:
            if not self.switches.registry_fallback:
                raise
            return self._remembered(patient)
        if reply.status == 404:
            raise fhir.Refused(404, f"Patient/{patient} is not known")
        if reply.status != 200:
            if not self.switches.registry_fallback:
                raise fhir.Refused(502, f"registry answered {reply.status}")
            return self._remembered(patient)
        name = name_of(reply.json())
        self._names.put(patient, name)
        return name, None

    def _remembered(self, patient: str) -> tuple[str | None, str]:
        held = self._names.get(patient)
        return (held[0], "cached") if held is not None else (Temporary.number(), TEMPORARY)

    async def _ask(self, arrival: Arrival, at: float, timeout: float | None) -> Any:
        resource = fhir.eligibility_request(arrival.key, arrival.coverage, arrival.patient, at)
        return await self.links["eligibility"].call(
            "POST", "/fhir/CoverageEligibilityRequest", resource, timeout=timeout
        )

    async def _ask_inline(self, arrival: Arrival, at: float) -> tuple[str, str | None]:
        """What eligibility says within the inline wait, and its label; else pending: its event will tell."""
        try:
            reply = await self._ask(arrival, at, self.switches.inline_wait)
        except CallFailed:
            return "pending", None
        if reply.status != 200:
            return "pending", None
        return str(reply.json()["disposition"]), reply.headers.get("x-label")

    async def search(self, request: Request) -> Response:
        key = (request.query_params.get("identifier") or "").rpartition("|")[2]
        rows = await self.store.rows("SELECT * FROM encounter WHERE key = $1 ORDER BY at", key)
        for patient in {row["patient"] for row in rows}:
            await self.disclosure.permit(request, patient, "Encounter")
        entries = [{"resource": self._shown(row)} for row in rows]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
        if not entries:
            del bundle["entry"]
        return fhir.reply(200, bundle)

    def _shown(self, row: Any) -> fhir.Resource:
        encounter, name = _decode(self.sealer.open(row["body"])), self.sealer.open_text(row["patient_name"])
        return fhir.encounter_reply(encounter, row["id"], row["eligibility"], name)

    async def on_events(self, events: list[Event]) -> None:
        """Late answers of the insurer reach their Encounters, all of a batch in one statement."""
        ids = [event.id for event in events]
        fresh = f"WITH {FRESH}" if self.switches.dedupe else "WITH fresh AS (SELECT unnest($1::text[]) AS id)"
        await self.store.run(
            f"""{fresh}
            UPDATE encounter AS e SET eligibility = v.status
            FROM unnest($1::text[], $2::text[], $3::text[]) AS v (event, key, status) JOIN fresh ON fresh.id
            = v.event
            WHERE e.key = v.key AND e.eligibility = 'pending'
            """,
            ids,
            [event.key for event in events],
            [str(event.body["status"]) for event in events],
        )

    def build(self) -> None:
        super().build()
        self._temporary = Temporary(
            self.links["registry"],
            self.store,
            self.log,
            lambda name: self.sealer.seal_text(name),
            lambda patient, name: self._names.put(patient, name),
        )

    async def opened(self) -> None:
        self._names = AgedCache(DEMOGRAPHICS_AGE_S / self.clock_scale)
        self.loop(self._keep_merging())
        waiting = "SELECT DISTINCT patient FROM encounter WHERE number IS NOT NULL AND merged_at IS NULL"
        for row in await self.store.rows(waiting) if self.switches.temporary_merge else ():
            self._temporary.add(row["patient"])
        rows = await self.store.rows(
            "SELECT DISTINCT patient, patient_name FROM encounter "
            "WHERE label IS NULL AND patient_name IS NOT NULL"
        )
        for row in rows:
            self._names.put(row["patient"], self.sealer.open_text(row["patient_name"]) or "")

    async def _keep_merging(self) -> None:
        while True:
            await self._temporary.needed()
            await self.of_run(self._temporary.merge)

    async def cleared(self, reset: Reset) -> None:
        self._temporary.clear()
        self._names = AgedCache(DEMOGRAPHICS_AGE_S / self.clock_scale)

    async def backlog(self) -> dict[str, int]:
        row = await self.store.row(
            "SELECT count(*) FILTER (WHERE eligibility = 'pending') AS pending, "
            "count(*) FILTER (WHERE number IS NOT NULL AND merged_at IS NULL) AS temporary FROM encounter"
        )
        assert row is not None  # a count has one row
        return {"eligibility_pending": int(row["pending"]), "temporary_numbers": int(row["temporary"])}

    async def records(self) -> list[dict[str, Any]]:
        rows = await self.store.rows("SELECT key, id, at, eligibility AS status FROM encounter ORDER BY at")
        numbers = await self.store.rows(
            "SELECT key, number AS id, at FROM encounter WHERE number IS NOT NULL ORDER BY at"
        )
        merged = await self.store.rows(
            "SELECT key, number AS id, merged_at AS at, patient AS value FROM encounter "
            "WHERE merged_at IS NOT NULL ORDER BY merged_at"
        )
        return [
            *records_of("encounter", rows),
            *records_of("temporary_number", numbers),
            *records_of("merge", merged),
        ]


def _labels(demographics: str | None, eligibility: str | None) -> str | None:
    """One x-label for the parts of an answer that are not fresh."""
    parts = [demographics, eligibility and f"eligibility-{eligibility}"]
    return ", ".join(part for part in parts if part) or None
