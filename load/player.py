"""Plays a script open loop: every operation at its intended start, in a greenlet of its own, whatever the
system does."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import gevent
from gevent.event import AsyncResult
from gevent.pool import Group

from experiment.plan import PlannedOperation
from experiment.recorder import Recorder
from experiment.rows import Operation, Row
from load.account import Account, SecondReport
from load.exchange import Answer, Endpoint, NoAnswer
from load.journeys import (
    Answered,
    Known,
    Request,
    Unreadable,
    intended_value,
    read_answer,
    request_for,
    trace_id,
)
from load.outcomes import judge, seen_status
from load.script import Script

FLUSH_S = 0.2
START_GRACE_S = 0.5  # an operation whose turn comes this late after the load's end is not sent
NOTHING = Answered()


class Player:
    """One worker's share of the load. `report` is called each second, `ended` after each operation.

    An operation that needs another waits until that one has ended; its latency counts from its intended
    start all the same. A user gives up `patience` after sending, and nobody waits longer than that after the
    load's end.
    """

    def __init__(
        self,
        script: Script,
        worker: int,
        report: Callable[[SecondReport], None],
        ended: Callable[[Operation], None],
    ) -> None:
        self._script = script
        self._report = report
        self._ended = ended
        self._endpoints = {part.endpoint: Endpoint(part.endpoint) for part in script.head.parts.values()}
        self._account = Account(worker, [op.at_s for op in script.operations])
        self._settled = {op.needs: AsyncResult() for op in script.operations if op.needs is not None}
        self._versions: dict[str, int] = {}
        self._flying = Group()
        self._rows: list[Row] = []
        self._recorder = Recorder(Path(script.head.history))
        self._zero = 0.0
        self._playing: gevent.Greenlet | None = None

    def play(self, zero: float) -> None:
        """From `zero` (CLOCK_MONOTONIC, seconds) until every operation has ended, or `stop`. Raises OSError
        when the history cannot be written."""
        self._zero = zero
        self._playing = gevent.getcurrent()
        clerks = [gevent.spawn(self._flush_often), gevent.spawn(self._report_often)]
        for clerk in clerks:
            clerk.link_exception(self._fail)
        try:
            for op in self._script.operations:
                delay = zero + op.at_s - monotonic()
                if delay > 0:
                    gevent.sleep(delay)
                self._flying.spawn(self._operate, op).link_exception(self._fail)
            self._flying.join()
        except gevent.GreenletExit:
            pass
        finally:
            self._playing = None
            self._flying.kill(timeout=1.0)
            gevent.killall(clerks, timeout=1.0)
            self._close()

    def stop(self) -> None:
        """End at once: nothing more is sent, and what is in flight is recorded as interrupted."""
        if self._playing is not None:
            gevent.kill(self._playing)

    def _fail(self, clerk: gevent.Greenlet) -> None:
        if self._playing is not None:
            gevent.kill(self._playing, clerk.exception)

    def _close(self) -> None:
        try:
            self._close_second(self._now())
            self._flush()
        finally:
            self._recorder.close()
            for endpoint in self._endpoints.values():
                endpoint.close()

    def _now(self) -> float:
        return monotonic() - self._zero

    def _flush_often(self) -> None:
        while True:
            gevent.sleep(FLUSH_S)
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._recorder.write_all(rows)

    def _report_often(self) -> None:
        while True:
            second = math.floor(max(0.0, self._now())) + 1.0
            gevent.sleep(max(0.0, second - self._now()))
            self._close_second(second)

    def _close_second(self, t: float) -> None:
        self._account.in_flight = len(self._flying)
        report = self._account.close_second(t)
        self._rows.append(report.to_row())
        self._report(report)

    def _operate(self, op: PlannedOperation) -> None:
        """One operation from its turn to its record."""
        part = self._script.head.parts[op.journey]
        last = self._script.head.load_end + part.patience
        request: Request | None = None
        sent: float | None = None
        status: int | None = None
        answered = NOTHING
        try:
            seen = self._await_turn(op, last)
            if seen is None:
                known = Known(self._versions.get(op.key), self._script.head.day)
                request = request_for(op, known, self._script.head.run_id)
                sent = self._now()
                patience = min(part.patience, last - sent)
                answer = self._endpoints[part.endpoint].exchange(request, patience)
                seen, status, answered = _read(op, request, answer)
        except gevent.GreenletExit:
            seen = "withdrawn" if sent is None else "interrupted"
        judgement = judge(seen, part.writes)
        acknowledged = judgement.outcome == "acknowledged"
        if acknowledged and answered.version is not None and part.writes:
            self._versions[op.key] = max(answered.version, self._versions.get(op.key, 0))
        if op.id in self._settled:
            self._settled[op.id].set(acknowledged)
        row = Operation(
            id=op.id,
            journey=op.journey,
            key=op.key,
            intended=op.at_s,
            sent=sent,
            ended=self._now(),
            outcome=judgement.outcome,
            status=status,
            error=judgement.error,
            trace=None if request is None else trace_id(request.headers["traceparent"]),
            version=answered.version,
            expected_version=None if request is None else request.expected_version,
            value=answered.value if answered.value is not None else intended_value(op),
            label=answered.label,
            age=answered.age,
        )
        self._rows.append(row)
        self._account.ended(row)
        self._ended(row)

    def _await_turn(self, op: PlannedOperation, last: float) -> str | None:
        """None when the operation may be sent, else the reason why it is not."""
        now = self._now()
        if now > self._script.head.load_end + START_GRACE_S:
            return "generator_late"
        if op.needs is None or self._settled[op.needs].ready():
            self._account.started(now - op.at_s)
        else:
            self._account.started(None)
        if op.needs is None:
            return None
        try:
            succeeded = self._settled[op.needs].get(timeout=max(0.0, last - now))
        except gevent.Timeout:
            succeeded = False
        return None if succeeded else "prerequisite"


def _read(
    op: PlannedOperation, request: Request, answer: Answer | NoAnswer
) -> tuple[str, int | None, Answered]:
    """The row of the outcomes table, the status and what the answer said."""
    if isinstance(answer, NoAnswer):
        return answer.seen, None, NOTHING
    seen = seen_status(answer.status, answer.headers, request.keyed)
    if not 200 <= answer.status < 300:
        return seen, answer.status, Answered(label=answer.headers.get("x-label"))
    try:
        return seen, answer.status, read_answer(op, answer.status, answer.headers, answer.body)
    except Unreadable:
        return "unreadable", answer.status, NOTHING
