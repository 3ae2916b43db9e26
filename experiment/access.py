"""The token that lets the harness, its load and the services of one instance in, and nobody else.

It travels as a header of HTTP. Addresses carry it as the password of a URL inside the harness only; what is
written down has it taken off.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

HEADER = "x-access-token"


def shown(token: str) -> dict[str, str]:
    """The headers that show a token; none for an empty one."""
    return {HEADER: token} if token else {}


def with_token(host: str, port: int, token: str) -> str:
    """The base address of a service, with its token where it has one."""
    return f"http://:{token}@{host}:{port}" if token else f"http://{host}:{port}"


def without_token(url: str) -> tuple[str, str]:
    """A base address as it may be written down, and the token that it had."""
    parts = urlsplit(url)
    bare = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=bare)), parts.password or ""
