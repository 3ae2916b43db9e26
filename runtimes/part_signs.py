"""Signs of life of any part, by its role: a store is asked as its clients ask it, a service by its paths."""

from __future__ import annotations

from experiment.services import Endpoints
from runtimes import bus, postgres
from runtimes.runtime import Address
from runtimes.signs import alive, complaint_of


def answers(role: str, address: Address, control: Endpoints, deadline_s: float) -> bool:
    """Whether it gives a sign of life within the deadline."""
    if role == "store":
        return postgres.accepts_queries(address, deadline_s)
    if role == "bus":
        return bus.accepts(address, deadline_s)
    return alive(address, control, deadline_s)


def complaint(role: str, address: Address, control: Endpoints, deadline_s: float) -> str:
    """Why it is not ready; empty when it is."""
    if role == "store":
        return "" if postgres.accepts_queries(address, deadline_s) else "no login possible"
    if role == "bus":
        return "" if bus.accepts(address, deadline_s) else "no greeting with JetStream"
    return complaint_of(address, control, deadline_s)
