"""Laboratory: orders, and reports with their observations. Each result is on record once; a correction wins.

What others see of it is a contract of two versions, `GET /results?patient=…&contract=v1|v2` and the events
`lab.result`, unless a design lets them read its tables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.operations import plain
from reference_system.common.patterns import idempotency
from reference_system.common.service import Reset, Service, records_of
from reference_system.services.lab import contract, statements
from reference_system.services.lab.migration import Migration
from reference_system.services.lab.report import Report, read_report
from reference_system.services.lab.statements import NEW, OLD

TRIES = 4  # of a write that meets another one of the same report, or columns that have just changed
COLUMNS_CHANGE_S = 0.01
MIGRATION, ONLY_NEW = "results_v2", "v2_only"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service."""

    if_match: bool
    result_contract: Literal["breaking", "expand_contract"]


class Lab(Service):
    """ServiceRequest, DiagnosticReport and Observation."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches
    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = ("service_request", "report", "report_version", "observation")
    CHANGES: ClassVar[tuple[str, ...]] = (MIGRATION, ONLY_NEW)
    DISCLOSES: ClassVar[bool] = True
    SEALS: ClassVar[bool] = True

    def build(self) -> None:
        super().build()
        self._migration = Migration(self.store)
        self._only_new = False  # the first version of the contract is not told any more

    def routes(self) -> list[Route]:
        return [
            Route("/fhir/ServiceRequest", self.order, methods=["POST"]),
            Route("/fhir/ServiceRequest/{id}", self.ordered, methods=["GET"]),
            Route("/fhir/DiagnosticReport", self.report, methods=["PUT"]),
            Route("/fhir/DiagnosticReport", self.search, methods=["GET"]),
            Route("/fhir/DiagnosticReport/{id}", self.read, methods=["GET"]),
            Route("/results", self.results, methods=["GET"]),
        ]

    # orders

    async def order(self, request: Request) -> Response:
        """A repeat with the same identifier finds the first one; another order under it is refused."""
        sent = await request.body()
        order = fhir.parse(sent, "ServiceRequest")
        id_, patient = fhir.identifier(order, fhir.LAB), fhir.reference_id(order.get("subject"), "Patient")
        if not id_ or not patient:
            raise fhir.Refused(400, "a ServiceRequest needs an identifier and a subject Patient/…")
        await self.disclosure.permit_change(request, patient, "ServiceRequest")
        print_, body = idempotency.fingerprint(sent), _encode({**order, "id": id_})
        new = await self.store.row(
            statements.ORDER, id_, patient, self.sealer.seal(body), time.time(), print_
        )
        if new is not None:
            return Response(body, 201, None, fhir.MEDIA_TYPE)
        row = await self.store.row("SELECT body, fingerprint FROM service_request WHERE id = $1", id_)
        if row is None or idempotency.judge(row["fingerprint"], print_) is idempotency.Repeat.MISMATCH:
            raise fhir.Refused(422, f"ServiceRequest/{id_} is known with another content")
        return Response(self.sealer.open(row["body"]), 200, None, fhir.MEDIA_TYPE)

    async def ordered(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        row = await self.store.row("SELECT body, patient FROM service_request WHERE id = $1", id_)
        if row is None:
            raise fhir.Refused(404, f"ServiceRequest/{id_} is not known")
        await self.disclosure.permit(request, row["patient"], "ServiceRequest")
        return Response(self.sealer.open(row["body"]), 200, None, fhir.MEDIA_TYPE)

    # reports

    async def report(self, request: Request) -> Response:
        """Conditional on the identifier and idempotent: a content that is known already changes nothing."""
        id_ = request.query_params.get("identifier", "").rpartition("|")[2]
        if not fhir.KEY.fullmatch(id_):
            raise fhir.Refused(400, "PUT /fhir/DiagnosticReport?identifier=…: found no identifier")
        sent = await request.body()
        report, print_ = read_report(sent, id_), idempotency.fingerprint(sent)
        await self.disclosure.permit_change(request, report.patient, "DiagnosticReport")
        for _ in range(TRIES):
            row = await self.store.row(statements.KNOWN, id_, print_)
            if row is not None and row["same"] is not None:
                return await self._current(id_, 200)
            if row is not None and row["status"] == "corrected" and report.status != "corrected":
                raise fhir.Refused(409, f"DiagnosticReport/{id_} was corrected; expected another correction")
            written = await self._publish(report, 0 if row is None else int(row["version"]), print_)
            if written is not None:
                return written
        raise fhir.Refused(503, f"DiagnosticReport/{id_} is being changed by others", fhir.NOT_DONE)

    async def _publish(self, report: Report, base: int, print_: str) -> Response | None:
        """Write the next version. None when another one came first, or the columns have just changed."""
        at, version, first = time.time(), base + 1, report.first
        facts = {"report": report.id, "version": version, "patient": report.patient, "status": report.status}
        facts |= {"at": at, "code": first.code, "value": first.value, "unit": first.unit}
        event = self.outbox.event(
            "lab.result", report.id, at, self._told({**facts, "interpretation": first.flag}), version
        )
        body = _encode(report.stored(version, at))
        observations = report.observations
        try:
            written = await self.store.row(
                statements.publish(self._migration.layout.writes),
                report.id,
                base,
                report.status,
                report.patient,
                self.sealer.seal(body),
                at,
                f"{first.value:g}",
                report.urgency,
                print_,
                self.outbox.row(event),
                [one.code for one in observations],
                [one.value for one in observations],
                [one.unit for one in observations],
                [one.flag for one in observations],
                self.switches.if_match,
            )
        except asyncpg.UndefinedColumnError:
            await asyncio.sleep(COLUMNS_CHANGE_S)
            return None
        if written is None:
            return None
        self.outbox.committed(event)
        return Response(body, 200 if base else 201, {"etag": fhir.etag(version)}, fhir.MEDIA_TYPE)

    def _told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the event about a result."""
        if self._only_new:
            return contract.second(row)
        if self._migration.layout.reads is OLD:
            return contract.first(row)
        return (
            contract.second(row) if self.switches.result_contract == "breaking" else contract.compatible(row)
        )

    async def read(self, request: Request) -> Response:
        return await self._current(request.path_params["id"], 200, request)

    async def _current(self, id_: str, status: int, reader: Request | None = None) -> Response:
        """The report as it stands; a `reader` is asked for the right to see it."""
        row = await self.store.row("SELECT version, body, patient FROM report WHERE id = $1", id_)
        if row is None:
            raise fhir.Refused(404, f"DiagnosticReport/{id_} is not known")
        if reader is not None:
            await self.disclosure.permit(reader, row["patient"], "DiagnosticReport")
        return Response(
            self.sealer.open(row["body"]), status, {"etag": fhir.etag(row["version"])}, fhir.MEDIA_TYPE
        )

    async def search(self, request: Request) -> Response:
        id_ = request.query_params.get("identifier", "").rpartition("|")[2]
        row = await self.store.row("SELECT body, patient FROM report WHERE id = $1", id_)
        if row is not None:
            await self.disclosure.permit(request, row["patient"], "DiagnosticReport")
        entries = [] if row is None else [{"resource": _decode(self.sealer.open(row["body"]))}]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return fhir.reply(200, {**bundle, **({"entry": entries} if entries else {})})

    async def results(self, request: Request) -> Response:
        """The results of a patient, or all, in the version of the contract that is asked for."""
        version, patient = request.query_params.get("contract", "v1"), request.query_params.get("patient")
        await self.disclosure.permit(request, patient or "", "DiagnosticReport")
        moved = self._migration.layout.reads is NEW
        served = {"v2" if moved else "v1"} if self.switches.result_contract == "breaking" else {"v1", "v2"}
        served -= {"v1"} if self._only_new else set()
        if version not in served:
            raise fhir.Refused(410, f"the contract {version} is not served; expected {' or '.join(served)}")
        told = contract.first if version == "v1" else contract.second
        return plain({"results": [told(row) for row in await self._rows(patient)]})

    async def _rows(self, patient: str | None) -> list[Mapping[str, Any]]:
        of, arguments = ("all", ()) if patient is None else ("patient", (patient,))
        for left in reversed(range(TRIES)):
            try:
                return list(
                    await self.store.rows(statements.results(self._migration.layout.reads, of), *arguments)
                )
            except asyncpg.UndefinedColumnError:
                if not left:
                    raise
                await asyncio.sleep(COLUMNS_CHANGE_S)
        return []

    # changes

    async def make_change(self, name: str, made: bool) -> None:
        """The new columns; and with `v2_only` nothing else than the second version of the contract."""
        in_place = self.switches.result_contract == "breaking"
        await self._migration.to(NEW if made else OLD, in_place=in_place)
        self._only_new = made and name == ONLY_NEW

    async def change_state(self, name: str) -> tuple[bool, bool]:
        old, new = await self._migration.look()
        return new, new and not old and self._only_new == (name == ONLY_NEW)

    # the system of record

    async def opened(self) -> None:
        await self._migration.opened()

    async def cleared(self, reset: Reset) -> None:
        self._only_new = False
        await self._migration.to(OLD, in_place=True)

    async def records(self) -> list[dict[str, Any]]:
        reports = await self.store.rows(
            "SELECT report AS key, report AS id, min(at) AS at, max(version) AS version, "
            "(array_agg(urgency ORDER BY version DESC))[1] AS status, "
            "(array_agg(value ORDER BY version DESC))[1] AS value FROM report_version GROUP BY report"
        )
        versions = await self.store.rows(
            "SELECT report AS key, report || '/' || version AS id, at, version, status, value "
            "FROM report_version ORDER BY at"
        )
        return [*records_of("report", reports), *records_of("report_version", versions)]
