"""One HTTP request and its answer, all of it within one deadline."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from experiment.access import shown

SHORTEST_WAIT_S = 0.001


class _UntilDeadline(io.RawIOBase):
    """The bytes of a socket: no read waits beyond the deadline, however slowly they drip."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock = sock
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left_s(self._end))
        return self._sock.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `http.client` asks of a socket."""
        return io.BufferedReader(self)


def exchange(
    host: str, port: int, method: str, path: str, body: bytes | None, *, deadline_s: float, token: str = ""
) -> tuple[int, bytes]:
    """The status and body of the answer. `body` is JSON; `host` may be an IPv6 address; the token is shown.

    Raises TimeoutError at the deadline, OSError or HTTPException when none comes or one that cannot be read.
    """
    end = time.monotonic() + deadline_s
    headers = {"Connection": "close", **shown(token)}  # a kept connection may be to a server that is gone
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(host, port)
    with socket.create_connection((host, port), timeout=deadline_s) as sock:
        sock.settimeout(_left_s(end))
        connection.sock = sock
        connection.request(method, path, body, headers)
        response = http.client.HTTPResponse(_UntilDeadline(sock, end), method=method)  # type: ignore[arg-type]
        response.begin()
        return response.status, response.read()


def _left_s(end: float) -> float:
    left_s = end - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the deadline has passed")
    return max(left_s, SHORTEST_WAIT_S)
