"""Addresses as ``host:port``, read and worded as the original's clients know them."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from dataclasses import dataclass
from functools import lru_cache

from runtimes.toxiproxy.errors import ApiError, address_error

LOOKUP_DEADLINE_S = 5.0
LARGEST_PORT = 65535
LISTEN_BACKLOG = 4096
EVERY_INTERFACE = "::"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved address; an empty ``host`` is every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def split(address: str) -> tuple[str, str]:
    """The host and port of ``address``, brackets removed. Raises ValueError with the reason."""
    last_colon = address.rfind(":")
    if last_colon < 0:
        raise ValueError(f"address {address}: missing port in address")
    if address.startswith("["):
        end = address.find("]")
        if end < 0:
            raise ValueError(f"address {address}: missing ']' in address")
        if end + 1 == len(address):
            raise ValueError(f"address {address}: missing port in address")
        if end + 1 != last_colon:
            too_many = address[end + 1] == ":"
            reason = "too many colons in address" if too_many else "missing port in address"
            raise ValueError(f"address {address}: {reason}")
        host, rest = address[1:end], address[end + 1 :]
    else:
        host, rest = address[:last_colon], address
        if ":" in host:
            raise ValueError(f"address {address}: too many colons in address")
    for bracket in "[]":
        if bracket in host or (bracket in rest):
            raise ValueError(f"address {address}: unexpected '{bracket}' in address")
    return host, address[last_colon + 1 :]


def port_number(port: str) -> int:
    """A port by number or service name. Raises ValueError with the reason."""
    if not port:
        return 0
    digits = port[1:] if port[0] in "+-" else port
    if digits.isascii() and digits.isdigit():
        number = int(port)
        if not 0 <= number <= LARGEST_PORT:
            raise ValueError(f"address {port}: invalid port")
        return number
    try:
        return socket.getservbyname(port, "tcp")
    except OSError:
        raise ValueError(f"lookup tcp/{port}: unknown port") from None


@lru_cache
def to_dial(address: str) -> tuple[str, int]:
    """The host and port of an upstream; no host is this machine. Raises ValueError with the reason."""
    host, port = split(address)
    return host or "localhost", port_number(port)


async def resolve(address: str) -> Address:
    """``address`` with its host as a number, IPv4 before IPv6. Raises ApiError 500."""
    if not address:
        return Address("", 0)
    try:
        host, port_text = split(address)
        port = port_number(port_text)
    except ValueError as error:
        raise address_error(str(error)) from None
    if not host:
        return Address("", port)
    try:
        return Address(str(ipaddress.ip_address(host)), port)
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_DEADLINE_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise address_error(f"lookup {host}: no such host") from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return Address(str(found[0][4][0]), port)


async def listen(address: str, *, any_host: str) -> socket.socket:
    """A listening socket on ``address``; ``any_host`` when it names no host. Raises ApiError 500."""
    try:
        resolved = await resolve(address)
    except ApiError as error:
        raise address_error(f"listen tcp: {error.message}") from None
    host = resolved.host or any_host
    if host == EVERY_INTERFACE and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if not resolved.host else 1)
        sock.bind((host, resolved.port))
        sock.listen(LISTEN_BACKLOG)
    except OSError as error:
        sock.close()
        # The wording of a system call's error is the C library's in lower case.
        reason = os.strerror(error.errno or errno.EINVAL)
        raise address_error(f"listen tcp {resolved}: bind: {reason[0].lower()}{reason[1:]}") from None
    return sock


def of_socket(sock: socket.socket) -> str:
    """The address that ``sock`` is bound to."""
    host, port = sock.getsockname()[:2]
    return str(Address(host, port))
