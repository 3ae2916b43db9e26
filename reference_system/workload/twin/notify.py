"""Notify with its queue of pages and its sessions, and the channels by which people are paged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from simulation.modelling import (
    CallFailed,
    Event,
    Held,
    ModelError,
    Record,
    Refused,
    Reply,
    Request,
    Work,
)

from .base import ReferenceNode

CHANNELS = {"on-call": ("sms", "pager"), "second": ("pager", "sms")}
KINDS = {"on-call": "page", "second": "escalation"}
STATES = {"queued": "preparation", "told": "in-progress", "acknowledged": "completed"}
CRITICAL = ("AA", "HH", "LL")
OPEN = ("due", "sending")
DELIVERED, REFUSED, UNKNOWN = "delivered", "refused", "unknown"

Rows = dict[str, dict[str, Any]]


class Notify(ReferenceNode):
    """Pages stay on a durable queue until a channel has them, or are sent once and forgotten."""

    SWITCHES = ("delivery", "escalation", "idempotency_key", "session_store")
    CONSUMES = ("lab.>",)

    def opened(self) -> None:
        self.outbox = self.publisher()
        self._memory: dict[str, Rows] = {"notice": {}, "session": {}}
        for key, row in self.tables.get("delivery", {}).items():
            if row["status"] in OPEN:
                self._start(key, row["due"])

    @property
    def _queued(self) -> bool:
        return bool(self.switches["delivery"] == "queue")

    def _rows(self, kind: str, durable: bool) -> Rows:
        rows: Rows = (self.tables if durable else self._memory).setdefault(kind, {})
        return rows

    @property
    def _notices(self) -> Rows:
        return self._rows("notice", self._queued)

    @property
    def _sessions(self) -> Rows:
        return self._rows("session", self.switches["session_store"] == "database")

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        key = request.body["key"]
        if request.what == "notify_critical":
            return (yield from self._notify(key, deadline))
        if request.what == "acknowledge_critical":
            return (yield from self._acknowledge(key, deadline))
        return (yield from self._session(request.what, key, deadline))

    # notices

    def _notify(self, key: str, deadline: float | None) -> Work[Reply]:
        row = self._new(key, self.wall)
        if not self._queued:
            if key not in self._notices:
                self._send(row)
        elif (yield from self.store(lambda: self._keep([row]), deadline)):
            self._start_all(row)
        return Reply(201, {"value": STATES[self._notices[key]["status"]]})

    @staticmethod
    def _new(key: str, at: float) -> dict[str, Any]:
        return {"id": key, "report": f"lab-{key.partition('-')[2]}", "at": at, "status": "queued"}

    def _send(self, row: dict[str, Any]) -> None:
        """Fire and forget."""
        self.spawn(self._page_once(self._notices.setdefault(row["id"], row)))

    def _page_once(self, row: dict[str, Any]) -> Work[None]:
        outcome = yield from self._page(CHANNELS["on-call"][0], row["id"], "on-call")
        if outcome is DELIVERED and row["status"] == "queued":
            row["status"] = "told"

    def _keep(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """To be called inside a statement: the notices that are new, with what is to be done about them."""
        new = [row for row in rows if row["id"] not in self._notices]
        for row in new:
            self._notices[row["id"]] = row
            for person, due in self._due(row):
                facts = {"status": "due", "channel": None, "due": due}
                self.tables.setdefault("delivery", {})[f"{row['id']}/{person}"] = facts
        return new

    def _due(self, row: dict[str, Any]) -> Iterator[tuple[str, float]]:
        after = self.switches["escalation"]
        yield "on-call", row["at"]
        if after is not None:
            yield "second", row["at"] + after / self.scale

    def _start_all(self, row: dict[str, Any]) -> None:
        for person, due in self._due(row):
            self._start(f"{row['id']}/{person}", due)

    def _start(self, key: str, due: float) -> None:
        self.spawn(self._deliver(key, due))

    def _deliver(self, key: str, due: float) -> Work[None]:
        """Page one person until a channel has it, or it was acknowledged."""
        notice, _, person = key.rpartition("/")
        if due > self.wall:
            yield from self.pause_for(due - self.wall + next(self.rng) * self.constant("page_look_s"))
        while True:
            try:
                if (yield from self._attempt(notice, person, key)):
                    return
            except ModelError:
                pass  # the store was away: the page stays on the queue
            yield from self.pause_for(self.constant("page_again_s"))

    def _attempt(self, notice: str, person: str, key: str) -> Work[bool]:
        """Whether nothing is left to do."""
        row = self.tables["delivery"][key]
        if not (yield from self.look(lambda: row["status"] in OPEN)):
            return True
        uncertain = row["status"] == "sending"
        for channel in (row["channel"],) if uncertain else CHANNELS[person]:
            if not (yield from self.store(self._begin(row, channel))):
                return True
            outcome = yield from self._page(channel, notice, person)
            if outcome is DELIVERED:
                yield from self.store(lambda: self._told(row, notice))
                return True
            if outcome is UNKNOWN:
                return False
        if not uncertain:
            yield from self.store(lambda: row.update(status="due") if row["status"] == "sending" else None)
        return False

    @staticmethod
    def _begin(row: dict[str, Any], channel: str) -> Callable[[], bool]:
        def statement() -> bool:
            if row["status"] not in OPEN:
                return False
            row.update(status="sending", channel=channel)
            return True

        return statement

    def _told(self, row: dict[str, Any], notice: str) -> None:
        row["status"] = "delivered"
        if self._notices[notice]["status"] == "queued":
            self._notices[notice]["status"] = "told"

    def _page(self, channel: str, notice: str, person: str) -> Work[str]:
        keyed = bool(self.switches["idempotency_key"])
        body, key = {"about": notice, "kind": KINDS[person]}, f"{notice}/{person}" if keyed else None
        try:
            reply = yield from self.call(channel, "page", body, key=key, idempotent=keyed)
        except CallFailed as failed:
            return UNKNOWN if failed.sent else REFUSED
        if reply.status in (200, 201):
            return DELIVERED
        return REFUSED if reply.refused or 400 <= reply.status < 500 else UNKNOWN

    def _acknowledge(self, key: str, deadline: float | None) -> Work[Reply]:
        def statement() -> str | None:
            row = self._notices.get(key)
            if row is None or row["status"] == "queued":
                return None if row is None else "queued"
            row["status"] = "acknowledged"
            for person in CHANNELS if self._queued else ():
                delivery = self.tables["delivery"].get(f"{key}/{person}")
                if delivery is not None and delivery["status"] in OPEN:
                    delivery["status"] = "cancelled"
            return "acknowledged"

        status = (yield from self.store(statement, deadline)) if self._queued else statement()
        if status != "acknowledged":
            raise Refused(404 if status is None else 409)
        return Reply(200, {"value": STATES[status]})

    def on_events(self, events: list[Event]) -> Work[None]:
        """A critical result is a notice."""
        critical = [one for one in events if one.body.get("interpretation", one.body.get("flag")) in CRITICAL]
        if not critical:
            return

        def rows(of: list[Event]) -> list[dict[str, Any]]:
            return [self._new(f"ntf-{event.key.partition('-')[2]}", event.at) for event in of]

        if not self._queued:
            fresh = (
                (yield from self.store(lambda: self.fresh(critical))) if self.switches["dedupe"] else critical
            )
            for row in rows(fresh):
                self._send(row)
            return
        for row in (yield from self.store(lambda: self._keep(rows(self.fresh(critical))))):
            self._start_all(row)

    # sessions

    def _session(self, what: str, key: str, deadline: float | None) -> Work[Reply]:
        def statement() -> tuple[int, str]:
            rows = self._sessions
            if what == "open_session":
                new = key not in rows
                row = rows.setdefault(key, {"status": "open", "at": self.wall})
                return 201 if new else 200, row["status"]
            if key not in rows:
                return 404, "absent"
            row = rows[key]
            if what == "end_session":
                row["status"] = "ended"
            return 409 if what == "join_session" and row["status"] != "open" else 200, row["status"]

        durable = self.switches["session_store"] == "database"
        status, state = (yield from self.store(statement, deadline)) if durable else statement()
        if status >= 400:
            raise Refused(status)
        return Reply(status, {"value": state})

    # what is left

    def records(self) -> Iterator[Record]:
        for id_, row in self._notices.items():
            facts = {"status": row["status"], "value": row["report"]}
            yield Record("notify", "notice", id_, id_, row["at"], **facts)
        for id_, row in self._sessions.items():
            yield Record("notify", "session", id_, id_, row["at"], status=row["status"])

    def held(self, key: str) -> Held | None:
        if key.startswith("ntf-"):
            row = self._notices.get(key)
            return Held(STATES[row["status"]] if row is not None else "absent")
        if key.startswith("ses-"):
            row = self._sessions.get(key)
            return Held(row["status"] if row is not None else "absent")
        return None

    def backlog(self) -> dict[str, int]:
        if not self._queued:
            return {"notices_untold": 0, "pages_due": 0}
        untold = sum(row["status"] == "queued" for row in self._notices.values())
        open_ = [row for row in self.tables.get("delivery", {}).values() if row["status"] in OPEN]
        return {"notices_untold": untold, "pages_due": sum(row["due"] <= self.wall for row in open_)}


class Sms(ReferenceNode):
    """Delivers a message with a key once, any other as often as it is sent."""

    def opened(self) -> None:
        self._work = self.site.processing(self.name, self.generation)

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        yield from self.pause_for(next(self._work))
        return Reply(201 if (yield from self.store(lambda: self._keep_message(request), deadline)) else 200)

    def _keep_message(self, request: Request) -> bool:
        rows = self.tables.setdefault("message", [])
        if request.key is not None and any(row["value"] == request.key for row in rows):
            return False
        facts = {"status": "delivered", "value": request.key, "caller": request.caller}
        told = {"kind": request.body["kind"], "key": request.body["about"], "t": self.wall}
        rows.append({**told, "id": self.site.new_id("msg"), **facts})
        return True

    def records(self) -> Iterator[Record]:
        for row in self.tables.get("message", []):
            yield Record(self.name, **row)
