"""T23: who may see what is decided in one place, and what holds while that place does not answer.

A permission is signed by authz, and kept for a bounded time. Without an answer a design fails open (what is
often written: better shown than a clinic at a standstill) or closed. A person in an emergency may break the
glass: never a timeout's fallback, always a grant that somebody reviews.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from reference_system.common.link import CallFailed, Link
from reference_system.common.patterns.cache import AgedCache

DECISION_WAIT_S = 0.5  # even a design without time limits does not let a reader wait longer for a decision
PERMISSION_LASTS_S = 60.0  # divided by the clock scale, as all business times
GRANT_LASTS_S = 900.0
WRITE = ".write"  # at the end of an action: to change what it names, else to see it


class Answer(Enum):
    """What is known of a request to see something."""

    PERMIT = "permitted"
    DENY = "denied"
    UNKNOWN = "not decided"


class Decision(msgspec.Struct, frozen=True):
    """What authz says of one person, one patient and one kind of data; `expires` is unix seconds."""

    user: str
    patient: str
    action: str
    permit: bool
    reason: str
    expires: float
    signature: str = ""


_encode = msgspec.json.Encoder().encode
_decision = msgspec.json.Decoder(Decision).decode


def signed(decision: Decision, key: str) -> Decision:
    """The decision with its signature: HMAC-SHA256 by the token that lets its callers into authz."""
    return msgspec.structs.replace(decision, signature=_signature(decision, key))


def is_genuine(decision: Decision, key: str) -> bool:
    """Whether authz made it and nobody changed it on its way."""
    return hmac.compare_digest(decision.signature, _signature(decision, key))


def _signature(decision: Decision, key: str) -> str:
    text = _encode(msgspec.structs.replace(decision, signature=""))
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Ask:
    """Who wants to see what, or to change it. `id` is the request's own name; `reason` is given when the
    glass is broken."""

    id: str
    user: str
    patient: str
    action: str
    reason: str = ""

    @property
    def pair(self) -> str:
        return f"{self.user} {self.patient}"


class Authoriser:
    """Asks authz over the service's own link and remembers permissions and grants."""

    def __init__(self, link: Link, key: str) -> None:
        self._link = link
        self._key = key
        self._permissions: AgedCache[Decision] = AgedCache(None)
        self._grants: dict[str, float] = {}  # who and whom to unix seconds

    def apply(self, keep_s: float | None, clock_scale: float) -> None:
        """Keep permissions for so long, in business time; None: not at all."""
        self._permissions = AgedCache(None if keep_s is None else keep_s / clock_scale)
        self._grants = {}

    def remember(self, ask: Ask, until: float) -> None:
        """A grant that is in force here."""
        self._grants[ask.pair] = until

    async def decide(self, ask: Ask) -> tuple[Answer, str]:
        """What holds, and why in words for the reader. A grant that is known here is one to see: whether the
        person's role may change something too, authz knows."""
        if self._grants.get(ask.pair, 0.0) > time.time() and not ask.action.endswith(WRITE):
            return Answer.PERMIT, "break-glass grant"
        key = f"{ask.pair} {ask.action}"
        held = self._permissions.get(key)
        if held is not None and held[0].expires > time.time():
            return Answer.PERMIT, "permission kept"
        body = {"user": ask.user, "patient": ask.patient, "action": ask.action}
        found, why = await self._ask("/decide", body)
        decision = self._read(found, ask) if found is not None else None
        if decision is None:
            return Answer.UNKNOWN, why or "authz gave no decision that can be trusted"
        if not decision.permit:
            return Answer.DENY, decision.reason
        self._permissions.put(key, decision)
        return Answer.PERMIT, decision.reason

    async def break_glass(self, ask: Ask) -> tuple[Answer, str]:
        """Ask authz for a grant. UNKNOWN when it cannot be asked."""
        body = {"id": ask.id, "user": ask.user, "patient": ask.patient, "reason": ask.reason}
        body["action"] = ask.action
        found, why = await self._ask("/breakglass", body)
        if found is None:
            return Answer.UNKNOWN, why
        if not found.get("granted"):
            return Answer.DENY, str(found.get("reason", "refused"))
        self.remember(ask, float(found["until"]))
        return Answer.PERMIT, "break-glass grant"

    async def _ask(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
        try:
            reply = await self._link.call("POST", path, body, timeout=DECISION_WAIT_S)
        except CallFailed as error:
            return None, str(error)
        if reply.status != 200:
            return None, f"authz answered {reply.status}"
        try:
            found: dict[str, Any] = reply.json()
        except msgspec.MsgspecError:
            return None, "authz answered nonsense"
        return found, ""

    def _read(self, found: dict[str, Any], ask: Ask) -> Decision | None:
        """The decision, if it is about this and authz signed it."""
        try:
            decision = msgspec.convert(found, Decision)
        except msgspec.ValidationError:
            return None
        about = (decision.user, decision.patient, decision.action) == (ask.user, ask.patient, ask.action)
        return decision if about and is_genuine(decision, self._key) else None
