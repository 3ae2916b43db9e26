"""T27: one door to two instances of the registry, which keep the same patients.

In turn: each instance gets every second request, whether it can answer or not. By readiness: each is asked
time and again whether it can answer, which is more than that it lives. What cannot gets nothing, and a
request that fails all the same is asked of the other.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.disclosure import PERSON_HEADER, REQUEST_ID, USER
from reference_system.common.http_client import HttpClient, Reply
from reference_system.common.link import RETRYABLE, CallFailed
from reference_system.common.operations import READY_TO_ANSWER
from reference_system.common.service import Service

INSTANCES = ("registry", "registry_b")
LOOK_EVERY_S = 0.2
LOOK_WAIT_S = 0.3
HANDED_ON = (USER, REQUEST_ID)


class Switches(msgspec.Struct, frozen=True):
    """The switch that it obeys, besides those of every service."""

    routing: Literal["in_turn", "readiness"]


class Router(Service):
    """Hands a person's request on, and keeps nothing."""

    SWITCHES: ClassVar[type[msgspec.Struct]] = Switches
    switches: Switches

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._turn = 0
        self._unready: set[str] = set()

    def routes(self) -> list[Route]:
        return [Route("/fhir/Patient/{id}", self.patient, methods=["GET"])]

    async def patient(self, request: Request) -> Response:
        handed = {name: value for name in HANDED_ON if (value := request.headers.get(name))}
        path = f"/fhir/Patient/{request.path_params['id']}"
        reply, failure = None, None
        for instance in self._order():
            try:
                reply = await self.links[instance].call("GET", path, headers={PERSON_HEADER: "yes", **handed})
            except CallFailed as error:
                failure = error
            else:
                if reply.status not in RETRYABLE:
                    break
            self._unready.add(instance)  # until it is looked at again
        if reply is None:
            raise failure or fhir.Refused(503, "no instance is ready", fhir.NOT_DONE)
        return Response(reply.body, reply.status, _etag(reply), fhir.MEDIA_TYPE)

    def _order(self) -> list[str]:
        """Whom to ask, one after the other."""
        self._turn += 1
        order = [INSTANCES[(self._turn + n) % len(INSTANCES)] for n in range(len(INSTANCES))]
        if self.switches.routing == "in_turn":
            return order[:1]
        return [name for name in order if name not in self._unready] or order

    async def opened(self) -> None:
        for instance in INSTANCES:
            self.loop(self._look_at(instance))

    async def _look_at(self, instance: str) -> None:
        """Asked over the instance's own link, beside the calls: what a link's breaker holds back says nothing
        of the instance."""
        address = self.config.links[instance]
        client = HttpClient(address.host, address.port, address.token)
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                if self.switches.routing == "readiness" and self.calls(instance):
                    client.speak(self.links[instance].speech)
                    self._seen(instance, await _can_answer(client))
        finally:
            client.close()

    def _seen(self, instance: str, ready: bool) -> None:
        if ready == (instance not in self._unready):
            return
        self.metrics.count("ready_again" if ready else "found_unready")
        (self._unready.discard if ready else self._unready.add)(instance)


async def _can_answer(client: HttpClient) -> bool:
    try:
        async with asyncio.timeout(LOOK_WAIT_S):
            return (await client.request("GET", READY_TO_ANSWER, {}, None)).status == 200
    except OSError:  # a timeout is one
        return False


def _etag(reply: Reply) -> dict[str, str]:
    return {"etag": reply.headers["etag"]} if "etag" in reply.headers else {}
