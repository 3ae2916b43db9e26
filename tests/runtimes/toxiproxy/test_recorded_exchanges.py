"""The API against exchanges that were recorded from a running Toxiproxy 2.12, and live against a real one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.runtimes.toxiproxy.calls import Answer, Call, ask, recorded_exchanges, stable_ports
from tests.runtimes.toxiproxy.conftest import Start
from tests.runtimes.toxiproxy.recording import recorded as our_recording

FIXED_PORT = re.compile(r"\b26\d{3}\b")
PORT = re.compile(r"(?:(?<=[\w\]]:)|(?<=address ))\d{5}\b")
STRUCT_FIELD = re.compile(r"Go struct field [\w.]*?(\w+) of type")
"""How much of a field's path is named depends on the Go version that built the server."""


class SamePorts:
    """Pairs ports of two servers: the same one here is always the same one there."""

    def __init__(self) -> None:
        self.pairs: dict[str, str] = {}

    def check(self, expected: str, found: str) -> None:
        """Raises AssertionError when the texts differ in more than ports, or a port changes its partner."""
        assert PORT.sub("PORT", found) == PORT.sub("PORT", expected)
        for theirs, ours in zip(PORT.findall(expected), PORT.findall(found), strict=True):
            assert self.pairs.setdefault(theirs, ours) == ours, (
                f"port {theirs} was {self.pairs[theirs]}, now {ours}"
            )


def on_loopback(answer: Answer) -> Answer:
    """The recorded answer with the one deliberate difference in it: no address means loopback."""
    body = answer.body.replace(b"[::]:", b"127.0.0.1:")
    headers = dict(answer.headers)
    if "content-length" in headers:
        headers["content-length"] = str(len(body))
    return replace(answer, body=body, headers=headers)


def with_ports(call: Call, ports: dict[str, int]) -> Call:
    """The call with the recorded ports replaced by free ones."""
    if call.body is None:
        return call
    return replace(call, body=FIXED_PORT.sub(lambda found: str(ports[found.group()]), call.body))


def test_recorded_exchanges_give_the_recorded_answers(start: Start) -> None:
    """Every recorded call gets the recorded status, headers and body from the embedded server."""
    exchanges = recorded_exchanges()
    if not exchanges:
        pytest.skip("the recorded exchanges are not on this machine (CODEBLUE_DATA)")
    fixed = sorted({port for call, _ in exchanges for port in FIXED_PORT.findall(call.body or "")})
    ports = dict(zip(fixed, stable_ports(len(fixed)), strict=True))
    same = SamePorts()
    embedded = start("embedded", "-proxy-metrics")
    for number, (call, recorded) in enumerate(exchanges, 1):
        found = ask(embedded.port, with_ports(call, ports))
        expected = on_loopback(recorded)
        what = f"exchange {number}: {call}"
        assert found.status == expected.status, f"{what}: {found}"
        assert found.headers == expected.headers, f"{what}: {found}"
        same.check(expected.body.decode(), found.body.decode())
    assert len(exchanges) >= 120


def comparable(answer: Answer) -> tuple[int, dict[str, str], str]:
    """What is equal on both servers: lengths depend on ports and on the wording of Go's field paths."""
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    if headers.get("content-type", "").startswith("text/plain; version"):
        headers["content-type"] = headers["content-type"].partition("; escaping")[0]
    text = STRUCT_FIELD.sub(r"Go struct field \1 of type", answer.body.decode())
    return answer.status, headers, PORT.sub("PORT", text)


def test_recorded_calls_are_answered_alike_by_both_servers(start: Start) -> None:
    """The recorded calls, sent to both servers, get the same status, headers and body from each."""
    exchanges = recorded_exchanges()
    if not exchanges:
        pytest.skip("the recorded exchanges are not on this machine (CODEBLUE_DATA)")
    fixed = sorted({port for call, _ in exchanges for port in FIXED_PORT.findall(call.body or "")})
    ours, theirs = (dict(zip(fixed, stable_ports(len(fixed)), strict=True)) for _ in range(2))
    while set(ours.values()) & set(theirs.values()):
        theirs = dict(zip(fixed, stable_ports(len(fixed)), strict=True))
    embedded, real = start("embedded", "-proxy-metrics"), start("real", "-proxy-metrics")
    for call, _ in exchanges:
        call = naming_an_interface(call)
        found, expected = ask(embedded.port, with_ports(call, ours)), ask(real.port, with_ports(call, theirs))
        assert comparable(found) == comparable(expected), call


def naming_an_interface(call: Call) -> Call:
    """The real server would listen on every interface; a test does not."""
    body = (call.body or "").replace('": ":26003"', '": "127.0.0.1:26003"')
    if call.path == "/proxies" and '"name": "a", "upstream"' in body:
        body = body.replace("}", ', "listen": "127.0.0.1:0"}')
    return replace(call, body=body or None)


def test_our_own_recording_gives_the_recorded_answers(start: Start) -> None:
    """Everywhere: each call of the recording gets the status, headers and body that the real server gave."""
    embedded = start("embedded")
    for call, answer in our_recording():
        assert comparable(ask(embedded.port, call)) == comparable(answer), call


def test_our_own_recording_is_what_the_real_server_answers(start: Start) -> None:
    """Where the real server is, it still answers as it did when it was recorded: without its metrics, which
    the harness has it tell."""
    real = start("real")
    for call, answer in our_recording():
        if call.path == "/metrics":
            continue
        assert comparable(ask(real.port, call)) == comparable(answer), call
