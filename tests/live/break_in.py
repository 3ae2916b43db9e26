"""What another user of the machine tries at a run. Each function is called as that user and returns plain
values: what it got, so that a test can say that it got nothing."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - loaded on the first use, when its file cannot be read any more
import http.client
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import zmq

T = TypeVar("T")

TRIES = (
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/backlog"),
    ("GET", "/records"),
    ("POST", "/admin/reset"),
    ("PUT", "/admin/behaviour/lost_response"),
    ("GET", "/fhir/Patient/pat-00001"),
    ("GET", "/version"),
    ("GET", "/proxies"),
    ("POST", "/reset"),
)
PATIENCE_S = 1.5
JOIN = b"\x93\xacclient_ready\xa62.47.0\xa8stranger"  # of a worker of Locust, as msgpack

Address = tuple[str, int]


def readable(paths: Sequence[str]) -> list[str]:
    """The files and folders that can be looked into."""
    return [path for path in paths if _opens(path)]


def _opens(path: str) -> bool:
    try:
        if os.path.isdir(path):
            os.listdir(path)
        else:
            with open(path, "rb") as file:
                file.read(1)
    except OSError:
        return False
    return True


def answered(addresses: Sequence[Address], token: str) -> list[tuple[str, int, str, int]]:
    """Every request that something answered over HTTP: host, port, path, status. The token is a guess."""

    def ask_all(address: Address) -> list[tuple[str, int, str, int]]:
        found = []
        for method, path in TRIES:
            status = _ask(*address, method, path, token)
            if status is None:
                break  # nothing there speaks HTTP, or nothing lets us connect
            found.append((*address, path, status))
        return found

    return [one for many in _at_once(ask_all, addresses) for one in many]


def _at_once(attempt: Callable[[Address], T], addresses: Sequence[Address]) -> list[T]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(attempt, addresses))


def _ask(host: str, port: int, method: str, path: str, token: str) -> int | None:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, b"{}" if method != "GET" else None, {"x-access-token": token})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def subscribed(addresses: Sequence[Address]) -> list[Address]:
    """The servers of events that let us listen to everything."""

    def listens(address: Address) -> bool:
        return b"PONG" in _said(address, b"CONNECT {}\r\nSUB > 1\r\nPING\r\n", b"PONG", b"-ERR")

    return [one for one, got in zip(addresses, _at_once(listens, addresses), strict=True) if got]


def logged_in(addresses: Sequence[Address], roles: Iterable[str]) -> list[tuple[str, int, str]]:
    """The databases that let us in, and as whom: AuthenticationOk is R with the code 0."""

    def enters(address: Address) -> list[tuple[str, int, str]]:
        found = []
        for role in roles:
            body = b"\0\3\0\0user\0" + role.encode() + b"\0database\0" + role.encode() + b"\0\0"
            said = _said(address, (len(body) + 4).to_bytes(4) + body, b"R", b"E")
            if said[:1] not in (b"R", b"E"):
                break  # not a database
            if said[:9] == b"R\0\0\0\x08\0\0\0\0":
                found.append((*address, role))
        return found

    return [one for many in _at_once(enters, addresses) for one in many]


def _said(address: Address, question: bytes, *ends: bytes) -> bytes:
    """What is answered until one of these words came."""
    said = b""
    try:
        with socket.create_connection(address, PATIENCE_S) as connection:
            connection.sendall(question)
            while not any(end in said for end in ends) and (block := connection.recv(4096)):
                said += block
    except OSError:
        pass
    return said


def joined(addresses: Sequence[Address]) -> list[tuple[str, int, str]]:
    """The masters of a load that answered a worker of ours, and what they said."""
    sockets: dict[Address, Any] = {
        address: zmq.Context.instance().socket(zmq.DEALER) for address in addresses
    }
    for (host, port), sock in sockets.items():
        sock.setsockopt(zmq.LINGER, 0)
        sock.connect(f"tcp://{host}:{port}")
        sock.send(JOIN)
    time.sleep(PATIENCE_S)
    found = [(*address, said) for address, sock in sockets.items() if (said := _heard(sock))]
    for sock in sockets.values():
        sock.close()
    return found


def _heard(sock: Any) -> str:
    """What came, if it is a message of Locust's: a greeting of NATS reads as one of ZeroMQ's by accident."""
    try:
        said = bytes(sock.recv(zmq.NOBLOCK))
    except zmq.ZMQError:
        return ""
    return repr(said) if said.startswith(b"\x93") else ""


def watched(processes: Sequence[int]) -> list[tuple[int, str]]:
    """What is seen of processes beside their command line, and which of them would take our signals."""
    found = [
        (pid, name) for pid in processes for name in ("environ", "maps", "fd", "cwd") if _shows(pid, name)
    ]
    for pid in processes:
        try:
            os.kill(pid, 0)
            found.append((pid, "kill"))
        except OSError:
            pass
    return found


def _shows(pid: int, name: str) -> bool:
    path = Path(f"/proc/{pid}/{name}")
    try:
        return bool(
            path.readlink() if name == "cwd" else os.listdir(path) if name == "fd" else path.read_bytes()
        )
    except OSError:
        return False


def everything(
    paths: Sequence[str], addresses: Sequence[Address], processes: Sequence[int], roles: Sequence[str]
) -> dict[str, Any]:
    """All of it, in one process."""
    return {
        "readable": readable(paths),
        "answered": [one for token in ("", "0" * 32) for one in answered(addresses, token)],
        "subscribed": subscribed(addresses),
        "logged_in": logged_in(addresses, roles),
        "joined": joined(addresses),
        "watched": watched(processes),
    }
