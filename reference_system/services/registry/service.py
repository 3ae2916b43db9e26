"""Registry: who a patient is. Owns Patient; no update is lost when If-Match is on."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.patterns import idempotency, outbox
from reference_system.common.service import Reset, Service

EXPIRED = "certificate_expired"

# Only of a patient who is known.
_NOTE = """
    INSERT INTO allergy (id, patient, fingerprint, body, at)
    SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT FROM patient WHERE id = $2)
    ON CONFLICT (id) DO NOTHING RETURNING id
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service; durations in seconds."""

    if_match: bool


class Registry(Service):
    """FHIR Patient with versions."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    DISCLOSES: ClassVar[bool] = True
    SEALS: ClassVar[bool] = True
    CHANGES: ClassVar[tuple[str, ...]] = (EXPIRED,)
    switches: Switches
    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS patient (
            id text PRIMARY KEY, version int NOT NULL, body bytea NOT NULL, at float8 NOT NULL);
        CREATE TABLE IF NOT EXISTS allergy (
            id text PRIMARY KEY, patient text NOT NULL, fingerprint text NOT NULL, body bytea NOT NULL,
            at float8 NOT NULL);
        CREATE INDEX IF NOT EXISTS allergy_patient ON allergy (patient)
    """
    TABLES: ClassVar[tuple[str, ...]] = ("patient", "allergy")

    def routes(self) -> list[Route]:
        return [
            Route("/fhir/Patient/{id}", self.read, methods=["GET"]),
            Route("/fhir/Patient/{id}", self.update, methods=["PUT"]),
            Route("/fhir/AllergyIntolerance", self.note_allergy, methods=["POST"]),
            Route("/fhir/AllergyIntolerance", self.allergies, methods=["GET"]),
        ]

    async def read(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        await self.disclosure.permit(request, id_, "Patient")
        row = await self.store.row("SELECT version, body FROM patient WHERE id = $1", id_)
        if row is None:
            raise fhir.Refused(404, f"Patient/{id_} is not known")
        return Response(
            self.sealer.open(row["body"]), 200, {"etag": fhir.etag(row["version"])}, fhir.MEDIA_TYPE
        )

    async def update(self, request: Request) -> Response:
        """If-Match decides between two writers; without it in the design the last one wins."""
        id_ = request.path_params["id"]
        patient = fhir.parse(await request.body(), "Patient")
        await self.disclosure.permit_change(request, id_, "Patient")
        expected = fhir.version_of(request.headers.get("if-match"))
        row = await self.store.row("SELECT version FROM patient WHERE id = $1", id_)
        held = int(row["version"]) if row is not None else 0
        if self.switches.if_match and held and expected is None:
            raise fhir.Refused(428, "If-Match is required to change a patient")
        if self.switches.if_match and expected is not None and not held:
            raise fhir.Refused(412, f"If-Match names a version, but Patient/{id_} is not known")
        base = held if expected is None or not self.switches.if_match else expected
        at, version = time.time(), base + 1
        body = {**patient, "id": id_, "meta": {"versionId": str(version), "lastUpdated": fhir.instant(at)}}
        event = self.outbox.event("patient.updated", id_, at, {}, version)
        written = await self.store.row(
            f"""
            WITH u AS (
                INSERT INTO patient AS p (id, version, body, at) VALUES ($1, $2, $3, $4)
                ON CONFLICT (id) DO UPDATE SET version = excluded.version,
                    body = excluded.body, at = excluded.at
                WHERE p.version = $5 OR NOT $6
                RETURNING id
            ), o AS (
                {outbox.insert(7, "u")}
            ) SELECT id FROM u
            """,
            id_,
            version,
            self.sealer.seal(_encode(body)),
            at,
            base,
            self.switches.if_match,
            self.outbox.row(event),
        )
        if written is None:
            raise fhir.Refused(412, f'If-Match W/"{base}" does not match', {"etag": fhir.etag(held)})
        self.outbox.committed(event)
        return fhir.reply(200 if held else 201, body, {"etag": fhir.etag(version)})

    # allergies

    async def note_allergy(self, request: Request) -> Response:
        """A repeat with the same identifier finds the first one; another content under it is refused."""
        sent = await request.body()
        allergy = fhir.parse(sent, "AllergyIntolerance")
        id_ = fhir.identifier(allergy, fhir.ALLERGY)
        patient = fhir.reference_id(allergy.get("patient"), "Patient")
        if not id_ or not patient:
            raise fhir.Refused(400, "an AllergyIntolerance needs an identifier and a patient Patient/…")
        await self.disclosure.permit_change(request, patient, "AllergyIntolerance")
        print_, body = idempotency.fingerprint(sent), _encode({**allergy, "id": id_})
        new = await self.store.row(_NOTE, id_, patient, print_, self.sealer.seal(body), time.time())
        if new is not None:
            return Response(body, 201, None, fhir.MEDIA_TYPE)
        row = await self.store.row("SELECT body, fingerprint FROM allergy WHERE id = $1", id_)
        if row is None:
            raise fhir.Refused(404, f"Patient/{patient} is not known")
        if idempotency.judge(row["fingerprint"], print_) is idempotency.Repeat.MISMATCH:
            raise fhir.Refused(422, f"AllergyIntolerance/{id_} is known with another content")
        return Response(self.sealer.open(row["body"]), 200, None, fhir.MEDIA_TYPE)

    async def allergies(self, request: Request) -> Response:
        """Those of a patient, `GET /fhir/AllergyIntolerance?patient=…`."""
        patient = request.query_params.get("patient", "").rpartition("/")[2]
        await self.disclosure.permit(request, patient, "AllergyIntolerance")
        rows = await self.store.rows("SELECT body FROM allergy WHERE patient = $1 ORDER BY at", patient)
        entries = [{"resource": _decode(self.sealer.open(row["body"]))} for row in rows]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return fhir.reply(200, {**bundle, **({"entry": entries} if entries else {})})

    async def make_change(self, name: str, made: bool) -> None:
        """The certificate expires, or is renewed."""
        self.transport.expire(made)

    async def change_state(self, name: str) -> tuple[bool, bool]:
        return self.transport.expired, self.transport.expired

    async def cleared(self, reset: Reset) -> None:
        patients = reset.patients or []
        await self.store.run(
            "INSERT INTO patient SELECT id, 1, body, $3 FROM unnest($1::text[], $2::bytea[]) AS p (id, body)",
            [str(patient["id"]) for patient in patients],
            [self.sealer.seal(_encode({**patient, "meta": {"versionId": "1"}})) for patient in patients],
            time.time(),
        )
