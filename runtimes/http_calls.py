"""Short HTTP calls of the harness to services of the system: one deadline for all of it, no proxies, no
retries."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import Any

from experiment.access import shown
from experiment.values import decoded
from runtimes.runtime import Address


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answered call."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The decoded body. Raises ValueError when it is not JSON."""
        return decoded(self.body, object)


class CallError(Exception):
    """No answer: refused, reset, cut off, or not within the deadline. The message says which call and why."""


def call(
    address: Address,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    deadline_s: float,
) -> Answer:
    """One request on a fresh connection, with the token of the address. Raises CallError.

    `http.client` knows no proxy variables, so none can divert the call. The deadline holds for each wait on
    the socket.
    """
    connection = http.client.HTTPConnection(address.host, address.port, timeout=deadline_s)
    headers = {"x-caller": "harness", "connection": "close", **shown(address.token)}
    if body is not None:
        headers["content-type"] = "application/json"
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise CallError(f"{method} http://{address}{path}: {reason}") from None
    finally:
        connection.close()
