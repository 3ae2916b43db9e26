"""Who is let into a service: those who show its token."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from starlette.requests import Request

from reference_system.common.config import Config, Listen
from reference_system.common.disclosure import services_only
from reference_system.common.fhir import Refused
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


class _Service:
    def __init__(self, token: str, callers: dict[str, str] | None = None) -> None:
        self.config = Config("asked", Listen(), token=token, callers=callers or {})


class _Routed(Exception):
    """The request got past the door."""


async def _router(*_: Any) -> None:
    raise _Routed


def status(
    token: str, path: str, *headers: tuple[bytes, bytes], callers: dict[str, str] | None = None
) -> int:
    """What a service with this token answers; 0 when its routes would have answered."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    front = Front(_Service(token, callers), _router)  # type: ignore[arg-type]  # the door needs no more of them
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


@pytest.mark.parametrize("path", PATHS)
def test_a_service_shows_its_own_key(path: str) -> None:
    """Neither the token, which users have, nor the key of another makes anybody this service."""
    keys = {"checkin": "of-checkin", "lab": "of-lab"}
    for named, shown, found in [
        (b"checkin", b"of-checkin", 0),
        (b"checkin", b"of-lab", 401),
        (b"checkin", b"abc", 401),
        (b"client", b"abc", 0),
        (b"client", b"of-checkin", 401),
        (b"unknown", b"abc", 0),  # let in as a person
        (b"unknown", b"of-lab", 401),
    ]:
        assert status("abc", path, (b"x-caller", named), (TOKEN, shown), callers=keys) == found


def test_only_who_may_ask_is_a_service() -> None:
    """Whoever else names itself one is a person, and asked for a role. Without keys a name is believed."""
    known, open_ = Config("asked", Listen(), callers={"checkin": "key"}), Config("asked", Listen())
    named = ("checkin", "dashboard", "client", "")
    assert [known.is_service(name) for name in named] == [True, False, False, False]
    assert [open_.is_service(name) for name in named] == [True, True, False, False]


def test_what_is_for_services_only_is_told_to_no_person() -> None:
    """Nor to who names itself a service that may not ask."""
    known = Config("asked", Listen(), callers={"checkin": "key"})
    for named, told in ((b"checkin", True), (b"dashboard", False), (b"client", False)):
        request = Request({"type": "http", "headers": [(b"x-caller", named)]})
        with contextlib.nullcontext() if told else pytest.raises(Refused, match="services only"):
            services_only(known, request)
    services_only(Config("asked", Listen()), Request({"type": "http", "headers": []}))


def test_whether_the_process_lives_may_be_asked_by_all() -> None:
    """A platform asks that, and learns no more."""
    assert status("abc", "/health") == 0
    assert status("abc", "/healthy") == 401
