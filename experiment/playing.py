"""What a user does with one operation, from its turn to its row: live and in the twin alike.

`Users.operate` is a generator. It yields what it waits for, a Turn or an Exchange, and is sent the result:
the live player waits in a greenlet, the twin in virtual time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from experiment.answers import NOTHING, Answered
from experiment.outcomes import judge
from experiment.requests import Known, PlannedOperation
from experiment.rows import Operation
from experiment.workload import WorkloadFault

START_GRACE_S = 0.5  # an operation whose turn comes this late after the load's end is not sent


class Terms(Protocol):
    """Of a journey: how long its user waits, in seconds, and whether it changes anything."""

    @property
    def patience(self) -> float: ...
    @property
    def writes(self) -> bool: ...


class Turn(NamedTuple):
    """Wait until operation `needs` has ended, `limit_s` at most. Send back whether it succeeded."""

    needs: int
    limit_s: float


class Prepared(NamedTuple):
    """A request ready to be sent, with what the row says of it."""

    request: Any
    expected_version: int | None = None
    trace: str | None = None


class Heard(NamedTuple):
    """What came of an exchange: the `seen` of a row in the outcome table. `fault` says in one line what the
    workload's own code did wrong."""

    seen: str
    status: int | None = None
    answered: Answered = NOTHING
    fault: str = ""


class Exchange(NamedTuple):
    """Send `prepared` and wait `patience_s` at most. Send back what was heard."""

    op: PlannedOperation
    prepared: Prepared
    patience_s: float


class Stopped(Exception):
    """Thrown into `operate` when the load ends early."""


Waits = Generator[Turn | Exchange, Any, Operation]


class Users:
    """All users of one generator: what they know of the things they made.

    An operation that needs another waits until that one has ended; its latency counts from its intended
    start all the same. A user gives up `patience` after sending, and nobody waits longer than that after the
    load's end.
    """

    def __init__(
        self,
        terms: Mapping[str, Terms],
        load_end_s: float,
        now: Callable[[], float],
        prepare: Callable[[PlannedOperation, Known], Prepared],
        *,
        operations: Iterable[PlannedOperation] | None = None,
        day: str = "",
        started: Callable[[float | None], None] = lambda _lag: None,
        object_to: Callable[[str], None] = lambda _fault: None,
    ) -> None:
        """`operations` are all that will be played: what none of them needs any more is forgotten; without
        them everything is kept. `now` is seconds since the run's zero, `day` the run's. `started` is told how
        late each turn came (None: it had to wait for another operation), `object_to` what the workload's own
        code did wrong."""
        self._terms = terms
        self._load_end_s = load_end_s
        self._now = now
        self._prepare = prepare
        self._day = day
        self._started = started
        self._object_to = object_to
        self._versions: dict[str, int] = {}
        self._kept: dict[int, dict[str, Any]] = {}  # by visit
        self._succeeded: dict[int, bool] = {}
        self._bounded = operations is not None
        self._keys: Counter[str] = Counter()  # how many operations are still to come
        self._needs: Counter[int] = Counter()
        self._visits: Counter[int] = Counter()
        for op in operations or ():
            self._keys[op.key] += 1
            self._visits[op.visit] += 1
            if op.needs is not None:
                self._needs[op.needs] += 1

    def operate(self, op: PlannedOperation) -> Waits:
        """One operation at its intended start; returns its row. `Stopped` ends it where it stands."""
        terms = self._terms[op.journey]
        last = self._load_end_s + terms.patience
        prepared: Prepared | None = None
        sent: float | None = None
        try:
            refusal = yield from self._turn(op, last)
            if refusal is None:
                prepared = self._prepare(op, self._known(op))
                sent = self._now()
                heard: Heard = yield Exchange(op, prepared, min(terms.patience, last - sent))
            else:
                heard = Heard(refusal)
        except Stopped:
            heard = Heard("withdrawn" if sent is None else "interrupted")
        except WorkloadFault as fault:
            heard = Heard("workload", fault=fault.line)
        if heard.fault:
            self._object_to(heard.fault)
        judgement = judge(heard.seen, terms.writes)
        succeeded = judgement.outcome == "acknowledged"
        answered = heard.answered
        if succeeded and answered.version is not None and terms.writes:
            self._versions[op.key] = max(answered.version, self._versions.get(op.key, 0))
        if succeeded and answered.kept:
            self._kept[op.visit] = {**self._kept.get(op.visit, {}), **answered.kept}
        if op.id in self._needs or not self._bounded:
            self._succeeded[op.id] = succeeded
        if self._bounded:
            self._forget(op)
        return Operation(
            id=op.id,
            journey=op.journey,
            key=op.key,
            intended=op.at_s,
            sent=sent,
            ended=self._now(),
            outcome=judgement.outcome,
            status=heard.status,
            error=judgement.error,
            trace=None if prepared is None else prepared.trace,
            version=answered.version,
            expected_version=None if prepared is None else prepared.expected_version,
            value=answered.value if answered.value is not None else op.value,
            label=answered.label,
            age=answered.age,
        )

    def _known(self, op: PlannedOperation) -> Known:
        return Known(self._versions.get(op.key), self._day, self._kept.get(op.visit, {}))

    def _forget(self, op: PlannedOperation) -> None:
        """What only this operation and those before it had to know. A long load must not fill the memory."""
        self._keys[op.key] -= 1
        if not self._keys[op.key]:
            del self._keys[op.key]
            self._versions.pop(op.key, None)
        self._visits[op.visit] -= 1
        if not self._visits[op.visit]:
            del self._visits[op.visit]
            self._kept.pop(op.visit, None)
        if op.needs is not None:
            self._needs[op.needs] -= 1
            if not self._needs[op.needs]:
                del self._needs[op.needs]
                self._succeeded.pop(op.needs, None)

    def _turn(self, op: PlannedOperation, last: float) -> Generator[Turn, bool, str | None]:
        """None when the operation may be sent, else the reason why it is not."""
        now = self._now()
        if now > self._load_end_s + START_GRACE_S:
            return "generator_late"
        waits = op.needs is not None and op.needs not in self._succeeded
        self._started(None if waits else now - op.at_s)
        if op.needs is None:
            return None
        succeeded = (yield Turn(op.needs, max(0.0, last - now))) if waits else self._succeeded[op.needs]
        return None if succeeded else "prerequisite"
