"""A real HTTP server on loopback that answers as it is told: well, slowly, cut short, or not at all."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as it came in; `at` on CLOCK_MONOTONIC."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Say:
    """What to do with a request: answer `after_s` seconds, or cut the connection in some way instead."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    how: Literal["answer", "close", "reset", "truncate", "truncate_head", "garbage", "hang"] = "answer"


Respond = Callable[[Heard], Say]


def well(heard: Heard) -> Say:
    """Answers every journey as the reference system would, without remembering anything."""
    if heard.path == "/checkins":
        extension = [{"url": "urn:codeblue:eligibility", "valueCode": "in-force"}]
        return Say(201, {"resourceType": "Encounter", "extension": extension})
    if heard.path == "/claims":
        return Say(201, {"status": "submitted"})
    if heard.path.startswith("/invoices/"):
        return Say(200, {"status": "paid"})
    if heard.path.startswith("/fhir/MedicationRequest"):
        version = int(heard.headers.get("if-match", 'W/"0"')[3:-1]) + 1
        return Say(201, {"resourceType": "MedicationRequest"}, {"ETag": f'W/"{version}"'})
    if heard.path.startswith("/worklist/"):
        return Say(200, {"version": 1, "dose": "5 mg"})
    if heard.path == "/dispenses":
        reference = f"MedicationRequest/{json.loads(heard.body)['prescription']}/_history/1"
        dispense = {
            "authorizingPrescription": [{"reference": reference}],
            "dosageInstruction": [{"text": "5 mg"}],
        }
        return Say(201, dispense)
    return Say(404, {})


@dataclass(slots=True)
class LocalSystem:
    """A running server: its address and what it has heard."""

    base: str
    heard: list[Heard]


@contextmanager
def local_system(respond: Respond = well) -> Iterator[LocalSystem]:
    """Serve in a thread until the block ends."""
    heard: list[Heard] = []
    port: list[int] = []
    up = threading.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: _serve(r, w, respond, heard), "127.0.0.1", 0)
        port.append(server.sockets[0].getsockname()[1])
        up.set()
        await asyncio.Event().wait()

    def run() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(main())
        task.add_done_callback(lambda _: loop.stop())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(5), "the server did not start"
    try:
        yield LocalSystem(f"http://127.0.0.1:{port[0]}", heard)
    finally:
        loop.call_soon_threadsafe(_cancel_all, loop)
        thread.join(5)
        loop.close()


def refused_address() -> str:
    """A loopback address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond, heard: list[Heard]
) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request = Heard(method, path, headers, body, time.monotonic())
            heard.append(request)
            if not await _say(respond(request), writer):
                return
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        pass
    finally:
        writer.transport.abort()


async def _say(say: Say, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection goes on."""
    if say.after_s:
        await asyncio.sleep(say.after_s)
    body = (
        b""
        if say.body is None
        else say.body
        if isinstance(say.body, bytes)
        else json.dumps(say.body).encode()
    )
    lines = [f"HTTP/1.1 {say.status} X", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in say.headers.items()]
    answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    if say.how == "hang":
        await asyncio.sleep(60)
    elif say.how == "garbage":
        answer = b"SMTP ready when you are\r\n\r\n"
    elif say.how == "truncate":
        answer = answer[:-1]
    elif say.how == "truncate_head":
        answer = answer[:12]
    elif say.how == "reset":
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False
    elif say.how == "close":
        writer.close()
        return False
    writer.write(answer)
    await writer.drain()
    if say.how in ("truncate", "truncate_head"):
        writer.close()
        return False
    return True
