"""Where a request enters: shedding, deadline, span, instrument behaviours, counters, and errors turned into
answers."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from reference_system.common import fhir, store, tracing
from reference_system.common.bus import BusUnavailable
from reference_system.common.link import CallFailed
from reference_system.common.patterns import deadline
from reference_system.common.patterns.shedding import RETRY_AFTER_S
from reference_system.common.store import StoreUnavailable

if TYPE_CHECKING:
    from reference_system.common.service import Service

HEALTH = "/health"  # says no more than that the process lives
TOKEN_HEADER = b"x-access-token"
PLAIN_REFUSED = "a service asks in plain text; expected TLS"
NO_TOKEN = "no right token in the header x-access-token; expected that of the service's configuration"
OPERATIONS = ("/health", "/ready", "/metrics", "/backlog", "/records", "/admin")


class Front:
    """The ASGI application of a service. Requests for operators go straight to their routes."""

    def __init__(self, service: Service, router: Router) -> None:
        self._service = service
        self._router = router
        self._token = service.config.token.encode()
        self._keys = {name.encode(): key.encode() for name, key in service.config.callers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._token and scope["path"] != HEALTH and not self._is_known(scope["headers"]):
            await fhir.outcome(401, NO_TOKEN, fhir.NOT_DONE)(scope, receive, send)
            return
        if scope["path"].startswith(OPERATIONS):
            store.unhurried.set(True)
            await self._answered(scope, receive, send)
            return
        service, caller, run, trace, deadline_ms = self._service, "", "", None, None
        for name, value in scope["headers"]:
            if name == b"x-caller":
                caller = value.decode("latin-1")
            elif name == b"x-run":
                run = value.decode("latin-1")
            elif name == b"traceparent":
                trace = value.decode("latin-1")
            elif name == b"x-deadline-ms":
                deadline_ms = value.decode("latin-1")
        if (refusal := self._refusal(caller, run, scope)) is not None:
            await refusal(scope, receive, send)
            return
        self._set_deadline(deadline_ms)
        span = service.tracer.start(f"{scope['method']} {self._route_name(scope['path'])}", "server", trace)
        tracing.current.set(span)
        metrics = service.metrics
        metrics.in_flight += 1
        ok = False
        try:
            with service.answering():
                if service.behaviours:
                    ok = await self._misbehaving(caller, scope, receive, send)
                else:
                    ok = await self._answered(scope, receive, send)
        except asyncio.CancelledError:
            if service.takes(""):
                raise  # the process stops
            await _hang_up(scope)
        finally:
            metrics.in_flight -= 1
            service.tracer.finish(span, ok)

    def _refusal(self, caller: str, run: str, scope: Scope) -> Response | None:
        """Why a request gets no further than the door; None where it is let in."""
        service, metrics = self._service, self._service.metrics
        if not service.takes(run):
            return fhir.outcome(410, "the run that this belongs to is over", fhir.NOT_DONE)
        metrics.requests += 1
        metrics.received[caller] = metrics.received.get(caller, 0) + 1
        if service.config.is_service(caller):
            secure = scope["scheme"] == "https"
            if service.transport.refuses_plain(secure):
                metrics.refused_plain(caller)
                return fhir.outcome(426, PLAIN_REFUSED, fhir.NOT_DONE)
            metrics.came(caller, secure)
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return fhir.outcome(400, "the character NUL is in no name of ours")
        if not service.ready:
            return fhir.outcome(503, f"not ready: {service.waiting_for}", fhir.NOT_DONE)
        if not service.shedding.admits(metrics.in_flight):
            metrics.shed += 1
            headers = {"retry-after": str(RETRY_AFTER_S), **fhir.NOT_DONE}
            return fhir.outcome(503, "too many requests at once", headers)
        return None

    def _is_known(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether the request shows the token, or of a service that may ask the key of just that service. All
        users of a machine can reach a port of it."""
        named = shown = b""
        for name, value in headers:
            if name == TOKEN_HEADER:
                shown = value
            elif name == b"x-caller":
                named = value
        return hmac.compare_digest(shown, self._keys.get(named, self._token))

    def _set_deadline(self, header: str | None) -> None:
        """The caller's, where the design knows limits; who hands deadlines on gives one where none came."""
        ends = deadline.from_header(header) if self._service.store.bounded else None
        if ends is None and self._service.propagates:
            ends = time.monotonic() + deadline.DEFAULT_BUDGET_S
        deadline.current.set(ends)

    @staticmethod
    def _route_name(path: str) -> str:
        """Path with its keys left out, so that spans group; keys contain a dash and digits."""
        return "/".join("*" if "-" in part else part for part in path.split("/"))

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Run the route; whatever it raises becomes an answer. True when that was no server error."""
        try:
            await self._router(scope, receive, send)
            return True
        except fhir.Refused as refused:
            self._note(scope, refused.status)
            await refused.response()(scope, receive, send)
            return refused.status < 500
        except (StoreUnavailable, CallFailed) as error:
            # 503 says that nothing was done; once something was sent, only 504 is honest.
            status, headers = (504, None) if error.sent else (503, fhir.NOT_DONE)
            self._note(scope, status, str(error))
            await fhir.outcome(status, str(error), headers)(scope, receive, send)
        except BusUnavailable as error:
            self._note(scope, 504, str(error))
            await fhir.outcome(504, str(error))(scope, receive, send)
        except Exception as error:  # noqa: BLE001  the last resort: logged, and answered as unknown
            self._service.log.error(
                "request failed",
                path=self._route_name(scope["path"]),
                error=f"{type(error).__name__}: {error}",
            )
            await fhir.outcome(500, type(error).__name__)(scope, receive, send)
        return False

    def _note(self, scope: Scope, status: int, why: str = "") -> None:
        """A request that is not done as it was asked for, without a word of what was in it."""
        request = f"{scope['method']} {self._route_name(scope['path'])}"
        self._service.log.often(
            "request not done", request=request, status=status, **({"why": why} if why else {})
        )

    async def _misbehaving(self, caller: str, scope: Scope, receive: Receive, send: Send) -> bool:
        behaviours = self._service.behaviours
        refusal = behaviours.refusal(caller)
        if refusal is not None:
            await fhir.outcome(refusal, "refused on request of the experiment")(scope, receive, send)
            return refusal < 500
        pause = behaviours.delay(caller)
        if pause > 0:
            receive = await _received(receive)
            await asyncio.sleep(pause)
        if not behaviours.loses_response(caller):
            return await self._answered(scope, receive, send)

        async def swallow(_: Any) -> None:
            """The reply goes nowhere."""

        ok = await self._answered(scope, receive, swallow)
        dropped = self._service.metrics.dropped_replies
        dropped[caller] = dropped.get(caller, 0) + 1
        self._service.log.often("reply lost on request of the experiment", caller=caller)
        await _hang_up(scope)
        return ok


async def _hang_up(scope: Scope) -> None:
    """Close the connection without a reply."""
    scope["connection"].abort()
    await asyncio.sleep(0)  # lets the server notice it, so that it adds no reply of its own


async def _received(receive: Receive) -> Receive:
    """The whole request taken in now: what it asks for is done even if its client goes away meanwhile."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return waiting.pop() if waiting else await receive()

    return replay
