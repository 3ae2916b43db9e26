"""Notify: a critical result reaches a person, in time and once; and sessions of telemedicine."""

from __future__ import annotations

import time
from typing import Annotated, Any, ClassVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.bus import Event
from reference_system.common.operations import plain
from reference_system.common.patterns.consumer import FRESH
from reference_system.common.service import Reset, Service, record
from reference_system.services.notify import statements
from reference_system.services.notify.direct import Direct
from reference_system.services.notify.ground import NOTIFICATION, Notice, Switches
from reference_system.services.notify.queue import Queue
from reference_system.services.notify.sessions import Sessions

CRITICAL = ("AA", "HH", "LL")  # what HL7 calls an interpretation that cannot wait

Key = Annotated[str, msgspec.Meta(pattern=f"^{fhir.KEY.pattern}$")]


class Opening(msgspec.Struct, frozen=True):
    """A session that is asked for; the identifier is the same in every repeat."""

    identifier: Key
    patient: Key


class Joining(msgspec.Struct, frozen=True):
    """Who joins a session, as a reference."""

    participant: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]+/[A-Za-z0-9.-]{1,64}$")]


_opening = msgspec.json.Decoder(Opening).decode
_joining = msgspec.json.Decoder(Joining).decode


class Notify(Service):
    """Notices of critical results to the people on call, and sessions."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches
    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = ("notice", "delivery", "session")
    CONSUMES: ClassVar[tuple[str, ...]] = ("lab.>",)

    def build(self) -> None:
        super().build()
        self._direct = Direct(self, self.spawn)
        self._queue = Queue(self, self.spawn)
        self._sessions = Sessions(self)

    def routes(self) -> list[Route]:
        return [
            Route("/fhir/Communication", self.notify, methods=["POST"]),
            Route("/fhir/Communication/{id}", self.read, methods=["GET"]),
            Route("/fhir/Communication/{id}/$acknowledge", self.acknowledge, methods=["POST"]),
            Route("/sessions", self.open_session, methods=["POST"]),
            Route("/sessions/{id}", self.read_session, methods=["GET"]),
            Route("/sessions/{id}/participants", self.join_session, methods=["POST"]),
            Route("/sessions/{id}/end", self.end_session, methods=["POST"]),
        ]

    @property
    def _notices(self) -> Direct | Queue:
        return self._queue if self.switches.delivery == "queue" else self._direct

    # critical results

    async def notify(self, request: Request) -> Response:
        resource = fhir.parse(await request.body(), "Communication")
        id_ = fhir.identifier(resource, NOTIFICATION)
        patient = fhir.reference_id(resource.get("subject"), "Patient")
        report = fhir.reference_id((resource.get("about") or [{}])[0], "DiagnosticReport")
        if not id_ or not patient or not report:
            raise fhir.Refused(400, "expected an identifier, a subject and the DiagnosticReport it is about")
        notice = Notice(id_, patient, report, time.time())
        new = await self._notices.accept(notice)
        if not new:
            return await self._shown(id_, 200)
        return fhir.reply(201, notice.communication())

    async def on_events(self, events: list[Event]) -> None:
        """A critical result is a notice, whatever else the lab tells."""
        critical = [event for event in events if _interpretation(event) in CRITICAL]
        notices = [_notice_of(event) for event in critical]
        ids = [event.id for event in critical]
        if not critical:
            return
        if self.switches.delivery == "queue":
            await self._queue.keep(ids, notices, dedupe=self.switches.dedupe)
            return
        fresh = set(ids)
        if self.switches.dedupe:
            rows = await self.store.rows(f"WITH {FRESH} SELECT id FROM fresh", ids)
            fresh = {row["id"] for row in rows}
        for id_, notice in zip(ids, notices, strict=True):
            if id_ in fresh:
                self._direct.send(notice)

    async def read(self, request: Request) -> Response:
        return await self._shown(request.path_params["id"], 200)

    async def acknowledge(self, request: Request) -> Response:
        """A person says that the result was seen. Who was not told cannot have seen it: 409."""
        id_ = request.path_params["id"]
        status = await self._notices.acknowledge(id_)
        if status == "queued":
            raise fhir.Refused(409, f"nobody was told of {id_} yet")
        return await self._shown(id_, 200)

    async def _shown(self, id_: str, status: int) -> Response:
        notice = await self._notices.find(id_)
        if notice is None:
            raise fhir.Refused(404, f"Communication/{id_} is not known")
        return fhir.reply(status, notice.communication())

    # sessions

    async def open_session(self, request: Request) -> Response:
        expected = '{"identifier": "ses-…", "patient": "pat-…"}'
        opening = fhir.read(_opening, await request.body(), expected)
        new = await self._sessions.open(opening.identifier, opening.patient)
        session = await self._sessions.find(opening.identifier)
        return plain(session.body(), 201 if new else 200)

    async def join_session(self, request: Request) -> Response:
        joining = fhir.read(_joining, await request.body(), '{"participant": "Practitioner/prac-…"}')
        session = await self._sessions.join(request.path_params["id"], joining.participant)
        return plain(session.body())

    async def end_session(self, request: Request) -> Response:
        return plain((await self._sessions.end(request.path_params["id"])).body())

    async def read_session(self, request: Request) -> Response:
        return plain((await self._sessions.find(request.path_params["id"])).body())

    # runs

    async def opened(self) -> None:
        """After a crash: pages on record that nobody confirmed go on."""
        if self.switches.delivery == "queue":
            await self._queue.resume()
        self.loop(self._queue.work())

    async def cleared(self, reset: Reset) -> None:
        for part in (self._direct, self._queue, self._sessions):
            part.clear()

    async def backlog(self) -> dict[str, int]:
        return await self._queue.backlog()

    async def records(self) -> list[dict[str, Any]]:
        notices, sessions = await self._notices.all(), await self._sessions.all()
        return [
            *(
                record("notice", key=one.id, id=one.id, at=one.at, status=one.status, value=one.report)
                for one in notices
            ),
            *(record("session", key=one.id, id=one.id, at=one.at, status=one.status) for one in sessions),
        ]


def _interpretation(event: Event) -> str | None:
    """What a result says of itself, in either version of the lab's contract."""
    found = event.body.get("interpretation", event.body.get("flag"))
    return found if isinstance(found, str) else None


def _notice_of(event: Event) -> Notice:
    """A correction of a result is a result of its own only if it has a key of its own."""
    report = str(event.body.get("report") or event.key)
    patient = str(event.body.get("patient", ""))
    return Notice(f"ntf-{report.removeprefix('lab-')}", patient, report, event.at)
