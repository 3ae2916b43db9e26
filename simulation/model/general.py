"""The model of a service whose system brings none: it makes the calls that its requests were seen to make.

Which calls those are is calibrated from a live run, or taken from the links that the system's journeys use.
It knows latency, failure and retries; it keeps nothing, so that of safety it can say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from experiment.topology import System
from simulation.engine.tasks import Work
from simulation.model.magnitudes import Call
from simulation.model.messages import CallFailed, Refused, Reply, Request
from simulation.model.nodes import Node

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")  # may be repeated, RFC 9110
METHODS = (*SAFE_METHODS, "POST", "PATCH")


class GeneralNode(Node):
    """Calls one after the other what its request calls; the first that fails makes it fail."""

    def serve(self, request: Request, deadline: float | None) -> Work[Reply]:
        site = self.site
        writes = bool(request.body.get("writes", True))
        if request.what in site.system.journeys and request.caller == "client":
            writes = site.system.journeys[request.what].writes
        for call in site.calls.get(f"{self.name}/{request.what}", ()):
            whole = int(call.count)
            times = whole + (call.count > whole and next(self.rng) < call.count - whole)
            for _ in range(times):
                yield from self._make(call, writes, deadline)
        return Reply(200)

    def _make(self, call: Call, writes: bool, deadline: float | None) -> Work[None]:
        role = self.site.system.services[call.callee].role
        if role == "store":
            yield from self.store(_nothing, deadline, "write" if writes else "look", call.callee)
        elif role == "bus":
            self.spawn(self._publish(call.callee))
        else:
            method = call.operation.split(" ")[0]
            idempotent = method in SAFE_METHODS if method in METHODS else not writes
            body = {"writes": writes}
            reply = yield from self.call(call.callee, call.operation, body, deadline, idempotent=idempotent)
            if reply.status >= 400:
                raise Refused(502 if reply.status >= 500 else reply.status)

    def _publish(self, bus: str) -> Work[None]:
        """Events are published behind the request, which does not wait for them."""
        try:
            yield from self.call(bus, "publish", {"events": []})
        except CallFailed:
            return


def _nothing() -> None:
    """A statement of which nothing is kept."""


def calls_of_uses(system: System) -> dict[str, tuple[Call, ...]]:
    """The calls of every operation, as far as the journeys' `uses` tell: from its entry on a request travels
    each of its journey's links once, in their order."""
    made: dict[str, tuple[Call, ...]] = {}
    for name, journey in system.journeys.items():
        left = list(journey.uses)
        for service, callees in _walked(journey.entry, left, {}).items():
            made[f"{service}/{name}"] = tuple(Call(callee, name) for callee in callees)
    return made


def _walked(service: str, left: list[str], found: dict[str, list[str]]) -> Mapping[str, list[str]]:
    """Callees by service, every link of `left` taken once; those that nothing on the way calls stay in it."""
    for link in list(_from(service, left)):
        if link in left:
            left.remove(link)
            callee = link.partition(" -> ")[2]
            found.setdefault(service, []).append(callee)
            _walked(callee, left, found)
    return found


def _from(service: str, links: list[str]) -> Iterator[str]:
    return (link for link in links if link.startswith(f"{service} -> "))
