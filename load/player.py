"""Plays a script open loop: every operation at its intended start, in a greenlet of its own, whatever the
system does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Protocol

import gevent
from gevent.event import AsyncResult
from gevent.pool import Group

from experiment.outcomes import seen_status
from experiment.playing import Exchange, Heard, Prepared, Stopped, Turn, Users
from experiment.recorder import Recorder
from experiment.requests import Known, PlannedOperation
from experiment.rows import Note, Operation, Row, Sample
from experiment.traces import traced
from experiment.workload import Answered, Unreadable, WorkloadFault
from load.account import Account, SecondReport
from load.exchange import Endpoint, NoAnswer
from load.script import Script

FLUSH_S = 0.2
UNKEYED = "tasks of the locustfile have no business keys: of them only objectives are judged"


class TaskPlayer(Protocol):
    """Plays tasks of a locustfile: load/tasks.py, which only a process of the load can import."""

    def require(self, names: Iterator[str]) -> None: ...
    def play(self, name: str, base: str, token: str, patience_s: float, trace: str) -> Heard: ...
    def close(self) -> None: ...


class Player:
    """One worker's share of the load. `report` is called each second, `ended` after each operation. What a
    user does with an operation stands in experiment/playing.py."""

    def __init__(
        self,
        script: Script,
        worker: int,
        report: Callable[[SecondReport], None],
        ended: Callable[[Operation], None],
        tokens: Mapping[str, str] = MappingProxyType({}),
        tasks: Callable[[Path, Callable[[str, float], None]], TaskPlayer] | None = None,
    ) -> None:
        """`tokens`: base address of an endpoint to what it asks for. `tasks` makes the player of a locustfile
        that the script names. Raises ConfigError for tasks that it does not have."""
        self._script = script
        self._report = report
        self._ended = ended
        self._endpoints = {
            base: Endpoint(base, tokens.get(base, ""))
            for base in {part.endpoint for part in script.head.parts.values()}
        }
        self._workload = script.head.workload()
        self._account = Account(worker, [op.at_s for op in script.operations])
        self._users = Users(
            script.head.parts,
            script.head.load_end,
            self._now,
            self._prepare,
            operations=script.operations,
            day=script.head.day,
            started=self._account.started,
            object_to=self._object,
        )
        self._settled = {op.needs: AsyncResult() for op in script.operations if op.needs is not None}
        self._flying = Group()
        self._rows: list[Row] = []
        self._faults: set[str] = set()
        self._recorder = Recorder(Path(script.head.history))
        self._tokens = tokens
        self._tasks: TaskPlayer | None = None
        if script.head.locustfile and tasks is not None:
            self._tasks = tasks(Path(script.head.locustfile), self._sent_by_task)
            self._tasks.require(part.task for part in script.head.parts.values() if part.task)
            self._rows.append(Note(0.0, "info", UNKEYED))
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
            if self._tasks is not None:
                self._tasks.close()

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

    def _prepare(self, op: PlannedOperation, known: Known) -> Prepared:
        request, trace = traced(self._workload.request(op, known), self._script.head.run_id, op.id)
        return Prepared(request, request.expected_version, trace)

    def _sent_by_task(self, name: str, took_s: float) -> None:
        """Every request of a task has a row of its own beside that of the operation."""
        self._rows.append(Sample(self._now(), "locust", name, took_s))

    def _object(self, fault: str) -> None:
        """The same mistake of the workload's own code is noted once."""
        if fault not in self._faults:
            self._faults.add(fault)
            self._rows.append(Note(self._now(), "invalid", f"the workload failed: {fault}"))

    def _operate(self, op: PlannedOperation) -> None:
        """One operation from its turn to its record, in this greenlet."""
        work = self._users.operate(op)
        try:
            step = next(work)
            while True:
                try:
                    came = self._wait(step)
                except gevent.GreenletExit:
                    work.throw(Stopped())
                step = work.send(came)
        except StopIteration as end:
            self._keep(op, end.value)

    def _wait(self, step: Turn | Exchange) -> Heard | bool:
        if isinstance(step, Turn):
            try:
                succeeded: bool = self._settled[step.needs].get(timeout=step.limit_s)
            except gevent.Timeout:
                return False
            return succeeded
        return self._exchange(step)

    def _exchange(self, step: Exchange) -> Heard:
        """Send once and read what came."""
        op, request = step.op, step.prepared.request
        part = self._script.head.parts[op.journey]
        if part.task:
            assert self._tasks is not None
            token = self._tokens.get(part.endpoint, "")
            trace = request.headers["traceparent"]
            return self._tasks.play(part.task, part.endpoint, token, step.patience_s, trace)
        answer = self._endpoints[part.endpoint].exchange(request, step.patience_s)
        if isinstance(answer, NoAnswer):
            return Heard(answer.seen)
        status, headers = answer.status, answer.headers
        seen = seen_status(status, headers, request.keyed)
        if not 200 <= status < 300:
            return Heard(seen, status, Answered(label=headers.get("x-label")))
        try:
            return Heard(seen, status, self._workload.read(op, status, headers, answer.body))
        except Unreadable:
            return Heard("unreadable", status)
        except WorkloadFault as fault:
            return Heard("misread", status, fault=fault.line)

    def _keep(self, op: PlannedOperation, row: Operation) -> None:
        if op.id in self._settled:
            self._settled[op.id].set(row.outcome == "acknowledged")
        self._rows.append(row)
        self._account.ended(row)
        self._ended(row)
