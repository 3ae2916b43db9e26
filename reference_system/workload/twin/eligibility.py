"""Eligibility: asks the payer, keeps answers and open inquiries, repeats on schedule, never invents cover."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

from simulation.modelling import CallFailed, Event, Record, Refused, Reply, Request, Task, Work, within

from .base import ReferenceNode, unfinished


class Eligibility(ReferenceNode):
    SWITCHES = ("eligibility", "inline_wait", "retry_schedule", "eligibility_cache", "unknown_cover")

    CONSUMES = ("checkin.accepted",)

    def opened(self) -> None:
        self.outbox = self.publisher()
        self._active: dict[str, Task] = {}
        self._cache: dict[str, tuple[str, float]] = {}
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._running = 0
        for key, row in self._inquiries.items():
            if row["status"] == "pending":
                self._put(key, row["due"])
            else:
                self._cache[row["coverage"]] = (row["status"], self.clock._now)
        self.spawn(self._keep_schedule())

    @property
    def _inquiries(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.tables.setdefault("inquiry", {})
        return rows

    @property
    def _spacing(self) -> float:
        return float(self.switches["retry_schedule"]) / self.scale

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        inquiry = request.body
        if request.what == "decision":
            yield from self.look(lambda: None, deadline)
            return Reply(200)
        if self.switches["eligibility"] == "sync":
            reply = yield from self._inquire(inquiry, deadline)
            if reply.status != 200:
                raise Refused(502)
            state = yield from self._decided(inquiry, reply)
            return Reply(200, {"status": state})
        left = self.remaining(deadline)
        wait = self.switches["inline_wait"] if left is None else min(left, self.switches["inline_wait"])
        task = self._start(inquiry)
        yield within(self.clock, task, max(0.0, wait - self.constant("answer_margin_s")))
        if task.done and task.error is None and task.value is not None:
            return Reply(200, {"status": task.value})
        return (yield from self._late(inquiry, deadline))

    def _late(self, inquiry: dict[str, Any], deadline: float | None) -> Work[Reply]:
        """No answer in time: a labelled one from the cache, else pending; the inquiry is on record."""
        due, held = self.clock._now + self._spacing, self._cached(inquiry["coverage"])
        if held is None and self.switches["unknown_cover"] == "presumed":
            guess = yield from self._decided(inquiry, Reply(200, {"status": "in-force"}))
            return Reply(200, {"status": guess})

        def statement() -> None:
            row = self._open(inquiry, due)
            if held is not None:
                row["cached"], row["cached_at"] = held, self.clock._now

        yield from self.store(statement, deadline)
        if inquiry["key"] not in self._due and not self._asking(inquiry["key"]):
            self._put(inquiry["key"], due)
        if held is None:
            return Reply(202, {"status": "pending"})
        return Reply(200, {"status": held}, "cached")

    def _cached(self, coverage: str) -> str | None:
        age = self.switches["eligibility_cache"]
        held = self._cache.get(coverage)
        if age is None or held is None or self.clock._now - held[1] > age / self.scale:
            return None
        return held[0]

    @property
    def _pending(self) -> list[dict[str, Any]]:
        """The inquiries that are or were open."""
        rows: list[dict[str, Any]] = self.tables.setdefault("inquiry pending", [])
        return rows

    def _open(self, inquiry: dict[str, Any], due: float) -> dict[str, Any]:
        row = self._inquiries.get(inquiry["key"])
        if row is None:
            row = {**inquiry, "status": "pending", "due": due, "at": self.wall}
            self._inquiries[inquiry["key"]] = row
            self._pending.append(row)
        row["due"] = max(row["due"], due)
        return row

    def _asking(self, key: str) -> bool:
        return key in self._active and not self._active[key].done

    def _start(self, inquiry: dict[str, Any]) -> Task:
        """The running inquiry of this encounter, or a new one."""
        key = inquiry["key"]
        task = self._active.get(key)
        if task is None or task.done:
            task = self._active[key] = self.spawn(self._attempt(inquiry))
        return task

    def _inquire(self, inquiry: dict[str, Any], deadline: float | None) -> Work[Reply]:
        """One inquiry; the insurers' own limit runs on the experiment's clock."""
        limit = self.links["payer"].timeout
        scaled = limit / self.scale if limit is not None else None
        return (yield from self.call("payer", "inquire", dict(inquiry), deadline, limit=scaled))

    def _attempt(self, inquiry: dict[str, Any]) -> Work[str | None]:
        sent = True
        try:
            reply = yield from self._inquire(inquiry, None)
            if reply.status == 200:
                return (yield from self._decided(inquiry, reply))
        except CallFailed as failed:
            sent = failed.sent
        due = self.clock._now + (self._spacing if sent else self.constant("unsent_again_s"))
        self._put(inquiry["key"], due)
        if sent:
            try:
                yield from self.store(lambda: self._open(inquiry, due))
            except CallFailed:
                return None  # kept in memory only
        return None

    def _decided(self, inquiry: dict[str, Any], reply: Reply) -> Work[str]:
        state = str(reply.body["status"])
        key, now = inquiry["key"], self.clock._now
        event = self.outbox.event("eligibility.resolved", key, {"status": state})

        def statement() -> bool:
            row = self._inquiries.setdefault(key, {**inquiry, "status": "pending", "due": now})
            if row["status"] != "pending":
                return False
            row.update(status=state, source="payer", at=now)
            self.outbox.write(event)
            return True

        if (yield from self.store(statement)):
            self.outbox.committed(event)
        self._cache[inquiry["coverage"]] = (state, now)
        self._due.pop(key, None)
        return state

    # the schedule of repeats

    def _put(self, key: str, due: float) -> None:
        self._due[key] = due
        heappush(self._heap, (due, key))

    def _next_due(self) -> str | None:
        while self._heap and self._heap[0][0] <= self.clock._now:
            due, key = heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                return key
        return None

    def _keep_schedule(self) -> Work[None]:
        while True:
            while (
                self._running < self.constant("schedule_at_once")
                and self._payer_reachable()
                and (key := self._next_due()) is not None
            ):
                self._running += 1
                self.spawn(self._repeat(key))
            yield from self.pause_for(self.constant("schedule_look_s"))

    def _payer_reachable(self) -> bool:
        breaker = self.links["payer"].breaker
        return breaker is None or breaker.lets_through(self.clock._now)

    def _repeat(self, key: str) -> Work[None]:
        try:
            row = yield from self.look(lambda: self._inquiries.get(key))
            if row is not None and row["status"] == "pending" and not self._asking(key):
                yield self._start({name: row[name] for name in ("key", "coverage", "patient")})
        except CallFailed:
            self._put(key, self.clock._now + 1.0)
        self._running -= 1

    def on_events(self, events: list[Event]) -> Work[None]:
        """Every accepted check-in gets its inquiry, even when the request for it never came."""
        if self.switches["eligibility"] == "sync":
            return
        due = self.clock._now + self.constant("event_grace_s")

        def statement() -> list[str]:
            noted = []
            for event in self.fresh(events):
                if event.key not in self._inquiries:
                    self._open({"key": event.key, **event.body}, due)
                    noted.append(event.key)
            return noted

        noted = yield from self.store(statement)
        for key in noted:
            if key not in self._due and not self._asking(key):
                self._put(key, due)

    def records(self) -> Iterator[Record]:
        for key, row in self._inquiries.items():
            if row["status"] != "pending":
                decided = (row["coverage"], key, row["at"])
                facts = {"status": row["status"], "value": "payer"}
                yield Record("eligibility", "coverage_decision", *decided, **facts)
            if "cached" in row:
                cached = (row["coverage"], key, row["cached_at"])
                facts = {"status": row["cached"], "value": "cache"}
                yield Record("eligibility", "coverage_decision", *cached, **facts)

    def backlog(self) -> dict[str, int]:
        return {"inquiries_open": unfinished(self._pending, "status", "pending")}
