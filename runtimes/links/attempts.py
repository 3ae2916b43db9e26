"""Attempts to connect to a port that nobody listens on: the kernel refuses them, and no socket tells of them.

A raw socket gets a copy of every packet that arrives; a filter in the kernel lets only the first packet of a
connection to this port through. It needs the right to open raw sockets (root); nothing of it outlives it.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Collection
from pathlib import Path

from runtimes.links.sockets import within_network

SO_ATTACH_FILTER = 26
BUFFER_BYTES = 4_000_000
SYN, ACK = 0x02, 0x10


class AttemptCounter:
    """Counts until it is closed. Raises OSError where raw sockets may not be opened."""

    def __init__(self, port: int, namespace: Path | None = None, host: str = "") -> None:
        """`host` is the address at which they are counted; without it, all of the network."""
        self._port = port
        self._host = socket.inet_aton(host) if host else b""
        self._socket = within_network(namespace, lambda: _listening(port))

    def take(self, own: Collection[str]) -> int:
        """Attempts since the last time, those from the addresses `own` left out."""
        count = 0
        while True:
            try:
                packet = self._socket.recv(256)
            except BlockingIOError:
                return count
            meant = not self._host or packet[16:20] == self._host
            count += meant and _is_attempt(packet, self._port) and socket.inet_ntoa(packet[12:16]) not in own

    def close(self) -> None:
        self._socket.close()


def _is_attempt(packet: bytes, port: int) -> bool:
    """The filter once more: a packet may have come before it was set."""
    head = 4 * (packet[0] & 0xF)
    if len(packet) < head + 14:
        return False
    (to,) = struct.unpack_from(">H", packet, head + 2)
    return bool(to == port and packet[head + 13] & (SYN | ACK) == SYN)


def _listening(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP)
    made.setblocking(False)
    program = (  # classic BPF: operation, jump if true, jump if false, operand
        (0xB1, 0, 0, 0),  # X = length of the IP header
        (0x48, 0, 0, 2),  # A = destination port
        (0x15, 0, 4, port),
        (0x50, 0, 0, 13),  # A = flags
        (0x54, 0, 0, SYN | ACK),
        (0x15, 0, 1, SYN),
        (0x06, 0, 0, 256),  # keep so many bytes
        (0x06, 0, 0, 0),  # drop
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    made.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return made
