"""Authz: roles, consents and break-glass grants. What it does not know it denies."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.bus import Event
from reference_system.common.patterns.authorisation import (
    GRANT_LASTS_S,
    PERMISSION_LASTS_S,
    Decision,
    signed,
)
from reference_system.common.service import Reset, Service, records_of
from reference_system.services.authz import policy, statements


class Question(msgspec.Struct, frozen=True):
    """Who wants to see or change what of whom."""

    user: str
    patient: str
    action: str


class Emergency(msgspec.Struct, frozen=True):
    """Who breaks the glass for whom, and why; the id is the same in every repeat."""

    id: str
    user: str
    patient: str
    reason: str
    action: str = ""  # what is done under the grant


class Engagement(msgspec.Struct, frozen=True):
    """The role that a person gets, and where."""

    role: str
    wards: list[str]


class Finding(msgspec.Struct, frozen=True):
    """What came of the review of a grant."""

    finding: str


_question = msgspec.json.Decoder(Question).decode
_emergency = msgspec.json.Decoder(Emergency).decode
_engagement = msgspec.json.Decoder(Engagement).decode
_finding = msgspec.json.Decoder(Finding).decode


class Authz(Service):
    """Decisions are signed by the token that lets its callers in; see `common.patterns.authorisation`."""

    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = statements.TABLES
    CONSUMES: ClassVar[tuple[str, ...]] = ("breakglass.>",)

    def routes(self) -> list[Route]:
        return [
            Route("/decide", self.decide, methods=["POST"]),
            Route("/breakglass", self.break_glass, methods=["POST"]),
            Route("/roles/{user}", self.engage, methods=["PUT"]),
            Route("/roles/{user}", self.dismiss, methods=["DELETE"]),
            Route("/reviews/{id}", self.review, methods=["POST"]),
        ]

    async def _known(self, user: str, patient: str) -> policy.Known:
        row = await self.store.row(statements.KNOWN, user, patient, time.time())
        assert row is not None  # left joins on one row
        barred = frozenset(row["barred"] or ())
        wards = frozenset(row["wards"] or ())
        return policy.Known(user, row["role"], wards, row["ward"], barred, row["granted"])

    async def decide(self, request: Request) -> Response:
        ask = fhir.read(_question, await request.body(), '{"user", "patient", "action"}')
        permit, reason = policy.may(await self._known(ask.user, ask.patient), ask.action)
        expires = time.time() + PERMISSION_LASTS_S / self.clock_scale
        decision = Decision(ask.user, ask.patient, ask.action, permit, reason, expires)
        return fhir.reply(200, signed(decision, self.config.token))

    async def break_glass(self, request: Request) -> Response:
        """A grant for a while, with the item that a person reviews. Whoever has a clinical role gets it."""
        ask = fhir.read(_emergency, await request.body(), '{"id", "user", "patient", "reason"}')
        known = await self._known(ask.user, ask.patient)
        if not ask.reason or not policy.may_break_glass(known.role, ask.action):
            reason = "no clinical role in force that may do this" if ask.reason else "no reason given"
            return fhir.reply(200, {"granted": False, "reason": reason})
        at = time.time()
        until = at + GRANT_LASTS_S / self.clock_scale
        await self._grant([(ask.id, ask.user, ask.patient, ask.reason, at, until, self.name)])
        return fhir.reply(200, {"granted": True, "until": until})

    async def _grant(self, grants: list[tuple[Any, ...]]) -> None:
        await self.store.run(statements.GRANT, *(list(column) for column in zip(*grants, strict=True)))

    async def on_events(self, events: list[Event]) -> None:
        """Grants that services gave while nobody could ask here: on record, and up for review."""
        await self._grant(
            [
                (
                    event.key,
                    str(event.body["user"]),
                    str(event.body["patient"]),
                    str(event.body["reason"]),
                    event.at,
                    float(event.body["until"]),
                    event.id.rpartition("-")[0],
                )
                for event in events
            ]
        )

    async def _administrator(self, request: Request) -> None:
        user = request.headers.get("x-user", "")
        if (await self._known(user, "")).role != policy.ADMINISTRATOR:
            raise fhir.Refused(403, f"{user or 'nobody'} is not an administrator")

    async def engage(self, request: Request) -> Response:
        wanted = fhir.read(_engagement, await request.body(), '{"role", "wards"}')
        if wanted.role not in policy.SEES:
            raise fhir.Refused(400, f"role {wanted.role!r}; expected one of {', '.join(policy.SEES)}")
        await self._administrator(request)
        user = request.path_params["user"]
        row = await self.store.row(statements.ENGAGE, user, wanted.role, wanted.wards, time.time())
        assert row is not None
        return fhir.reply(200, {"user": user, "role": wanted.role}, {"etag": fhir.etag(row["version"])})

    async def dismiss(self, request: Request) -> Response:
        """Permissions that callers keep run out by themselves."""
        await self._administrator(request)
        user = request.path_params["user"]
        row = await self.store.row(statements.DISMISS, user, time.time())
        if row is None:
            raise fhir.Refused(404, f"{user} is not known")
        return fhir.reply(200, {"user": user, "role": None}, {"etag": fhir.etag(row["version"])})

    async def review(self, request: Request) -> Response:
        """An auditor closes the review of a grant."""
        found = fhir.read(_finding, await request.body(), '{"finding": "justified"}').finding
        user, id_ = request.headers.get("x-user", ""), request.path_params["id"]
        if (await self._known(user, "")).role != "auditor":
            raise fhir.Refused(403, f"{user or 'nobody'} is not an auditor")
        row = await self.store.row("UPDATE review SET status = $2 WHERE id = $1 RETURNING id", id_, found)
        if row is None:
            raise fhir.Refused(404, f"no grant {id_}")
        return fhir.reply(200, {"id": id_, "status": found})

    async def cleared(self, reset: Reset) -> None:
        staff, care = reset.staff or [], reset.care or []
        await self.store.run(
            statements.STAFF,
            [person.id for person in staff],
            [person.role for person in staff],
            [" ".join(person.wards) for person in staff],
            time.time(),
        )
        await self.store.run(
            statements.CARE,
            [each.patient for each in care],
            [each.ward for each in care],
            [" ".join(each.barred) for each in care],
        )

    async def records(self) -> list[dict[str, Any]]:
        reviews = await self.store.rows(
            "SELECT r.id AS key, r.id, p.at, r.status, p.who AS value, p.source AS caller "
            "FROM review AS r JOIN permit AS p ON p.id = r.id ORDER BY p.at"
        )
        return records_of("review", reviews)
