"""Eligibility: is this patient's insurance in force? Asks the payer, keeps the answers, and never invents
cover."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir, tracing
from reference_system.common.bus import Event
from reference_system.common.disclosure import services_only
from reference_system.common.http_client import Reply
from reference_system.common.link import CallFailed
from reference_system.common.operations import plain
from reference_system.common.patterns import deadline
from reference_system.common.patterns.cache import AgedCache
from reference_system.common.patterns.consumer import FRESH
from reference_system.common.patterns.schedule import Schedule
from reference_system.common.service import Reset, Service, records_of
from reference_system.common.store import StoreUnavailable
from reference_system.services.eligibility import statements

ANSWER_MARGIN_S = 0.05  # kept back from the caller's deadline to say "pending" in time
LOOK_EVERY_S = 0.1  # for inquiries that are due
EVENT_GRACE_S = 2.0  # the request that follows the event has this long before the event's inquiry is made
UNSENT_AGAIN_S = (
    0.5  # an inquiry that certainly never left is tried again soon: the 90 s rule is about retransmission
)

_encode = msgspec.json.Encoder().encode


class Switches(msgspec.Struct, frozen=True):
    """The switches that it obeys, besides those of every service; durations in seconds."""

    dedupe: bool
    eligibility: Literal["sync", "async"]
    eligibility_cache: float | None
    inline_wait: float
    retry_schedule: float
    unknown_cover: Literal["presumed", "pending"]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The 270 of one encounter."""

    encounter: str
    coverage: str
    patient: str


class Answer(msgspec.Struct, frozen=True):
    """A 271. Any other state than these two is no answer: cover is never invented."""

    status: Literal["in-force", "not-covered"]
    receipt: str


class NoAnswer(Exception):
    """The payer said something that is no 271."""


_decode_answer = msgspec.json.Decoder(Answer).decode


def read_answer(body: bytes) -> Answer:
    """Raises NoAnswer with what was found."""
    try:
        return _decode_answer(body)
    except ValueError as error:
        raise NoAnswer(f"the payer's answer is no 271: {error}") from error


