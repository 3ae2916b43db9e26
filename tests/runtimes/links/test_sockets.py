"""The kernel ends exactly the connection that it is asked to end."""

from __future__ import annotations

import os
import socket

import pytest

from runtimes.links.sockets import SocketTable

rights = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: ending others' connections takes its rights"
)


@rights
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_a_connection_is_ended_and_the_one_beside_it_is_not(family: socket.AddressFamily, host: str) -> None:
    """Both ends see it at once; ending it again does nothing."""
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        ended, kept = (socket.create_connection((host, port), 5.0) for _ in range(2))
        accepted = [server.accept()[0] for _ in range(2)]
        table = SocketTable()
        try:
            own = ended.getsockname()[1]
            (one,) = (held for held in table.established() if (held.port, held.peer_port) == (own, port))
            table.destroy(one)
            with pytest.raises(ConnectionError):
                ended.sendall(b"x")
            with pytest.raises(ConnectionError):
                accepted[0].recv(1)
            table.destroy(one)
            assert one.identity not in {held.identity for held in table.established()}
            kept.sendall(b"y")
            assert accepted[1].recv(1) == b"y"
        finally:
            table.close()
            for each in (ended, kept, *accepted):
                each.close()
