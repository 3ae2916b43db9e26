"""What is spoken between services: TLS as the callee wants it, on the port that speaks plain HTTP too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import uvicorn

from reference_system.common.config import Certificates, Design
from reference_system.common.http_client import HttpClient, NotConnected
from reference_system.common.server import spoken_by
from reference_system.common.transport import PLAIN, Mode, Speech, Transport
from runtimes.certificates import Authority, name_in_certificate

AUTHORITY, STRANGE = Authority(), Authority()
SERVICE = "lab_archive"
NAME = name_in_certificate(SERVICE)
PAD = "x" * 70_000  # more than one record of TLS holds


def certificates(authority: Authority = AUTHORITY) -> Certificates:
    return msgspec.convert(authority.of(SERVICE), Certificates, from_attributes=True)


def transport(mode: Mode, authority: Authority = AUTHORITY) -> Transport:
    made = Transport(certificates(authority))
    made.apply(mode)
    return made


def speech(mode: Mode = "required", name: str = NAME, authority: Authority = AUTHORITY) -> Speech:
    return transport("none", authority).speech(Design(services={SERVICE: {"tls": mode}}), SERVICE, name)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says how it was asked, and how much it got."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = f"{scope['scheme']} {len(body)}".encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]}
    )
    await send({"type": "http.response.body", "body": said})


@contextlib.asynccontextmanager
async def serving(tls: Transport, listener: Any = None) -> AsyncIterator[int]:
    """A port of a server that speaks so."""
    spoken: Any = spoken_by(tls, listener)
    config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, http=spoken)
    config.load()
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    made = await loop.create_server(
        lambda: spoken(config, server.server_state, {}),
        "127.0.0.1",
        0,
    )
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        made.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()


def played(tls: Transport, scene: Callable[[HttpClient, int], Awaitable[Any]], how: Speech) -> Any:
    async def run() -> Any:
        async with serving(tls) as port, asyncio.timeout(10):
            client = HttpClient("127.0.0.1", port)
            client.speak(how)
            try:
                return await scene(client, port)
            finally:
                client.close()

    return asyncio.run(run())


async def asked_twice(client: HttpClient, _port: int) -> list[str]:
    """Over one connection, with a body that needs more than one record."""
    replies = [await client.request("POST", "/", {}, PAD.encode()) for _ in range(2)]
    return [reply.body.decode() for reply in replies]


@pytest.mark.parametrize(
    ("mode", "how", "scheme"),
    [
        ("none", PLAIN, "http"),
        ("preferred", PLAIN, "http"),
        ("required", PLAIN, "http"),  # what a service may not is the front's to refuse; users may
        ("preferred", speech("preferred"), "https"),
        ("required", speech(), "https"),
    ],
)
def test_one_port_speaks_both(mode: Mode, how: Speech, scheme: str) -> None:
    """The first byte of a connection tells which, and the request itself knows it."""
    assert played(transport(mode), asked_twice, how) == [f"{scheme} {len(PAD)}"] * 2


def expired() -> Transport:
    made = transport("required")
    made.expire(True)
    return made


@pytest.mark.parametrize(
    ("tls", "how", "why"),
    [
        (expired(), speech(), "certificate has expired"),
        (transport("required"), speech(name="registry"), "Hostname mismatch"),
        (transport("required"), speech(authority=STRANGE), "unable to get local issuer|self-signed"),
        (transport("none"), speech(), "SSL|lost|reset|closed"),  # it answers in plain text
    ],
)
def test_who_cannot_verify_its_callee_asks_nothing(tls: Transport, how: Speech, why: str) -> None:
    """Not in plain text either."""
    with pytest.raises(NotConnected, match=why):
        played(tls, asked_twice, how)


def test_who_only_prefers_tls_goes_on_in_plain_text() -> None:
    """The failure that `required` is there against."""
    assert played(expired(), asked_twice, speech("preferred")) == [f"http {len(PAD)}"] * 2


def test_a_certificate_expires_and_is_renewed_while_the_port_is_open() -> None:
    """Each new connection sees the one that is shown now; a design that begins has the good one."""
    tls = transport("required")

    async def scene(client: HttpClient, _port: int) -> list[str]:
        seen = []
        for shown in (False, True, False, True):
            tls.expire(shown)
            client.close()
            try:
                seen.append((await client.request("GET", "/", {}, None)).body.decode())
            except NotConnected:
                seen.append("expired")
        tls.apply("required")
        seen.append((await client.request("GET", "/", {}, None)).body.decode())
        return seen

    assert played(tls, scene, speech()) == ["https 0", "expired", "https 0", "expired", "https 0"]


def test_kept_connections_are_closed_when_another_certificate_is_shown() -> None:
    """Else nobody would notice for as long as connections are kept."""
    tls, closed = transport("required"), []
    tls.hang_up = lambda: closed.append(tls.expired)
    for shown in (True, True, False):
        tls.expire(shown)
    assert closed == [True, False]


def test_the_greeting_may_come_in_pieces_and_the_listener_gets_the_rest() -> None:
    """A service with a protocol of its own speaks three on one port."""
    heard: list[bytes] = []

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    async def run() -> str:
        async with serving(transport("required"), listener) as port, asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x0bMSH")
            assert await reader.read(1) == b""
            writer.close()
            client = HttpClient("127.0.0.1", port)
            client.speak(speech())
            answer = await client.request("GET", "/", {}, None)
            client.close()
            return answer.body.decode()

    assert asyncio.run(run()) == "https 0"
    assert heard == [b"\x0bMSH"]


def test_a_handshake_that_breaks_off_leaves_nothing_behind() -> None:
    """The port serves the next caller."""

    async def scene(client: HttpClient, port: int) -> str:
        for greeting in (b"\x16", b"\x16\x03\x01\x00\x05nonsense", b"\x16" * 600):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(greeting)
            await writer.drain()
            writer.close()
        return (await client.request("GET", "/", {}, None)).body.decode()

    assert played(transport("required"), scene, speech()) == "https 0"


def test_a_design_with_tls_needs_certificates() -> None:
    """Nothing is spoken in plain text because a file was forgotten."""
    bare = Transport(None)
    bare.check(Design(services={SERVICE: {"tls": "none"}}))
    with pytest.raises(ValueError, match=f"tls of {SERVICE} is on; expected certificates"):
        bare.check(Design(services={SERVICE: {"tls": "preferred"}}))
