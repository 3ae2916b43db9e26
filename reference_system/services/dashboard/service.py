"""Dashboard: what is known of a patient at one glance: results, medicines, insurance, person.

From a copy of its own that follows the others' events, or by asking four services (or their tables) at the
moment of the question.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.bus import Event
from reference_system.common.service import Reset, Service, record, records_of
from reference_system.services.dashboard import statements
from reference_system.services.dashboard.fan_out import FanOut, PartMissing
from reference_system.services.dashboard.projection import Projection
from reference_system.services.dashboard.reading import V1, V2

UPGRADE = "reads_v2"


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service."""

    result_contract: Literal["breaking", "expand_contract"]
    dashboard: Literal["fan_out", "projection"]
    dedupe: bool
    partial_answers: bool
    version_fence: bool


class Dashboard(Service):
    """One answer about one patient."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches
    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = ("result", "medication", "insurance", "person", "dead_letter")
    CONSUMES: ClassVar[tuple[str, ...]] = ("lab.>", "rx.>", "eligibility.>", "patient.>")
    CHANGES: ClassVar[tuple[str, ...]] = (UPGRADE,)
    DISCLOSES: ClassVar[bool] = True

    def build(self) -> None:
        super().build()
        self._projection = Projection(self)
        self._fan_out = FanOut(self, lambda: self.upgraded)

    def routes(self) -> list[Route]:
        return [Route("/dashboard/{patient}", self.view, methods=["GET"])]

    async def view(self, request: Request) -> Response:
        patient = request.path_params["patient"]
        if not fhir.KEY.fullmatch(patient):
            raise fhir.Refused(400, f"patient {patient!r}; expected the id of a Patient")
        await self.disclosure.permit(request, patient, "DiagnosticReport")
        if self.switches.dashboard == "projection":
            parts, headers = await self._projection.parts(patient)
        else:
            parts = await self._fan_out.parts(patient)
            missing = [name for name, part in parts.items() if "missing" in part]
            headers = {"x-label": "partial"} if missing else {}
        return fhir.reply(200, {"patient": patient, "parts": parts}, headers)

    async def on_events(self, events: list[Event]) -> None:
        """The copy follows the events; a dashboard that asks keeps none."""
        if self.switches.dashboard == "projection":
            await self._projection.take(events)

    # changes

    async def make_change(self, name: str, made: bool) -> None:
        """The release that understands the second version of the laboratory's contract."""
        await self._projection.understand((V1, V2) if made else (V1,))

    async def change_state(self, name: str) -> tuple[bool, bool]:
        return self.upgraded, self.upgraded and not self._projection.replaying

    @property
    def upgraded(self) -> bool:
        """Whether it is the release that understands the second version."""
        return V2 in self._projection.known

    # the system of record

    async def cleared(self, reset: Reset) -> None:
        self._projection.known = (V1,)
        ids = [str(patient["id"]) for patient in reset.patients or []]
        await self.store.run("INSERT INTO person SELECT unnest($1::text[]), 1, $2", ids, time.time())

    async def backlog(self) -> dict[str, int]:
        row = await self.store.row("SELECT count(*) AS n FROM dead_letter")
        return {"dead_letters": int(row["n"]) if row is not None else 0}

    async def records(self) -> list[dict[str, Any]]:
        """What it would show of each result now, and the dead letters."""
        projected = self.switches.dashboard == "projection"
        try:
            shown = await (self._projection if projected else self._fan_out).all_results()
        except PartMissing as error:
            raise fhir.Refused(503, str(error)) from error
        now = time.time()
        aside = await self.store.rows("SELECT report AS key, id, at, schema AS value FROM dead_letter")
        return [
            *(
                record("shown_result", key=r.report, id=r.report, at=now, version=r.version, status=r.status,
                       value=r.value)
                for r in shown
            ),
            *records_of("dead_letter", aside),
        ]  # fmt: skip
