"""A server that says what a test tells it to, on one connection after the other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runtimes.loopback import HOST
from runtimes.runtime import Address


class Line:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.read = b""

    def until(self, mark: bytes) -> bytes:
        """Read up to and with a mark; what comes after it stays for the next time."""
        while mark not in self.read:
            content = self.connection.recv(65_536)
            if not content:
                raise EOFError
            self.read += content
        head, _, self.read = self.read.partition(mark)
        return head + mark

    def say(self, content: bytes) -> None:
        self.connection.sendall(content)


@contextmanager
def scripted(script: Callable[[Line], None]) -> Iterator[Address]:
    """Each connection follows the script in a thread of its own, and is closed at its end."""
    with socket.create_server((HOST, 0)) as server:

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    script(Line(connection))
                except (EOFError, OSError):
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield Address(HOST, server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
