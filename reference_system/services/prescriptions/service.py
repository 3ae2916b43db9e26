"""Prescriptions: MedicationRequest and every version of it. Versions form a chain; none is lost."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.link import CallFailed
from reference_system.common.operations import plain
from reference_system.common.patterns import idempotency
from reference_system.common.service import Service, records_of
from reference_system.services.prescriptions import statements

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Reservation(msgspec.Struct, frozen=True):
    """Which hand-over a version is wanted for."""

    dispense: str


_reservation = msgspec.json.Decoder(Reservation).decode


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service; durations in seconds."""

    if_match: bool
    registry_fallback: bool


class Prescriptions(Service):
    """The one place where the current dose is known."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    DISCLOSES: ClassVar[bool] = True
    SEALS: ClassVar[bool] = True
    switches: Switches
    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = ("rx", "rx_version", "reservation")

    def routes(self) -> list[Route]:
        one = "/fhir/MedicationRequest/{rx}"
        return [
            Route("/fhir/MedicationRequest", self.create, methods=["POST"]),
            Route("/prescriptions", self.of_patient, methods=["GET"]),
            Route(one, self.read, methods=["GET"]),
            Route(one, self.change, methods=["PUT"]),
            Route(one + "/_history", self.history, methods=["GET"]),
            Route(one + "/$reserve", self.reserve, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """A repeat with the same identifier finds the first one and changes nothing; another order under that
        identifier is refused."""
        sent = await request.body()
        order = fhir.parse(sent, "MedicationRequest")
        rx = fhir.identifier(order, fhir.RX)
        patient = fhir.reference_id(order.get("subject"), "Patient")
        if not rx or not patient:
            raise fhir.Refused(400, "a MedicationRequest needs an identifier and a subject Patient/…")
        await self.disclosure.permit_change(request, patient, "MedicationRequest")
        label = await self._check_patient(patient)
        at, dose, status = time.time(), fhir.dose_of(order), str(order.get("status") or "active")
        print_ = idempotency.fingerprint(sent)
        body = _encode(fhir.medication_request(order, rx, 1, status, at))
        facts = {"dose": dose, "status": status, "patient": patient}
        event = self.outbox.event("rx.created", rx, at, facts, 1)
        created = await self.store.row(
            statements.CREATE,
            rx,
            status,
            dose,
            patient,
            self.sealer.seal(body),
            at,
            self.outbox.row(event),
            print_,
        )
        if created is None:
            return await self._repeated(rx, print_)
        self.outbox.committed(event)
        headers = {"etag": fhir.etag(1), **({"x-label": label} if label else {})}
        return Response(body, 201, headers, fhir.MEDIA_TYPE)

    async def _repeated(self, rx: str, print_: str) -> Response:
        row = await self.store.row("SELECT fingerprint FROM rx WHERE id = $1", rx)
        if row is not None and idempotency.judge(row["fingerprint"], print_) is idempotency.Repeat.MISMATCH:
            raise fhir.Refused(422, f"MedicationRequest/{rx} is known with another content")
        return await self._current(rx, 200)

    async def _check_patient(self, patient: str) -> str | None:
        """The patient must exist; with the fallback an unreachable registry costs a label only."""
        try:
            reply = await self.links["registry"].call("GET", f"/fhir/Patient/{patient}")
        except CallFailed:
            if not self.switches.registry_fallback:
                raise
            return "unverified-patient"
        if reply.status == 404:
            raise fhir.Refused(404, f"Patient/{patient} is not known")
        if reply.status != 200:
            if not self.switches.registry_fallback:
                raise fhir.Refused(502, f"registry answered {reply.status}")
            return "unverified-patient"
        return None

    async def change(self, request: Request) -> Response:
        """A new dose or a stop. Compare-and-set on the version, or the last write wins."""
        rx = request.path_params["rx"]
        order = fhir.parse(await request.body(), "MedicationRequest")
        if self.disclosure.guards_change(request):
            held = await self.store.row("SELECT patient FROM rx WHERE id = $1", rx)
            whose = held["patient"] if held is not None else ""
            await self.disclosure.permit_change(request, whose, "MedicationRequest")
        expected = fhir.version_of(request.headers.get("if-match"))
        if self.switches.if_match:
            if expected is None:
                raise fhir.Refused(428, "If-Match is required to change a prescription")
            base, statement = expected, statements.COMPARE_AND_SET
        else:
            row = await self.store.row("SELECT version FROM rx WHERE id = $1", rx)
            base, statement = int(row["version"]) if row is not None else 0, statements.OVERWRITE
        at, version = time.time(), base + 1
        dose, status = fhir.dose_of(order), str(order.get("status") or "active")
        resource = fhir.medication_request(order, rx, version, status, at)
        kind = "rx.changed" if resource["status"] == "active" else "rx.stopped"
        facts = {"dose": dose, "status": resource["status"]}
        event = self.outbox.event(kind, rx, at, facts, version)
        body = _encode(resource)
        sealed, row = self.sealer.seal(body), self.outbox.row(event)
        written = await self.store.row(statement, rx, base, resource["status"], dose, sealed, at, row)
        if written is None:
            await self._refuse_change(rx, base)
        self.outbox.committed(event)
        return Response(body, 200, {"etag": fhir.etag(version)}, fhir.MEDIA_TYPE)

    async def _refuse_change(self, rx: str, base: int) -> None:
        row = await self.store.row("SELECT version FROM rx WHERE id = $1", rx)
        if row is None:
            raise fhir.Refused(404, f"MedicationRequest/{rx} is not known")
        current = int(row["version"])
        text = f'If-Match W/"{base}" but the current version is {current}'
        raise fhir.Refused(412, text, {"etag": fhir.etag(current)})

    async def read(self, request: Request) -> Response:
        return await self._current(request.path_params["rx"], 200, request)

    async def _current(self, rx: str, status: int, reader: Request | None = None) -> Response:
        """The prescription as it stands; a `reader` is asked for the right to see it."""
        row = await self.store.row("SELECT version, body, patient FROM rx WHERE id = $1", rx)
        if row is None:
            raise fhir.Refused(404, f"MedicationRequest/{rx} is not known")
        if reader is not None:
            await self.disclosure.permit(reader, row["patient"], "MedicationRequest")
        return Response(
            self.sealer.open(row["body"]), status, {"etag": fhir.etag(row["version"])}, fhir.MEDIA_TYPE
        )

    async def of_patient(self, request: Request) -> Response:
        """What a patient takes, `GET /prescriptions?patient=…`, the newest first."""
        patient = request.query_params.get("patient", "")
        await self.disclosure.permit(request, patient, "MedicationRequest")
        rows = await self.store.rows(
            "SELECT id AS prescription, version, dose, status, at FROM rx WHERE patient = $1 "
            "ORDER BY at DESC LIMIT 50",
            patient,
        )
        return plain({"prescriptions": [dict(row) for row in rows]})

    async def history(self, request: Request) -> Response:
        rx = request.path_params["rx"]
        rows = await self.store.rows("SELECT body FROM rx_version WHERE rx = $1 ORDER BY version DESC", rx)
        if not rows:
            raise fhir.Refused(404, f"MedicationRequest/{rx} is not known")
        versions = [_decode(self.sealer.open(row["body"])) for row in rows]
        patient = fhir.reference_id(versions[-1].get("subject"), "Patient") or ""
        await self.disclosure.permit(request, patient, "MedicationRequest")
        return fhir.reply(200, fhir.history_bundle(versions))

    async def reserve(self, request: Request) -> Response:
        """Tie a hand-over to the current version, atomically: a concurrent change comes wholly before or
        after."""
        rx = request.path_params["rx"]
        dispense = fhir.read(_reservation, await request.body(), '{"dispense": "md-…"}').dispense
        row = await self.store.row(statements.RESERVE, rx, dispense, time.time())
        if row is None:
            raise fhir.Refused(404, f"MedicationRequest/{rx} is not known")
        return fhir.reply(200, {"prescription": rx, **dict(row)}, {"etag": fhir.etag(row["version"])})

    async def records(self) -> list[dict[str, Any]]:
        rows = await self.store.rows(
            "SELECT rx AS key, rx || '/' || version AS id, at, version, status, dose AS value "
            "FROM rx_version ORDER BY at"
        )
        return records_of("rx_version", rows)
