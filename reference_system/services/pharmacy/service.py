"""Pharmacy: the work list and the hand-over. Never dispenses a superseded or stopped version, unless the
design trusts a copy. When the prescription cannot be read, the medicine is held, not guessed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.bus import Event
from reference_system.common.link import CallFailed
from reference_system.common.patterns.consumer import FRESH, winners
from reference_system.common.service import Service, records_of
from reference_system.services.pharmacy import statements

_encode = msgspec.json.Encoder().encode


class Order(msgspec.Struct, frozen=True):
    """A hand-over that is asked for; the identifier is the same in every repeat."""

    prescription: str
    identifier: str


_order = msgspec.json.Decoder(Order).decode


@dataclass(frozen=True, slots=True)
class Prescription:
    """What pharmacy takes the prescription to be. `as_of` is unix seconds: when that was known to be
    current."""

    rx: str
    version: int
    dose: str
    status: str
    patient: str
    as_of: float


class Unreachable(Exception):
    """The prescription could not be read where it is kept."""


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service; durations in seconds."""

    dedupe: bool
    dispense_check: Literal["projection", "current_read", "reservation"]
    version_fence: bool


class Pharmacy(Service):
    """Hand-overs, held ones, and a copy of the prescriptions fed by events."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    DISCLOSES: ClassVar[bool] = True
    SEALS: ClassVar[bool] = True
    switches: Switches
    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = ("dispense", "projection", "tray")
    CONSUMES: ClassVar[tuple[str, ...]] = ("rx.>",)

    def routes(self) -> list[Route]:
        return [
            Route("/worklist/{rx}", self.view, methods=["GET"]),
            Route("/dispenses", self.dispense, methods=["POST"]),
        ]

    async def view(self, request: Request) -> Response:
        """The dose to prepare. A copy is labelled with its age, but for a design that trusts it."""
        rx, headers = request.path_params["rx"], {}
        if self.switches.dispense_check == "projection":
            found = await self._copy(rx)
        else:
            try:
                found = await self._read(rx)
            except Unreachable as error:
                found = await self._copy(rx)
                if found is None:
                    raise fhir.Refused(503, str(error)) from error
                age_ms = max(0.0, time.time() - found.as_of) * 1000
                headers = {"x-label": "stale", "x-age-ms": f"{age_ms:.0f}"}
        if found is None:
            raise fhir.Refused(404, f"prescription {rx} is not known")
        await self.disclosure.permit(request, found.patient, "MedicationRequest")
        entry = {"prescription": rx, "version": found.version, "dose": found.dose, "status": found.status}
        return fhir.reply(200, {**entry, "as_of": found.as_of}, headers)

    async def dispense(self, request: Request) -> Response:
        expected = '{"prescription": "rx-…", "identifier": "md-…"}'
        order = fhir.read(_order, await request.body(), expected)
        rx, id_ = order.prescription, order.identifier
        check = self.switches.dispense_check
        try:
            if check == "projection":
                found = await self._copy(rx)
            else:
                found = await (self._reserve(rx, id_) if check == "reservation" else self._read(rx))
        except Unreachable as error:
            copy = await self._copy(rx) if self.disclosure.guards_change(request) else None
            await self._may_dispense(request, copy)
            return await self._hold(rx, id_, str(error))
        if found is None:
            raise fhir.Refused(404, f"prescription {rx} is not known")
        if found.status != "active":
            raise fhir.Refused(409, f"prescription {rx} was stopped in version {found.version}")
        await self._may_dispense(request, found)
        return await self._hand_over(found, id_)

    async def _may_dispense(self, request: Request, found: Prescription | None) -> None:
        patient = found.patient if found is not None else ""
        await self.disclosure.permit_change(request, patient, "MedicationDispense")

    async def _hand_over(self, found: Prescription, id_: str) -> Response:
        at = time.time()
        resource = fhir.medication_dispense(id_, found.rx, found.version, found.dose, found.patient, at)
        facts = {"prescription": found.rx, "version": found.version}
        event = self.outbox.event("dispense.completed", id_, at, facts)
        body = _encode(resource)
        sealed, told = self.sealer.seal(body), self.outbox.row(event)
        row = await self.store.row(
            statements.HAND_OVER, id_, found.rx, found.version, found.dose, at, sealed, told
        )
        if row is None:  # handed over before: the same answer again
            row = await self.store.row("SELECT version, body FROM dispense WHERE id = $1", id_)
            if row is None:
                raise fhir.Refused(409, f"dispense {id_} is being reset")
            return Response(
                self.sealer.open(row["body"]), 200, {"x-version": str(row["version"])}, fhir.MEDIA_TYPE
            )
        self.outbox.committed(event)
        return Response(body, 201, {"x-version": str(found.version)}, fhir.MEDIA_TYPE)

    async def _hold(self, rx: str, id_: str, why: str) -> Response:
        """Nothing is handed over; a person comes back with the same identifier."""
        at = time.time()
        event = self.outbox.event("dispense.held", id_, at, {"prescription": rx})
        await self.store.row(statements.HOLD, id_, rx, at, self.outbox.row(event))
        self.outbox.committed(event)
        held = {"identifier": id_, "prescription": rx, "status": "held", "reason": why}
        return fhir.reply(202, held, {"x-label": "held"})

    async def _copy(self, rx: str) -> Prescription | None:
        row = await self.store.row("SELECT * FROM projection WHERE rx = $1", rx)
        if row is None:
            return None
        return Prescription(rx, row["version"], row["dose"], row["status"], row["patient"], row["as_of"])

    async def _read(self, rx: str) -> Prescription | None:
        """The current version from where it is kept. Raises Unreachable."""
        at = time.time()
        reply = await self._ask("GET", f"/fhir/MedicationRequest/{rx}", None)
        if reply is None:
            return None
        patient = fhir.reference_id(reply.get("subject"), "Patient") or ""
        version = int(reply["meta"]["versionId"])
        return Prescription(rx, version, fhir.dose_of(reply), str(reply["status"]), patient, at)

    async def _reserve(self, rx: str, id_: str) -> Prescription | None:
        """As `_read`, and the hand-over is tied to that version there. Raises Unreachable."""
        at = time.time()
        reply = await self._ask("POST", f"/fhir/MedicationRequest/{rx}/$reserve", {"dispense": id_})
        if reply is None:
            return None
        return Prescription(
            rx, int(reply["version"]), str(reply["dose"]), str(reply["status"]), str(reply["patient"]), at
        )

    async def _ask(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        try:
            reply = await self.links["prescriptions"].call(method, path, body)
        except CallFailed as error:
            raise Unreachable(str(error)) from error
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise Unreachable(f"prescriptions answered {reply.status}")
        found: dict[str, Any] = reply.json()
        return found

    async def on_events(self, events: list[Event]) -> None:
        """Bring the copy up to date and put a tray out for each new prescription. Without the fence whatever
        arrives last stays; without dedupe what comes twice gets two trays."""
        fresh = f"WITH {FRESH}" if self.switches.dedupe else "WITH fresh AS (SELECT unnest($1::text[]) AS id)"
        chosen = winners(events, self.switches.version_fence)
        created = [event for event in events if event.type == "rx.created"]
        await self.store.run(
            fresh + statements.PROJECT,
            [event.id for event in events],
            [event.id for event in chosen],
            [event.key for event in chosen],
            [event.version or 0 for event in chosen],
            [str(event.body["dose"]) for event in chosen],
            [str(event.body["status"]) for event in chosen],
            [str(event.body.get("patient", "")) for event in chosen],
            [event.at for event in chosen],
            self.switches.version_fence,
            [event.id for event in created],
            [event.key for event in created],
            [event.at for event in created],
        )

    async def records(self) -> list[dict[str, Any]]:
        handed = await self.store.rows(
            "SELECT rx AS key, id, at, version, status, dose AS value FROM dispense ORDER BY at"
        )
        copies = await self.store.rows(
            "SELECT rx AS key, rx AS id, as_of AS at, version, status, dose AS value FROM projection"
        )
        trays = await self.store.rows("SELECT rx AS key, number::text AS id, at FROM tray ORDER BY number")
        return [
            *records_of("dispense", handed),
            *records_of("projection", copies),
            *records_of("tray", trays),
        ]
