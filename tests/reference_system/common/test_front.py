"""Who is let into a service: those who show its token."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from reference_system.common.front import Front

TOKEN = b"x-access-token"
PATHS = (
    "/ready",
    "/metrics",
    "/backlog",
    "/records",
    "/admin/reset",
    "/admin/behaviour/decline",
    "/fhir/Patient/p",
)


class _Config:
    def __init__(self, token: str) -> None:
        self.token = token


class _Service:
    def __init__(self, token: str) -> None:
        self.config = _Config(token)


class _Routed(Exception):
    """The request got past the door."""


async def _router(*_: Any) -> None:
    raise _Routed


def status(token: str, path: str, *headers: tuple[bytes, bytes]) -> int:
    """What a service with this token answers; 0 when its routes would have answered."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    front = Front(_Service(token), _router)  # type: ignore[arg-type]  # the door needs no more of them
    front._answered = _router  # type: ignore[method-assign,assignment]  # which turns exceptions into answers
    scope = {"type": "http", "path": path, "headers": list(headers), "query_string": b"", "method": "GET"}
    try:
        asyncio.run(front(scope, receive, send))  # type: ignore[arg-type]
    except (_Routed, AttributeError):  # a request of a user goes on to what this stand-in does not have
        return 0
    return int(sent[0]["status"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shown", [(), ((TOKEN, b""),), ((TOKEN, b"abd"),), ((b"authorization", b"abc"),)])
def test_nobody_gets_in_without_the_token(path: str, shown: tuple[tuple[bytes, bytes], ...]) -> None:
    """Neither to what operators ask for nor to what users do."""
    assert status("abc", path, *shown) == 401


@pytest.mark.parametrize("path", PATHS)
def test_who_shows_the_token_gets_in(path: str) -> None:
    """So does everybody where none is asked for, as in a system that people start by themselves."""
    assert status("abc", path, (b"x-caller", b"checkin"), (TOKEN, b"abc")) == 0
    assert status("", path) == 0


def test_whether_the_process_lives_may_be_asked_by_all() -> None:
    """A platform asks that, and learns no more."""
    assert status("abc", "/health") == 0
    assert status("abc", "/healthy") == 401