class Eligibility(Service):
    """Inquiries (X12 270/271 in JSON) to the payer, with their schedule of repeats and a labelled cache."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches
    DDL: ClassVar[str] = statements.DDL
    TABLES: ClassVar[tuple[str, ...]] = ("inquiry", "coverage")
    CONSUMES: ClassVar[tuple[str, ...]] = ("checkin.>",)

    _cache: AgedCache[str] = AgedCache(None)

    def routes(self) -> list[Route]:
        return [
            Route("/fhir/CoverageEligibilityRequest", self.ask, methods=["POST"]),
            Route("/fhir/Coverage/{id}", self.read, methods=["GET"]),
            Route("/decisions", self.decision, methods=["GET"]),
        ]

    def build(self) -> None:
        super().build()
        self._active: dict[str, asyncio.Task[str | None]] = {}
        self._schedule = Schedule(self._repeat, lambda: self.links["payer"].lets_through)

    async def ask(self, request: Request) -> Response:
        services_only(self.config, request)
        resource = fhir.parse(await request.body(), "CoverageEligibilityRequest")
        encounter = fhir.identifier(resource, fhir.ENCOUNTER)
        patient = fhir.reference_id(resource.get("patient"), "Patient")
        insurance = (resource.get("insurance") or [{}])[0]
        coverage = fhir.reference_id(insurance.get("coverage"), "Coverage")
        if not encounter or not patient or not coverage:
            raise fhir.Refused(400, "expected an identifier, a patient and an insurance with its Coverage")
        inquiry = Inquiry(encounter, coverage, patient)
        if self.switches.eligibility == "sync":
            return self._reply(inquiry, await self._ask_at_once(inquiry))
        status = await self._within_deadline(inquiry)
        if status is not None:
            return self._reply(inquiry, status)
        return await self._late(inquiry)

    async def decision(self, request: Request) -> Response:
        """The last inquiry about a patient's insurance, `GET /decisions?patient=…`; null without one."""
        services_only(self.config, request)
        row = await self.store.row(
            "SELECT coverage, status, at FROM inquiry WHERE patient = $1 ORDER BY at DESC LIMIT 1",
            request.query_params.get("patient", ""),
        )
        return plain({"decision": None if row is None else dict(row)})

    def _reply(self, inquiry: Inquiry, status: str, label: str | None = None) -> Response:
        body = fhir.eligibility_response(
            inquiry.encounter, inquiry.coverage, inquiry.patient, status, time.time()
        )
        return fhir.reply(202 if status == "pending" else 200, body, {"x-label": label} if label else None)

    async def _ask_at_once(self, inquiry: Inquiry) -> str:
        """Synchronous design: the caller waits for the payer; a failure of the payer is a failure here."""
        reply = await self._inquire(inquiry)
        if reply.status != 200:
            raise fhir.Refused(502, f"payer answered {reply.status}")
        try:
            return await self._decided(inquiry, read_answer(reply.body))
        except NoAnswer as error:
            raise fhir.Refused(502, str(error)) from error

    async def _within_deadline(self, inquiry: Inquiry) -> str | None:
        """The answer if it comes while the caller can still use it; the inquiry goes on behind."""
        left = deadline.remaining()
        wait = self.switches.inline_wait if left is None else min(left, self.switches.inline_wait)
        task = self._start(inquiry)
        await asyncio.wait({task}, timeout=max(0.0, wait - ANSWER_MARGIN_S))
        if not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    async def _late(self, inquiry: Inquiry) -> Response:
        """No answer in time: a labelled one from the cache, else pending, or, as it must not be, a guess.
        Whatever is said, the inquiry is on record."""
        at, held = time.time(), self._cache.get(inquiry.coverage)
        if held is None and self.switches.unknown_cover == "presumed":
            return self._reply(inquiry, await self._decided(inquiry, Answer("in-force", "")))
        due = at + self._spacing
        if held is None:
            await self.store.run(
                statements.KEEP, inquiry.encounter, inquiry.coverage, inquiry.patient, 0, due, at
            )
            self._keep_on(inquiry.encounter, due)
            return self._reply(inquiry, "pending")
        await self.store.run(
            statements.ANSWERED_FROM_CACHE,
            inquiry.encounter,
            inquiry.coverage,
            inquiry.patient,
            due,
            at,
            held[0],
        )
        self._keep_on(inquiry.encounter, due)
        return self._reply(inquiry, held[0], "cached")

    def _keep_on(self, encounter: str, due: float) -> None:
        """What is on record without an answer is on the schedule, or is being asked and comes back to it."""
        if encounter not in self._active:
            self._schedule.ensure(encounter, due)

    @property
    def _spacing(self) -> float:
        """Seconds between two transmissions of one inquiry (CAQH CORE: 90 s), on the experiment's clock."""
        return self.switches.retry_schedule / self.clock_scale

    def _start(self, inquiry: Inquiry) -> asyncio.Task[str | None]:
        """The running inquiry for this encounter, or a new one."""
        task = self._active.get(inquiry.encounter)
        if task is None:
            task = self.spawn(self._attempt(inquiry), tracing.current.get())
            self._active[inquiry.encounter] = task
            task.add_done_callback(lambda task: self._ended(inquiry.encounter, task))
        return task

    def _ended(self, encounter: str, task: asyncio.Task[str | None]) -> None:
        """However an attempt ended: without a decision the inquiry is due again."""
        if self._active.get(encounter) is not task:
            return  # another run has begun meanwhile
        del self._active[encounter]
        if not task.cancelled() and task.result() is None:
            self._keep_on(encounter, time.time() + self._spacing)

    async def _inquire(self, inquiry: Inquiry) -> Reply:
        """One 270 through the link. The payer's 20 s limit runs on the experiment's clock."""
        link = self.links["payer"]
        limit = link.patterns.timeout
        body = {"encounter": inquiry.encounter, "coverage": inquiry.coverage, "patient": inquiry.patient}
        return await link.call(
            "POST", "/x12/270", body, timeout=limit / self.clock_scale if limit is not None else None
        )

    async def _attempt(self, inquiry: Inquiry) -> str | None:
        """Ask once; keep the answer, or when to ask again."""
        sent, why = True, ""
        try:
            reply = await self._inquire(inquiry)
            if reply.status == 200:
                return await self._decided(inquiry, read_answer(reply.body))
            why = f"payer answered {reply.status}"
        except CallFailed as error:
            sent, why = error.sent, str(error)
        except (StoreUnavailable, NoAnswer) as error:
            why = str(error)
        self.log.seldom("inquiry open", why=why)
        now = time.time()
        due = now + (self._spacing if sent else UNSENT_AGAIN_S)
        self._schedule.put(inquiry.encounter, due)
        if not sent:
            return None  # on record by its request or its event
        try:
            await self.store.run(
                statements.KEEP, inquiry.encounter, inquiry.coverage, inquiry.patient, 1, due, now
            )
        except StoreUnavailable as error:
            self.log.seldom("inquiry kept in memory only", error=str(error))
        return None

    async def _decided(self, inquiry: Inquiry, answer: Answer) -> str:
        status, at = answer.status, time.time()
        event = self.outbox.event(
            "eligibility.resolved",
            inquiry.encounter,
            at,
            {"coverage": inquiry.coverage, "status": status, "patient": inquiry.patient},
        )
        first = await self.store.row(
            statements.DECIDE,
            inquiry.encounter,
            inquiry.coverage,
            inquiry.patient,
            status,
            answer.receipt,
            at,
            self.outbox.row(event),
        )
        if first is not None:
            self.outbox.committed(event)
        self._cache.put(inquiry.coverage, status)
        self._schedule.drop(inquiry.encounter)
        return status

    async def _repeat(self, encounter: str) -> None:
        """An inquiry is due: ask again, unless it was decided meanwhile or is being asked."""
        if encounter in self._active:
            return
        row = await self.store.row(
            "SELECT encounter, coverage, patient FROM inquiry WHERE encounter = $1 AND status = 'pending'",
            encounter,
        )
        if row is not None:
            await self._start(Inquiry(row["encounter"], row["coverage"], row["patient"]))

    async def on_events(self, events: list[Event]) -> None:
        """Every accepted check-in gets its inquiry, even when the request that should make it never came."""
        if self.switches.eligibility == "sync":
            return
        fresh = f"WITH {FRESH}" if self.switches.dedupe else "WITH fresh AS (SELECT unnest($1::text[]) AS id)"
        due = time.time() + EVENT_GRACE_S
        rows = await self.store.rows(
            fresh + statements.NOTE,
            [event.id for event in events],
            [event.key for event in events],
            [str(event.body["coverage"]) for event in events],
            [str(event.body["patient"]) for event in events],
            due,
            [event.at for event in events],
        )
        for row in rows:
            self._keep_on(row["encounter"], due)

    async def opened(self) -> None:
        """After a crash: open inquiries go back on the schedule, known answers into the cache."""
        self._remember_nothing()
        for row in await self.store.rows("SELECT encounter, due_at FROM inquiry WHERE status = 'pending'"):
            self._schedule.put(row["encounter"], float(row["due_at"]))
        for row in await self.store.rows(
            "SELECT coverage, status FROM inquiry WHERE status <> 'pending' ORDER BY at"
        ):
            self._cache.put(row["coverage"], row["status"])
        self.loop(self._keep_looking())

    async def _keep_looking(self) -> None:
        while True:
            await self.of_run(lambda: self._schedule.look(self.spawn))
            await asyncio.sleep(LOOK_EVERY_S)

    def _remember_nothing(self) -> None:
        age = self.switches.eligibility_cache
        self._cache = AgedCache(age / self.clock_scale if age is not None else None)
        self._schedule.clear()
        self._active.clear()

    async def cleared(self, reset: Reset) -> None:
        self._remember_nothing()
        coverages = reset.coverages or []
        await self.store.run(
            "INSERT INTO coverage SELECT * FROM unnest($1::text[], $2::bytea[])",
            [str(coverage["id"]) for coverage in coverages],
            [_encode(coverage) for coverage in coverages],
        )

    async def read(self, request: Request) -> Response:
        services_only(self.config, request)
        row = await self.store.row("SELECT body FROM coverage WHERE id = $1", request.path_params["id"])
        if row is None:
            raise fhir.Refused(404, f"Coverage/{request.path_params['id']} is not known")
        return Response(row["body"], 200, media_type=fhir.MEDIA_TYPE)

    async def backlog(self) -> dict[str, int]:
        row = await self.store.row("SELECT count(*) AS n FROM inquiry WHERE status = 'pending'")
        return {"inquiries_open": int(row["n"])}  # type: ignore[index]

    async def records(self) -> list[dict[str, Any]]:
        decided = await self.store.rows(
            "SELECT coverage AS key, encounter AS id, at, status, source AS value FROM inquiry "
            "WHERE status <> 'pending' "
            "UNION ALL SELECT coverage, encounter, cached_at, cached, 'cache' FROM inquiry "
            "WHERE cached IS NOT NULL"
        )
        return records_of("coverage_decision", decided)
