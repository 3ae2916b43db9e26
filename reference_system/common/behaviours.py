"""How an instrument misbehaves on request: exact failures that a proxy, which sees only bytes, cannot
make."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import msgspec


class LostResponse(msgspec.Struct, forbid_unknown_fields=True):
    """The handler runs to its end and commits; then the connection is closed without a reply."""

    share: float = 1.0
    caller: str | None = None


class SlowProcessing(msgspec.Struct, forbid_unknown_fields=True):
    """The handler's work takes `delay_s` (+- `jitter_s`) longer before it commits."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    caller: str | None = None


class DrawnDelays(msgspec.Struct, forbid_unknown_fields=True):
    """The handler's work takes the next of `delays_s` longer before it commits; after the last the first."""

    delays_s: list[float] = []
    caller: str | None = None


class ErrorShare(msgspec.Struct, forbid_unknown_fields=True):
    """A share of requests is refused with `status` before any effect."""

    share: float = 1.0
    status: int = 503
    caller: str | None = None


class Decline(msgspec.Struct, forbid_unknown_fields=True):
    """Payments only: a share of charges is declined."""

    share: float = 1.0
    caller: str | None = None


class Redelivery(msgspec.Struct, forbid_unknown_fields=True):
    """A share of the events that are consumed comes again `after_s` later; a `missed` one was not handled the
    first time."""

    share: float = 1.0
    after_s: float = 1.0
    missed: bool = False
    caller: str | None = None


Parameters = LostResponse | SlowProcessing | DrawnDelays | ErrorShare | Decline | Redelivery
KINDS: dict[str, type[Parameters]] = {
    "lost_response": LostResponse,
    "slow_processing": SlowProcessing,
    "drawn_delays": DrawnDelays,
    "error_share": ErrorShare,
    "decline": Decline,
    "redelivery": Redelivery,
}


@dataclass(slots=True)
class _Active:
    parameters: Parameters
    rng: random.Random
    applied: int = 0


@dataclass(slots=True)
class Behaviours:
    """What is switched on in this process. Draws come from a seeded source of each behaviour's own."""

    seed: int
    _active: dict[str, _Active] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._active)

    def put(self, name: str, body: bytes) -> None:
        """Switch on or change. Raises KeyError for an unknown name, msgspec.ValidationError for bad
        parameters."""
        parameters = msgspec.json.decode(body or b"{}", type=KINDS[name])
        self._active[name] = _Active(parameters, random.Random(f"{self.seed}/{name}"))

    def delete(self, name: str) -> None:
        self._active.pop(name, None)

    def clear(self) -> None:
        self._active.clear()

    def describe(self, name: str) -> dict[str, Any]:
        active = self._active.get(name)
        if active is None:
            return {"active": False, "applied": 0}
        return {"active": True, "applied": active.applied, **msgspec.to_builtins(active.parameters)}

    def _draw(self, name: str, caller: str) -> _Active | None:
        active = self._active.get(name)
        if active is None or active.parameters.caller not in (None, caller):
            return None
        share = getattr(active.parameters, "share", 1.0)
        if share < 1.0 and active.rng.random() >= share:
            return None
        active.applied += 1
        return active

    def refusal(self, caller: str) -> int | None:
        """The status to refuse this request with, if it is to be refused."""
        drawn = self._draw("error_share", caller)
        return drawn.parameters.status if drawn and isinstance(drawn.parameters, ErrorShare) else None

    def delay(self, caller: str) -> float:
        """Seconds of extra work for this request."""
        seconds = 0.0
        for name in ("slow_processing", "drawn_delays"):
            drawn = self._draw(name, caller)
            if drawn is None:
                continue
            match drawn.parameters:
                case SlowProcessing(delay_s=delay_s, jitter_s=jitter_s):
                    seconds += max(0.0, delay_s + drawn.rng.uniform(-1, 1) * jitter_s)
                case DrawnDelays(delays_s=[_, *_] as delays):
                    seconds += delays[(drawn.applied - 1) % len(delays)]
        return seconds

    def loses_response(self, caller: str) -> bool:
        return self._draw("lost_response", caller) is not None

    def redelivers(self, consumer: str) -> Redelivery | None:
        """Whether this event comes again, and how."""
        drawn = self._draw("redelivery", consumer)
        return drawn.parameters if drawn and isinstance(drawn.parameters, Redelivery) else None

    def declines(self, caller: str) -> bool:
        return self._draw("decline", caller) is not None
