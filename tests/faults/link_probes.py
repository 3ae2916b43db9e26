"""Literal measurements of links, as a runtime would take them."""

from __future__ import annotations

from experiment.controls import LinkProbe, Reach
from faults.link_measures import RoundTrips

SILENT = Reach(True, None)
REFUSED = Reach(False, None, "Connection refused")
BROKEN = Reach(True, None, "Connection reset by peer")
CLOSED = Reach(False, None, "closed by the other side")


def answered(seconds: float) -> Reach:
    return Reach(True, seconds)


def trips(*fresh: Reach, existing: Reach | None = None, deadline_s: float = 0.5) -> RoundTrips:
    """One round for each fresh reach; the older connection did as the fresh one unless told otherwise."""
    return RoundTrips(tuple(LinkProbe(existing or one, one) for one in fresh), deadline_s)


QUICK = trips(answered(0.002))
