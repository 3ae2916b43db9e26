"""The users of the twin: the plan's operations at their intended starts, and what each saw of the system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from experiment.plan import PlannedOperation
from experiment.rows import Operation, Outcome
from simulation.engine.failures import Cause
from simulation.engine.tasks import Future, Task, Work, sleep, within
from simulation.model.messages import CallEnd, CallFailed, Reply, Request
from simulation.model.world import World

KEYED = frozenset({"check_in", "pay"})
# What the client of a live run would have seen instead of an answer.
SEEN = {Cause.RESET: "reset", Cause.DISCONNECTED: "closed", Cause.REFUSED: "refused"}
START_GRACE_S = 0.5  # an operation whose turn comes this late after the load's end is not sent


class Judgement(Protocol):
    @property
    def outcome(self) -> Outcome: ...
    @property
    def error(self) -> str | None: ...


class Outcomes(Protocol):
    """The table from what a client saw to what is certain, shared with the live load."""

    def judge(self, seen: str, writes: bool) -> Judgement: ...
    def seen_status(self, status: int, headers: Mapping[str, str], keyed: bool) -> str: ...


class Users:
    """Plays a plan's operations against a world and collects their rows."""

    def __init__(self, world: World, outcomes: Outcomes) -> None:
        self._world = world
        self._outcomes = outcomes
        self._versions: dict[str, int] = {}
        self._settled = {op.needs: Future() for op in world.plan.operations if op.needs is not None}
        self.rows: list[Operation] = []
        for op in world.plan.operations:
            world.clock.call_at(op.at_s, lambda op=op: Task(self._operate(op)))  # type: ignore[misc]

    def _operate(self, op: PlannedOperation) -> Work[None]:
        world, plan = self._world, self._world.plan
        journey = plan.system.journeys[op.journey]
        last = plan.load_end_s + journey.patience
        sent: float | None = None
        reply = Reply(0)
        seen = yield from self._turn(op, last)
        expected = self._versions.get(op.key) if op.journey == "change_dose" else None
        if seen is None:
            sent = world.clock.now
            patience = min(journey.patience, last - sent)
            request = Request(op.journey, self._body(op, expected), "client", limit=patience)
            end = CallEnd("users", request)
            world.user_channel(journey.entry).call(end, request)
            try:
                reply = yield end
                work = world.site.work("users", op.journey)
                if work > 0.0:
                    yield sleep(world.clock, work)
                world.site.took("users", op.journey, world.clock.now - op.at_s)
                headers = {"x-not-done": "1"} if reply.refused else {}
                seen = self._outcomes.seen_status(reply.status, headers, op.journey in KEYED)
            except CallFailed as failed:
                seen = SEEN.get(failed.failure.cause, "timeout")
        judgement = self._outcomes.judge(seen, journey.writes)
        acknowledged = judgement.outcome == "acknowledged"
        version = reply.body.get("version") if acknowledged else None
        if acknowledged and version is not None and journey.writes:
            self._versions[op.key] = max(version, self._versions.get(op.key, 0))
        if op.id in self._settled:
            self._settled[op.id].resolve(acknowledged)
        value = reply.body.get("value") if acknowledged else None
        self.rows.append(
            Operation(
                id=op.id,
                journey=op.journey,
                key=op.key,
                intended=op.at_s,
                sent=sent,
                ended=world.clock.now,
                outcome=judgement.outcome,
                status=reply.status or None,
                error=judgement.error,
                version=version,
                expected_version=expected,
                value=value if value is not None else intended_value(op),
                label=reply.label if acknowledged else None,
                age=reply.age if acknowledged else None,
            )
        )

    def _turn(self, op: PlannedOperation, last: float) -> Work[str | None]:
        """None when the operation may be sent, else the reason why it is not."""
        clock = self._world.clock
        if clock.now > self._world.plan.load_end_s + START_GRACE_S:
            return "generator_late"
        if op.needs is None:
            return None
        before = self._settled[op.needs]
        ended = yield within(clock, before, last - clock.now)
        return None if ended and before.value else "prerequisite"

    @staticmethod
    def _body(op: PlannedOperation, expected: int | None) -> dict[str, Any]:
        """What a request carries: its key, its operation, the value to write, and the plan's arguments."""
        arguments = {"patient": op.patient, "coverage": op.coverage, "amount": op.amount}
        known = {"key": op.key, "operation": op.id, "value": intended_value(op), "expected": expected}
        return known | arguments


def intended_value(op: PlannedOperation) -> str | None:
    """The dose that an operation means to write, as the services word it."""
    return None if op.dose_mg is None else f"{op.dose_mg:g} mg"
