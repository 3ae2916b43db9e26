"""The users of the twin: the plan's operations at their intended starts, in virtual time."""

from __future__ import annotations

from experiment.answers import Answered
from experiment.outcomes import seen_status
from experiment.playing import Exchange, Heard, Prepared, Turn
from experiment.playing import Users as Playing
from experiment.requests import Known, PlannedOperation
from experiment.rows import Operation
from experiment.traces import trace_of, traceparent
from simulation.engine.failures import Cause
from simulation.engine.tasks import Future, Task, Work, sleep, within
from simulation.model.messages import CallEnd, CallFailed, Request
from simulation.model.spans import Context
from simulation.model.world import World

# What the client of a live run would have seen instead of an answer.
SEEN = {Cause.RESET: "reset", Cause.DISCONNECTED: "closed", Cause.REFUSED: "refused"}


class Users:
    """Plays a plan's operations against a world and collects their rows. What a user does with an operation
    stands in experiment/playing.py."""

    def __init__(self, world: World) -> None:
        self._world = world
        system, requests = world.plan.system, world.plan.requests
        self._keyed = {name for name, traits in requests.items() if traits.keyed}
        self._conditional = {name for name, traits in requests.items() if traits.conditional}
        self._playing = Playing(
            system.journeys, world.plan.load_end_s, lambda: world.clock.now, self._prepare
        )
        self._settled = {op.needs: Future() for op in world.plan.operations if op.needs is not None}
        self.rows: list[Operation] = []
        for op in world.plan.operations:
            world.clock.call_at(op.at_s, lambda op=op: Task(self._operate(op)))  # type: ignore[misc]  # op is bound at once

    def _prepare(self, op: PlannedOperation, known: Known) -> Prepared:
        """What a request carries: its key, its operation, the value to write, and the plan's arguments."""
        expected = known.version if op.journey in self._conditional else None
        own = {"key": op.key, "operation": op.id, "value": op.value, "expected": expected}
        trace = None
        if self._world.nodes[self._world.plan.system.journeys[op.journey].entry].tell is not None:
            trace = trace_of(traceparent(self._world.plan.run_id, op.id))
        return Prepared(Request(op.journey, {**op.arguments, **own}, "client"), expected, trace)

    def _operate(self, op: PlannedOperation) -> Work[None]:
        """One operation from its turn to its row, as a task."""
        work = self._playing.operate(op)
        try:
            step = next(work)
            while True:
                came = yield from self._turn(step) if isinstance(step, Turn) else self._exchange(step)
                step = work.send(came)
        except StopIteration as end:
            row: Operation = end.value
        if op.id in self._settled:
            self._settled[op.id].resolve(row.outcome == "acknowledged")
        self.rows.append(row)

    def _turn(self, step: Turn) -> Work[bool]:
        before = self._settled[step.needs]
        ended = yield within(self._world.clock, before, step.limit_s)
        return bool(ended and before.value)

    def _exchange(self, step: Exchange) -> Work[Heard]:
        world, op, request = self._world, step.op, step.prepared.request
        request.limit = step.patience_s
        end = CallEnd("users", request)
        trace = step.prepared.trace
        context = Context(trace, f"user-{op.id}") if trace is not None else None
        world.user_channel(world.plan.system.journeys[op.journey].entry).call(end, request, context)
        try:
            reply = yield end
        except CallFailed as failed:
            return Heard(SEEN.get(failed.failure.cause, "timeout"))
        work = world.site.work("users", op.journey)
        if work > 0.0:
            yield sleep(world.clock, work)
        world.site.took("users", op.journey, world.clock.now - op.at_s)
        seen = seen_status(
            reply.status, {"x-not-done": "1"} if reply.refused else {}, op.journey in self._keyed
        )
        if not 200 <= reply.status < 300:
            return Heard(seen, reply.status)
        said = Answered(reply.body.get("version"), reply.body.get("value"), reply.label, reply.age)
        return Heard(seen, reply.status, said)
