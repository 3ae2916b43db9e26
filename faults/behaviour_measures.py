"""What all faults inside a callee measure: the service's own count of the requests it touched."""

from __future__ import annotations

from experiment.controls import BehaviourProbe, Effect
from experiment.units import noun


def require_share(share: float) -> None:
    """Raises ValueError for a share of requests that no request is in."""
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share:.0%}; expected more than 0% and at most 100%")


REQUESTS = ("request", "requests")


def touched(before: object, during: object, what: str, things: tuple[str, str] = REQUESTS) -> Effect:
    """The behaviour is on, and the service has touched requests or events since. Without traffic nothing is
    seen, so nothing is claimed."""
    assert isinstance(before, BehaviourProbe)
    assert isinstance(during, BehaviourProbe)
    on = during.active is not None
    statement = "it is not switched on"
    if on:
        received = _since(before, during)
        of_all = "" if received is None else f", {received} received since"
        statement = f"{noun(during.applied, *things)} {what}{of_all}"
    return Effect(on and during.applied > 0, statement, _figures(before, during), "affected")


def switched_off(before: object, after: object) -> Effect:
    """The callee says that the behaviour is off."""
    assert isinstance(before, BehaviourProbe)
    assert isinstance(after, BehaviourProbe)
    off = after.active is None
    statement = "switched off" if off else f"still on: {after.active}"
    return Effect(off, statement, _figures(before, after))


def _since(before: BehaviourProbe, now: BehaviourProbe) -> int | None:
    """Requests received between the two; None of a service that does not count them."""
    if now.received is None or before.received is None:
        return None
    return now.received - before.received


def _figures(before: BehaviourProbe, now: BehaviourProbe) -> dict[str, float | str | bool | None]:
    return {
        "applied": now.applied,
        "received": _since(before, now),
        "on": now.active is not None,
    }
