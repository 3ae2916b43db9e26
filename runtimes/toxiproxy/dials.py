"""Upstreams that are being dialled: how long each may take, and whether there is room for one more."""

from __future__ import annotations

import asyncio

from runtimes.toxiproxy.connection import Connection

MOST_KEPT_FREE = 64


class Dials:
    """All dials of a server. One timer looks after them: as all may take as long, the oldest is due first.

    Some descriptors are kept free for the API, which is how one finds out and makes room.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, timeout_s: float, descriptors: int) -> None:
        self.timeout_s = timeout_s
        self._loop = loop
        self._most_used = descriptors - min(MOST_KEPT_FREE, descriptors // 4)
        self._begun_s: dict[Connection, float] = {}
        self._without_socket: set[Connection] = set()
        self._sweep_is_due = False

    def has_room(self, descriptor: int) -> bool:
        """Whether a client's upstream may be dialled. The system gives the lowest free number, so that the
        client's own descriptor tells how many are used; each dial that has no socket yet takes one more."""
        return descriptor + len(self._without_socket) < self._most_used

    def begin(self, connection: Connection) -> None:
        """A dial begins: ``connection.give_up`` is called unless it ends in time. A timeout of 0 is none."""
        self._begun_s[connection] = self._loop.time()
        self._without_socket.add(connection)
        if self.timeout_s and not self._sweep_is_due:
            self._sweep_is_due = True
            self._loop.call_later(self.timeout_s, self._sweep)

    def opens_socket(self, connection: Connection) -> None:
        """The dial's own socket is counted from now on."""
        self._without_socket.discard(connection)

    def end(self, connection: Connection) -> None:
        """A dial has ended, one way or another."""
        self._begun_s.pop(connection, None)
        self._without_socket.discard(connection)

    def _sweep(self) -> None:
        self._sweep_is_due = False
        now = self._loop.time()
        for connection, begun_s in list(self._begun_s.items()):
            left_s = begun_s + self.timeout_s - now
            if left_s > 0:
                self._sweep_is_due = True
                self._loop.call_later(left_s, self._sweep)
                return
            self.end(connection)
            connection.give_up()
