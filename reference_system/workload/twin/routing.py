"""One door to two instances of the registry: in turn, or by what they say of themselves."""

from __future__ import annotations

from simulation.modelling import CallFailed, Refused, Reply, Request, Work

from .base import ReferenceNode

INSTANCES = ("registry", "registry_b")
SERVER_ERROR = 500


class Router(ReferenceNode):
    """Hands a person's request on, and keeps nothing."""

    SWITCHES = ("routing",)

    def opened(self) -> None:
        self._asked = 0
        self._unready: set[str] = set()
        if self.switches["routing"] == "readiness":
            for instance in INSTANCES:
                self.spawn(self._look_at(instance))

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        reply: Reply | None = None
        failure: CallFailed | None = None
        for instance in self._order():
            try:
                reply = yield from self.call(instance, "read", request.body, deadline)
            except CallFailed as error:
                failure = error
            else:
                if reply.status < SERVER_ERROR:
                    break
            self._unready.add(instance)  # until it is looked at again
        if reply is None:
            raise failure or Refused(503)
        return reply

    def _order(self) -> list[str]:
        self._asked += 1
        order = [INSTANCES[(self._asked + n) % len(INSTANCES)] for n in range(len(INSTANCES))]
        if self.switches["routing"] == "in_turn":
            return order[:1]
        return [name for name in order if name not in self._unready] or order

    def _look_at(self, instance: str) -> Work[None]:
        while True:
            yield from self.pause_for(self.constant("router_looks_s"))
            try:
                reply = yield from self.call(instance, "ready", {}, limit=self.constant("router_waits_s"))
                ready = reply.status < SERVER_ERROR
            except CallFailed:
                ready = False
            (self._unready.discard if ready else self._unready.add)(instance)
