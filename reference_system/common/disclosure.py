"""What a service does before it shows a person patient data, or changes them for one: ask who may, and record
that it was done.

Services prove who they are by a key for each of their links, and act for their own callers; persons, and
whoever proves nothing, are asked for a role. In a run that has neither authz nor audit, nothing is asked and
nothing recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from starlette.requests import Request

from reference_system.common import fhir
from reference_system.common.config import Config
from reference_system.common.link import Link
from reference_system.common.logs import Log
from reference_system.common.metrics import Metrics
from reference_system.common.patterns import audit_trail, outbox
from reference_system.common.patterns.authorisation import GRANT_LASTS_S, WRITE, Answer, Ask, Authoriser
from reference_system.common.store import Store
from reference_system.common.switches import Disclosing

USER, REASON, REQUEST_ID = "x-user", "x-break-glass", "x-request-id"
PERSON_HEADER = "x-for-person"  # of a service that hands a person's own request on
DDL = f"""
    CREATE TABLE IF NOT EXISTS break_glass (
        id text PRIMARY KEY, who text NOT NULL, patient text NOT NULL, reason text NOT NULL,
        at float8 NOT NULL, until float8 NOT NULL);
    {audit_trail.DDL}
"""
TABLES = ("break_glass", "audit_spool")
_GRANT = f"""
    WITH g AS (
        INSERT INTO break_glass (id, who, patient, reason, at, until) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO NOTHING RETURNING id
    ), o AS (
        {outbox.insert(7, "g")}
    ) SELECT id FROM g
