"""One service of the stand-in system; `python -m tests.standin.service --config FILE`.

`POST /work` at `front` calls `POST /work` at `back` over its link; `back` commits (counts) the work. Beside
this it serves what every service of a system under test serves. Environment variables choose how it fails
at start.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPLY = "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"


def whole(value: Any) -> Any:
    """Whole numbers without a fraction."""
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


class DropReply(Exception):
    """The connection is to be closed without an answer."""


@dataclass(slots=True)
class Service:
    config: dict[str, Any]
    run: str = ""
    done: list[dict[str, Any]] = field(default_factory=list)
    received: dict[str, int] = field(default_factory=dict)
    behaviours: dict[str, dict[str, Any]] = field(default_factory=dict)
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    patients: int = 0
    design: dict[str, Any] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, answer = await self.answer(method, path, headers, body)
                writer.write(REPLY.format(status=status, length=len(answer)).encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, DropReply):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if path in ("/health", "/ready"):
            return 200, b"{}"
        if path.startswith("/admin/behaviour/"):
            return 200, self.behaviour(method, path.rpartition("/")[2], body)
        if path == "/admin/reset":
            return self.reset(json.loads(body))
        if path == "/work":
            return await self.work(headers.get("x-caller", ""))
        pages: dict[str, Any] = {
            "/metrics": {
                "service": self.config["service"],
                "unix_time": time.time(),
                "received": self.received,
                "links": {},
            },
            "/backlog": {"outbox": 0},
        }
        if path == "/design":
            return 200, json.dumps(self.shown()).encode()
        if path == "/records":
            return 200, b"".join(json.dumps(row).encode() + b"\n" for row in self.done)
        return (200, json.dumps(pages[path]).encode()) if path in pages else (404, b"{}")

    def reset(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        if asked["design"]["name"] == "refused":
            return 500, b'{"error": "this design is refused"}'
        if asked["design"]["name"] == "structural" and self.config["design"]["name"] != "structural":
            return 409, b'{"restart": true}'
        self.run, self.rng = asked["run"], random.Random(asked["seed"])
        self.design = asked["design"]
        self.patients = len(asked["patients"])
        self.done.clear()
        self.received.clear()
        self.behaviours.clear()
        print(json.dumps({"reset": self.run}), flush=True)
        return 200, b"{}"

    def shown(self) -> dict[str, Any]:
        """It has no switches to obey: what it was told last stands for what it does."""
        name, design = self.config["service"], self.design or self.config["design"]
        obeys = dict(design["services"].get(name, {}))
        for link, patterns in design["links"].items():
            if link.startswith(f"{name} -> "):
                obeys |= {f"{link}: {pattern}": whole(value) for pattern, value in patterns.items()}
        text = json.dumps(obeys, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return {"digest": hashlib.sha256(text.encode()).hexdigest(), "obeys": obeys}

    def behaviour(self, method: str, name: str, body: bytes) -> bytes:
        if method == "PUT":
            self.behaviours[name] = {"active": True, "done": True, "applied": 0, **json.loads(body or b"{}")}
        elif method == "DELETE":
            self.behaviours.pop(name, None)
        return json.dumps(self.behaviours.get(name, {"active": False, "applied": 0})).encode()

    def drawn(self, name: str, caller: str) -> dict[str, Any] | None:
        behaviour = self.behaviours.get(name)
        if behaviour is None or behaviour["caller"] != caller:
            return None
        if self.rng.random() >= behaviour.get("share", 1.0):
            return None
        behaviour["applied"] += 1
        return behaviour

    async def work(self, caller: str) -> tuple[int, bytes]:
        self.received[caller] = self.received.get(caller, 0) + 1
        link = self.config["links"].get("back")
        if link is not None:
            return await forward(link["host"], link["port"], self.config["service"])
        if refusal := self.drawn("error_share", caller):
            return int(refusal["status"]), b"{}"
        if slow := self.drawn("slow_processing", caller):
            await asyncio.sleep(slow["delay_s"])
        if tail := self.drawn("drawn_delays", caller):
            await asyncio.sleep(tail["delays_s"][(tail["applied"] - 1) % len(tail["delays_s"])])
        row = {"kind": "work", "key": f"w-{len(self.done)}", "at": time.time(), "caller": caller}
        self.done.append(row)
        self.drawn("redelivery", self.config["service"])  # each request stands for an event, too
        if self.drawn("lost_response", caller):
            raise DropReply
        return 200, b"{}"


async def forward(host: str, port: int, caller: str) -> tuple[int, bytes]:
    """Ask the callee for the work; 502 when it does not answer."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"POST /work HTTP/1.1\r\nx-caller: {caller}\r\ncontent-length: 0\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return 502, b"{}"
    return int(head.split(b" ")[1]), b"{}"


async def main(config: dict[str, Any]) -> None:
    service = Service(config)
    listen = config["listen"]
    server = await asyncio.start_server(service.serve, listen["host"], listen["port"], limit=1 << 22)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    spans = Path(config["spans"])
    with spans.open("a") as file:
        file.write(json.dumps({"service": config["service"], "name": "start"}) + "\n")
    async with server:
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    chosen = json.loads(parser.parse_args().config.read_text())
    if os.environ.get("TZ") == f"dies/{chosen['service']}":
        print("the first line of its log", file=sys.stderr)
        raise SystemExit("this service was told to die at start")
    asyncio.run(main(chosen))
