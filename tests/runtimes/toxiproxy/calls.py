"""Calls to a Toxiproxy API as bytes on the wire, recorded exchanges, and what is compared of an answer."""

from __future__ import annotations

import ast
import http.client
import os
import random
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

COMPARED_HEADERS = (
    "content-type",
    "content-length",
    "x-content-type-options",
    "location",
    "transfer-encoding",
)
CALL_DEADLINE_S = 10.0
BELOW_EPHEMERAL = range(20_000, 32_000)
"""Ports that no outgoing connection is given, so that one which is free now stays free."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    path: str
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is compared of a response: the status, the headers that mean something, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def recorded_exchanges() -> list[tuple[Call, Answer]]:
    """The exchanges recorded from a running 2.12; empty when CODEBLUE_DATA does not lead to them."""
    path = Path(os.environ.get("CODEBLUE_DATA", "")) / "toxiproxy" / "api_transcript_2.12.txt"
    if not os.environ.get("CODEBLUE_DATA") or not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        (_call(asked), _answer(answered)) for asked, answered in zip(lines[::2], lines[1::2], strict=True)
    ]


def _call(line: str) -> Call:
    method, path, rest = line.split(" ", 2)
    if rest.startswith("body="):
        return Call(method, path, rest.removeprefix("body=").removesuffix(" "))
    headers: dict[str, str] = ast.literal_eval(rest.strip()) if rest.strip() else {}
    return Call(method, path, None, headers)


def _answer(line: str) -> Answer:
    found = re.fullmatch(r"   -> (\d+) (\{.*?\}) (b['\"].*)", line)
    assert found is not None, line
    body: bytes = ast.literal_eval(found[3])
    headers: dict[str, str] = ast.literal_eval(found[2])
    return Answer(int(found[1]), headers, body)


def ask(port: int, call: Call) -> Answer:
    """Send `call` as it stands, and read the whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_DEADLINE_S)
    try:
        body = None if call.body is None else call.body.encode()
        connection.request(call.method, call.path, body, dict(call.headers))
        response = connection.getresponse()
        content = response.read()
        shown = {name.lower(): value for name, value in response.getheaders()}
        headers = {name: shown[name] for name in COMPARED_HEADERS if name in shown}
        return Answer(response.status, headers, content)
    finally:
        connection.close()


def stable_ports(count: int) -> list[int]:
    """Different free ports that stay free: no system hands them out by itself."""

    def free() -> Iterator[int]:
        candidates = list(BELOW_EPHEMERAL)
        random.SystemRandom().shuffle(candidates)
        for port in candidates:
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            yield port

    ports = free()
    return [next(ports) for _ in range(count)]
