"""The ways by which a person is paged, and what is known after one attempt."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from reference_system.common.link import CallFailed
from reference_system.common.patterns import idempotency
from reference_system.services.notify.ground import Ground

Person = Literal["on-call", "second"]

# The one on call is paged by text message first, the second person by pager: one channel that is away does
# not silence both.
CHANNELS: dict[Person, tuple[str, str]] = {"on-call": ("sms", "pager"), "second": ("pager", "sms")}
KINDS: dict[Person, str] = {"on-call": "page", "second": "escalation"}
TAKEN = (200, 201)


class Outcome(Enum):
    """What became of a page."""

    DELIVERED = "the channel has it"
    REFUSED = "certainly nobody was told"
    UNKNOWN = "it may have been delivered"


async def page(ground: Ground, channel: str, notice: str, person: Person) -> Outcome:
    """One call to a channel, as its link allows."""
    keyed = ground.switches.idempotency_key
    headers = {idempotency.HEADER: f"{notice}/{person}"} if keyed else None
    body = {"about": notice, "kind": KINDS[person]}
    try:
        reply = await ground.links[channel].call("POST", "/v1/messages", body, headers, idempotent=keyed)
    except CallFailed as error:
        ground.log.seldom("page not confirmed", channel=channel, error=str(error))
        return Outcome.UNKNOWN if error.sent else Outcome.REFUSED
    if reply.status in TAKEN:
        return Outcome.DELIVERED
    ground.log.seldom("page refused", channel=channel, status=reply.status)
    return Outcome.REFUSED if reply.not_done or 400 <= reply.status < 500 else Outcome.UNKNOWN
