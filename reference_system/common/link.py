"""A call to another service with the patterns of its link around it: deadline, bulkhead, breaker, retry."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from reference_system.common import tracing
from reference_system.common.config import Address, LinkPatterns
from reference_system.common.http_client import HttpClient, NotConnected, Reply
from reference_system.common.logs import Log
from reference_system.common.metrics import LinkCounters
from reference_system.common.patterns import deadline
from reference_system.common.patterns.breaker import Breaker
from reference_system.common.patterns.bulkhead import Bulkhead
from reference_system.common.patterns.retry import Retries
from reference_system.common.transport import PLAIN, Speech

RUN_HEADER = "x-run"
RETRYABLE = frozenset({429, 500, 502, 503, 504})

_encode = msgspec.json.Encoder().encode


class CallFailed(Exception):
    """No reply. `sent` is False when the callee certainly never saw the request."""

    def __init__(self, link: str, reason: str, sent: bool) -> None:
        super().__init__(f"{link}: {reason}")
        self.reason = reason
        self.sent = sent


class Link:
    """One outgoing HTTP link.

    A link without a bulkhead of its own takes its connections from `shared`, the one bounded pool of the
    process: there one slow callee can use up what all others need.
    """

    def __init__(
        self,
        caller: str,
        callee: str,
        address: Address,
        patterns: LinkPatterns,
        counters: LinkCounters,
        shared: Bulkhead,
        tracer: tracing.Tracer,
        rng: random.Random,
    ) -> None:
        self.name = f"{caller} -> {callee}"
        self.counters = counters
        self.run = ""  # of the caller, so that the callee takes no work of another run
        self.patterns = patterns
        self.log: Log | None = None  # where attempts that fail are told
        self._caller = caller
        self._callee = callee
        self._client = HttpClient(address.host, address.port, address.shown)
        self._shared = shared
        self._tracer = tracer
        self._rng = rng
        self._attributes = {"link": self.name}
        self.speech = PLAIN
        self.apply(patterns)

    @property
    def lets_through(self) -> bool:
        """Whether a call would get past the breaker now."""
        return self._breaker.lets_through

    def apply(self, patterns: LinkPatterns) -> None:
        """Take on a design's patterns; breaker, budget and bulkhead start afresh."""
        self.patterns = patterns
        self._breaker = Breaker(patterns.breaker, self.counters)
        self._bulkhead = Bulkhead(patterns.bulkhead) if patterns.bulkhead else self._shared
        self._retries = Retries(patterns.retry, self._rng)

    def speak(self, speech: Speech) -> None:
        """How its callee is spoken to from now on."""
        self.speech = speech
        self._client.speak(speech)

    def obeyed(self) -> dict[str, Any]:
        """The patterns that act on its calls now, each from the part that acts."""
        own = self._bulkhead.pattern if self._bulkhead is not self._shared else None
        found = {
            "timeout": self.patterns.timeout,
            "propagate_deadline": self.patterns.propagate_deadline,
            "retry": self._retries.pattern,
            "breaker": self._breaker.pattern,
            "bulkhead": own,
        }
        return {f"{self.name}: {name}": msgspec.to_builtins(value) for name, value in found.items()}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        idempotent: bool = True,
        timeout: float | None = None,
    ) -> Reply:
        """Send the request as the link's patterns allow. Raises CallFailed when no reply came.

        `body` becomes JSON, but for bytes, which go as they are. `timeout` shortens the link's own timeout
        for this call; replies of any status are returned.
        """
        self.counters.logical += 1
        bulkhead = self._bulkhead
        if not await bulkhead.enter(deadline.within(self._timeout(timeout))):
            self.counters.rejected_bulkhead += 1
            raise CallFailed(self.name, "bulkhead full", sent=False)
        try:
            return await self._attempts(method, path, body, headers or {}, idempotent, timeout)
        finally:
            bulkhead.leave()

    def _timeout(self, timeout: float | None) -> float | None:
        own = self.patterns.timeout
        if timeout is None or own is None:
            return timeout if own is None else own
        return min(own, timeout)

    async def _attempts(
        self,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str],
        idempotent: bool,
        timeout: float | None,
    ) -> Reply:
        retries = self._retries
        payload = body if body is None or isinstance(body, bytes) else _encode(body)
        retries.request()
        made, pause, sent = 0, 0.0, False
        while True:
            made += 1
            failure: CallFailed | None = None
            reply: Reply | None = None
            try:
                reply = await self._attempt(method, path, payload, headers, timeout)
                if reply.status not in RETRYABLE:
                    return reply
                sent = sent or not reply.not_done
            except CallFailed as error:
                failure = CallFailed(self.name, error.reason, sent or error.sent)
                sent = failure.sent
                if error.reason in ("breaker open", "deadline passed"):
                    raise failure from error
            if not retries.allowed(made, idempotent or not sent):
                return self._settle(reply, failure)
            if not retries.spend():
                self.counters.budget_denied += 1
                return self._settle(reply, failure)
            pause = retries.pause(made, pause)
            left = deadline.remaining()
            if left is not None and left <= pause:
                return self._settle(reply, failure)
            if pause > 0:
                await asyncio.sleep(pause)
            self.counters.retries += 1

    def _settle(self, reply: Reply | None, failure: CallFailed | None) -> Reply:
        if reply is not None:
            return reply
        assert failure is not None
        raise failure

    async def _attempt(
        self, method: str, path: str, payload: bytes | None, headers: dict[str, str], timeout: float | None
    ) -> Reply:
        """One attempt on the wire, judged by the breaker."""
        breaker = self._breaker
        if not breaker.allow():
            raise CallFailed(self.name, "breaker open", sent=False)
        limit = deadline.within(self._timeout(timeout))
        if limit is not None and limit <= 0:
            breaker.abandoned()
            raise CallFailed(self.name, "deadline passed", sent=False)
        self.counters.attempts += 1
        span = self._tracer.start(f"{method} {self._callee}", "client")
        span.attributes = self._attributes
        sending = {"x-caller": self._caller}
        if self._tracer.over != "none":
            sending["traceparent"] = span.traceparent
        if self.run:
            sending[RUN_HEADER] = self.run
        if payload is not None:
            sending["content-type"] = "application/fhir+json"
        sending |= headers
        if self.patterns.propagate_deadline and limit is not None:
            sending[deadline.HEADER] = str(int(limit * 1000))
        ok = False
        try:
            async with asyncio.timeout(limit):
                reply = await self._client.request(method, path, sending, payload)
            ok = reply.status not in RETRYABLE
            if not ok:
                self.counters.errors += 1
                self._note(f"answered {reply.status}")
            return reply
        except TimeoutError as error:
            self.counters.timeouts += 1
            self._note("timeout")
            raise CallFailed(self.name, "timeout", sent=True) from error
        except OSError as error:
            self.counters.errors += 1
            reason = f"{type(error).__name__}: {error}"
            self._note(reason)
            raise CallFailed(self.name, reason, sent=not isinstance(error, NotConnected)) from error
        except asyncio.CancelledError:
            breaker.abandoned()
            raise
        finally:
            if ok:
                breaker.succeeded()
            elif breaker is self._breaker:
                breaker.failed()
            self._tracer.finish(span, ok)

    def _note(self, why: str) -> None:
        if self.log is not None:
            self.log.often("call failed", link=self.name, why=why)

    def close(self) -> None:
        self._client.close()
