"""Signs of life of a service: whether it is ready, and whether it answers at all."""

from __future__ import annotations

import socket

from experiment.services import Endpoints
from runtimes.http_calls import CallError, call
from runtimes.runtime import Address


def complaint_of(address: Address, control: Endpoints, deadline_s: float) -> str:
    """Why a service is not ready, empty when it is: by its path for that, else by the one for its health,
    else by whether it takes connections."""
    path = control.ready or control.health
    if path is None:
        return "" if accepts(address, deadline_s) else f"no connection to {address}"
    try:
        answer = call(address, "GET", path, deadline_s=deadline_s)
    except CallError as error:
        return str(error)
    if 200 <= answer.status < 300:
        return ""
    said = answer.body[:200].decode("utf-8", "replace")
    return f"GET {path} at {address} answered {answer.status} {said}"


def alive(address: Address, control: Endpoints, deadline_s: float) -> bool:
    """Whether it gives a sign of life within the deadline: any answer of its health, else a connection."""
    if control.health is None:
        return accepts(address, deadline_s)
    try:
        return 200 <= call(address, "GET", control.health, deadline_s=deadline_s).status < 300
    except CallError:
        return False


def accepts(address: Address, deadline_s: float) -> bool:
    """Whether something takes connections there."""
    try:
        socket.create_connection((address.host, address.port), deadline_s).close()
    except OSError:
        return False
    return True