"""
UNKNOWN_USER = "the header x-user names nobody; expected the user who asks for this"
_DONE = {"POST": "C", "PUT": "U"}  # what AuditEvent.action says of a method; else "R", read


def services_only(config: Config, request: Request) -> None:
    """What no person is shown, whatever the role. Raises Refused, where services can prove who they are."""
    if config.callers and not config.is_service(request.headers.get("x-caller", "")):
        raise fhir.Refused(403, "this is told to services only", fhir.NOT_DONE)


class Disclosure:
    """One per service that shows patient data."""

    def __init__(
        self,
        name: str,
        is_service: Callable[[str], bool],
        links: Mapping[str, Link],
        key: str,
        store: Store,
        outbox_: outbox.Outbox,
        log: Log,
        metrics: Metrics,
        spawn: audit_trail.Spawn,
    ) -> None:
        """`links` are those of the service called `name`, `is_service` knows its callers, `key` is what authz
        signs its decisions by."""
        self._name = name
        self._is_service = is_service
        self._store = store
        self._outbox = outbox_
        self._metrics = metrics
        self._asks = self._records = False
        self._clock_scale = 1.0
        self._authoriser = Authoriser(links["authz"], key) if "authz" in links else None
        self._trail = None
        if "audit" in links:
            self._trail = audit_trail.AuditTrail(links["audit"], store, log, metrics, spawn)

    def apply(self, switches: Disclosing, clock_scale: float, calls: Callable[[str], bool]) -> None:
        """Follow a design in a run; `calls` says which callees take part in it."""
        self._switches = switches
        self._clock_scale = clock_scale
        self._asks, self._records = calls("authz"), calls("audit")
        if self._authoriser is not None:
            self._authoriser.apply(switches.decision_cache, clock_scale)
        if self._trail is not None:
            self._trail.apply(switches.audit == "spool", switches.spool_limit)

    def clear(self) -> None:
        if self._trail is not None:
            self._trail.clear()

    async def opened(self) -> None:
        """Grants and the spool as the process before this one left them. Raises StoreUnavailable."""
        if self._trail is not None:
            await self._trail.opened()
        if self._authoriser is not None:
            for row in await self._store.rows("SELECT * FROM break_glass"):
                ask = Ask(row["id"], row["who"], row["patient"], "", row["reason"])
                self._authoriser.remember(ask, row["until"])

    async def run(self, of_run: audit_trail.OfRun) -> None:
        """What goes on behind: sends the spool to audit."""
        if self._trail is not None:
            await self._trail.ship(of_run)

    def backlog(self) -> dict[str, int]:
        return {"audit_unsent": self._trail.waiting} if self._trail is not None else {}

    async def records(self) -> list[dict[str, Any]]:
        """Grants that were given here, while authz could not be asked."""
        if self._authoriser is None:
            return []
        return [
            *await self._store.rows(
                "SELECT id AS key, id, at, 'granted' AS status, who AS value FROM break_glass ORDER BY at"
            )
        ]

    async def permit(self, request: Request, patient: str, action: str) -> None:
        """Returns when this person may be shown `action` (a resource type) of the patient, and that is on
        record as the design wants it. Raises Refused, and StoreUnavailable.
        """
        if self._is_for_person(request):
            await self._permit(request, patient, action)

    def guards_change(self, request: Request) -> bool:
        """Whether this request is asked for a role before it changes anything."""
        return self._switches.write_roles and self._is_for_person(request)

    async def permit_change(self, request: Request, patient: str, action: str) -> None:
        """As `permit`, of a change of `action`. A design without roles on writes lets everybody."""
        if self.guards_change(request):
            await self._permit(request, patient, f"{action}{WRITE}")

    def _is_for_person(self, request: Request) -> bool:
        """Whether a person asks, in a run in which somebody is told of that."""
        is_service = self._is_service(request.headers.get("x-caller", ""))
        return (self._asks or self._records) and (not is_service or PERSON_HEADER in request.headers)

    async def _permit(self, request: Request, patient: str, action: str) -> None:
        ask = Ask(
            request.headers.get(REQUEST_ID) or uuid4().hex,
            request.headers.get(USER, ""),
            patient,
            action,
            request.headers.get(REASON, ""),
        )
        answer, why = await self._answer(ask) if self._asks else (Answer.PERMIT, "")
        if self._records:
            assert self._trail is not None
            await self._trail.record(_Line(self._name, ask, answer, _DONE.get(request.method, "R")))
        if answer is Answer.DENY:
            raise fhir.Refused(403, f"not permitted: {why}")
        if answer is Answer.UNKNOWN:
            raise fhir.Refused(503, f"not decided: {why}; a person may break the glass", fhir.NOT_DONE)

    async def _answer(self, ask: Ask) -> tuple[Answer, str]:
        assert self._authoriser is not None
        switches = self._switches
        open_ = switches.authorisation == "fail_open"
        if not ask.user:
            return Answer.DENY, UNKNOWN_USER
        if ask.reason:
            answer, why = await self._authoriser.break_glass(ask)
            if answer is Answer.UNKNOWN and switches.local_break_glass:
                await self._grant(ask)
                return Answer.PERMIT, "break-glass grant"
        else:
            answer, why = await self._authoriser.decide(ask)
        if answer is Answer.UNKNOWN and open_:
            self._metrics.count("shown_without_decision")
            return Answer.PERMIT, "nobody was there to ask"
        return answer, why

    async def _grant(self, ask: Ask) -> None:
        """A grant of this service's own: on record with the event that brings it to authz for review."""
        assert self._authoriser is not None
        at = time.time()
        until = at + GRANT_LASTS_S / self._clock_scale
        facts = {"user": ask.user, "patient": ask.patient, "reason": ask.reason, "until": until}
        event = self._outbox.event("breakglass.granted", ask.id, at, facts)
        row = self._outbox.row(event)
        await self._store.row(_GRANT, ask.id, ask.user, ask.patient, ask.reason, at, until, row)
        self._outbox.committed(event)
        self._authoriser.remember(ask, until)


class _Line:
    """One access as an AuditEvent, once it has its number."""

    def __init__(self, source: str, ask: Ask, answer: Answer, done: str) -> None:
        """`done` is C, R or U: what was asked to be done."""
        self._source, self._ask, self._answer, self._done = source, ask, answer, done
        self._at = time.time()

    def __call__(self, number: int) -> fhir.Resource:
        ask = self._ask
        return fhir.audit_event(
            f"aud-{self._source}-{number}-{int(self._at * 1e6)}",
            self._source,
            number,
            self._at,
            user=ask.user,
            patient=ask.patient,
            action=ask.action.removesuffix(WRITE),
            done=self._done,
            request=ask.id,
            permitted=self._answer is Answer.PERMIT,
            emergency=bool(ask.reason),
        )
