"""How what a message asks of other services reaches them: in the order of its patient, and until it is there.

With the outbox (T9) what is to be delivered is written with the message and stays until the callee has taken
it. Without, it waits in memory and is tried once: what fails then, or dies with the process, never arrives.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from reference_system.common import fhir, tracing
from reference_system.common.http_client import Reply
from reference_system.common.link import RETRYABLE, CallFailed, Link
from reference_system.common.logs import Log
from reference_system.common.metrics import Metrics
from reference_system.common.store import Store, StoreUnavailable
from reference_system.services.hl7_gateway import statements

AT_ONCE = 16  # deliveries on their way
AGAIN_S = 0.25  # a callee that did not take one is left alone for so long
HELD_AT_MOST = 5_000  # above that no message is taken: the senders hold the rest
TRIES = 4  # of a change that another one came before
OTHER_RUN = 410


class Refusal(Exception):
    """The callee does not take it, and will not when it is asked again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery with the message that asks for it, and the trace in which that arrived."""

    received: str
    patient: str
    callee: str
    key: str
    what: str
    body: bytes
    context: str


class Deliveries:
    """What waits, by patient. `spawn` starts work of the run."""

    def __init__(
        self,
        store: Store,
        links: dict[str, Link],
        log: Log,
        metrics: Metrics,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.durable = False
        self.keeps_refused = False  # what is refused becomes a dead letter
        self._store = store
        self._links = links
        self._log = log
        self._metrics = metrics
        self._spawn = spawn
        self._queues: dict[str, deque[Waiting]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._again: dict[str, float] = {}  # when a callee that failed is asked again
        self._refused: set[str] = set()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def full(self) -> bool:
        return len(self) >= HELD_AT_MOST

    def forget(self) -> None:
        self._queues.clear()
        self._again.clear()
        self._refused.clear()

    def add(self, waiting: Iterable[Waiting]) -> None:
        """To be called in the order of the patient's messages."""
        for one in waiting:
            queue = self._queues.get(one.patient)
            if queue is not None:
                queue.append(one)
                continue
            queue = self._queues[one.patient] = deque([one])
            self._spawn(self._work(one.patient, queue))

    def again(self, received: str, waiting: Iterable[Waiting]) -> None:
        """Of a message that was refused and is put right."""
        self._refused.discard(received)
        self.add(waiting)

    async def resume(self) -> None:
        """What an earlier process left. Raises StoreUnavailable."""
        rows = await self._store.rows(statements.UNDELIVERED)
        self.add(Waiting(**{**dict(row), "body": row["body"].encode()}) for row in rows)

    async def _work(self, patient: str, queue: deque[Waiting]) -> None:
        while queue:
            one = queue[0]
            await asyncio.sleep(max(0.0, self._again.get(one.callee, 0.0) - time.monotonic()))
            async with self._places:
                gone = one.received in self._refused or await self._gone(one)
            if gone:
                queue.popleft()
        if self._queues.get(patient) is queue:
            del self._queues[patient]

    async def _gone(self, one: Waiting) -> bool:
        """One attempt; whether it need not be made again."""
        token = tracing.current.set(tracing.remote(one.context))
        try:
            await self._deliver(one)
            if self.durable:
                await self._store.run(statements.DELIVERED, one.received, one.callee, one.key)
            return True
        except Refusal as refusal:
            return await self._refuse(one, str(refusal))
        except (CallFailed, StoreUnavailable) as failure:
            self._again[one.callee] = time.monotonic() + AGAIN_S
            if self.durable:
                self._log.seldom("deliveries wait", callee=one.callee, error=str(failure))
                return False
            self._metrics.count("deliveries_lost", 1)
            self._log.error("a delivery is lost", callee=one.callee, key=one.key, error=str(failure))
            return True
        finally:
            tracing.current.reset(token)

    async def _refuse(self, one: Waiting, why: str) -> bool:
        """The message can be replayed once it is put right, where dead letters are kept."""
        self._metrics.count("deliveries_refused", 1)
        self._log.error("a delivery is refused", callee=one.callee, key=one.key, why=why)
        try:
            await self._store.run(statements.REFUSED, one.received, why, time.time(), self.keeps_refused)
        except StoreUnavailable:
            return False
        self._refused.add(one.received)
        return True

    # one delivery

    async def _deliver(self, one: Waiting) -> None:
        """Raises CallFailed when it is not certain that the callee has it, and Refusal."""
        for _ in range(TRIES):
            reply = await self._sent(one)
            if reply is None or 200 <= reply.status < 300:
                return
            if reply.status in RETRYABLE or reply.status == OTHER_RUN:
                raise CallFailed(one.callee, f"answered {reply.status}", sent=True)
            if reply.status != 412:  # else somebody else's change came first
                raise Refusal(f"{one.callee} answered {reply.status}: {_diagnostics(reply)}")
        raise CallFailed(one.callee, "is being changed by others", sent=False)

    async def _sent(self, one: Waiting) -> Reply | None:
        """The answer of the callee; None when it says already what it is to say."""
        link, body = self._links[one.callee], one.body
        if one.what == "report":
            return await self._reported(link, f"/fhir/DiagnosticReport?identifier={one.key}", body)
        if one.what == "order":
            return await link.call("POST", "/fhir/MedicationRequest", body)
        kind = "MedicationRequest" if one.what == "change" else "Patient"
        return await self._changed(link, f"/fhir/{kind}/{one.key}", body, one.what)

    async def _reported(self, link: Link, path: str, body: bytes) -> Reply:
        """A newer result of what was corrected is a correction, too, whatever its sender calls it."""
        reply = await link.call("PUT", path, body)
        if reply.status != 409:
            return reply
        return await link.call("PUT", path, fhir.encode({**fhir.decode(body), "status": "corrected"}))

    async def _changed(self, link: Link, path: str, body: bytes, what: str) -> Reply | None:
        """Read, compare, write the version that was read. A person may be new; of a record that is not there
        nothing is to be merged."""
        found = await link.call("GET", path)
        if found.status == 404 and what != "change":
            return await link.call("PUT", path, body) if what == "person" else None
        if found.status != 200:
            return found
        held, said = fhir.decode(found.body), fhir.decode(body)
        if all(held.get(name) == value for name, value in said.items()):
            return None
        headers = {"if-match": found.headers.get("etag", "")}
        return await link.call("PUT", path, fhir.encode({**held, **said}), headers)


def _diagnostics(reply: Reply) -> str:
    """What an OperationOutcome says, without what it may quote of a person."""
    try:
        return str(fhir.decode(reply.body)["issue"][0]["code"])
    except (ValueError, LookupError, TypeError):
        return "no reason"
