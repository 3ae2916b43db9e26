"""The kernel's own account of connections: who is connected to a port, and what each connection carried.

Read over netlink (`sock_diag`), as `ss -ti` does: one question, which needs no rights and takes about
a millisecond. The same way ends a connection, as `ss -K` does.
A library for netlink as a whole would be a hundred times as much as this one question and its answer.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import TypeVar

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 20, 21
DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
ONCE = 0x5  # NLM_F_REQUEST | NLM_F_ACK
DONE, ERROR = 3, 2
ESTABLISHED = 1
INET_DIAG_INFO = 2
HEADER = struct.Struct("=IHHII")
ANY_COOKIE = b"\xff" * 8
PORTS = struct.Struct(">HH")
MESSAGE_BYTES = 72  # of struct inet_diag_msg; attributes follow
LAST_SENT, LAST_RECEIVED, BYTES = 44, 52, 120  # where struct tcp_info has them
ANSWER_WITHIN_S = 1.0
CLONE_NEWNET = 0x4000_0000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connected:
    """One accepted connection that is open on both sides, as its accepting side sees it.

    `received` are the bytes that came from the peer, `sent` those that it has acknowledged. The two ages are
    the seconds since the last byte came, and since the last one was sent; to 4 ms on most kernels.
    """

    peer: str
    peer_port: int
    received: int
    sent: int
    received_age_s: float
    sent_age_s: float
    local: str = ""
    """The address at which it was accepted."""


@dataclass(frozen=True, slots=True)
class Held:
    """One end of a connection that is open, with the number of its socket; 0 where no process holds it."""

    host: str
    port: int
    peer: str
    peer_port: int
    inode: int
    family: int = socket.AF_INET
    identity: bytes = b""
    """As the kernel names it (struct inet_diag_sockid): no later connection has the same."""


def within_network(namespace: Path | None, call: Callable[[], T]) -> T:
    """What `call` gives inside a network namespace (a file of /proc/PID/ns), in a thread of its own. A socket
    that is made there stays there. Raises OSError: entering one takes the rights of root."""
    if namespace is None:
        return call()
    found: list[T] = []
    failed: list[OSError] = []

    def enter() -> None:
        try:
            with namespace.open("rb") as file:
                _setns(file.fileno())
            found.append(call())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter, name="network namespace")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _setns(descriptor: int) -> None:
    if hasattr(os, "setns"):  # from Python 3.12 on
        os.setns(descriptor, CLONE_NEWNET)
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class SocketTable:
    """Connections of one network namespace. Raises OSError when the kernel cannot be asked."""

    def __init__(self, namespace: Path | None = None) -> None:
        """`namespace` is that of another network than the harness's own."""
        self._lock = threading.Lock()
        self._socket = within_network(namespace, _diag_socket)

    def accepted(self, port: int) -> list[Connected]:
        """The open connections that were accepted on a port."""
        with self._lock:
            return [
                one
                for family in (socket.AF_INET, socket.AF_INET6)
                for message in self._asked(family, port)
                if (one := _connected(message)) is not None
            ]

    def established(self) -> list[Held]:
        """Every end of a connection that is open."""
        with self._lock:
            return [
                _held(message)
                for family in (socket.AF_INET, socket.AF_INET6)
                for message in self._asked(family, 0, told=0)
            ]

    def destroy(self, one: Held) -> None:
        """End a connection at once, as `ss -K` does: its holder sees it broken, the peer gets a reset. One
        that is gone already is left alone. Raises OSError: it takes root, and a kernel that can."""
        question = struct.pack("=BBBBI", one.family, socket.IPPROTO_TCP, 0, 0, 1 << ESTABLISHED)
        question += one.identity
        with self._lock:
            self._socket.send(HEADER.pack(HEADER.size + len(question), SOCK_DESTROY, ONCE, 1, 0) + question)
            answer = self._socket.recv(262_144)
        number = -struct.unpack_from("=i", answer, HEADER.size)[0]
        if number not in (0, errno.ENOENT):
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        self._socket.close()

    def _asked(self, family: int, port: int, told: int = INET_DIAG_INFO) -> Iterator[bytes]:
        """One message for each socket; `told` is what is wanted beside the addresses, 0 for nothing."""
        wanted = 1 << (told - 1) if told else 0, 0, 1 << ESTABLISHED
        question = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, *wanted)
        question += PORTS.pack(port, 0) + bytes(36) + ANY_COOKIE
        size = HEADER.size + len(question)
        self._socket.send(HEADER.pack(size, SOCK_DIAG_BY_FAMILY, DUMP, 1, 0) + question)
        while True:
            answer = self._socket.recv(262_144)
            at = 0
            while at < len(answer):
                length, kind, *_ = HEADER.unpack_from(answer, at)
                if kind == DONE:
                    return
                if kind == ERROR:
                    number = -struct.unpack_from("=i", answer, at + HEADER.size)[0]
                    raise OSError(number, os.strerror(number))
                yield answer[at + HEADER.size : at + length]
                at += (length + 3) & ~3


def _diag_socket() -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
    made.settimeout(ANSWER_WITHIN_S)
    return made


def _held(message: bytes) -> Held:
    port, peer_port = PORTS.unpack_from(message, 4)
    (inode,) = struct.unpack_from("=I", message, MESSAGE_BYTES - 4)
    family = message[0]
    ends = _address(family, message[8:24]), port, _address(family, message[24:40]), peer_port
    return Held(*ends, inode, family, message[4:52])


def _connected(message: bytes) -> Connected | None:
    """One socket of an answer; None of one that no process holds any more, or without its account."""
    family = message[0]
    _, peer_port = PORTS.unpack_from(message, 4)
    (holder,) = struct.unpack_from("=I", message, MESSAGE_BYTES - 4)
    if not holder:
        return None
    at = MESSAGE_BYTES
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind == INET_DIAG_INFO and length >= 4 + BYTES + 16:
            info = message[at + 4 : at + length]
            sent_ms, received_ms = (struct.unpack_from("=I", info, o)[0] for o in (LAST_SENT, LAST_RECEIVED))
            sent, received = struct.unpack_from("=QQ", info, BYTES)
            peer = _address(family, message[24:40])
            local = _address(family, message[8:24])
            return Connected(peer, peer_port, received, sent, received_ms / 1e3, sent_ms / 1e3, local)
        at += max(4, (length + 3) & ~3)
    return None


def _address(family: int, packed: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntoa(packed[:4])
    whole = IPv6Address(packed)
    return str(whole.ipv4_mapped or whole)
