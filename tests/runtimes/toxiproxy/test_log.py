"""Log lines are JSON, from the level that LOG_LEVEL asks for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import ROOT
from runtimes.loopback import free_port, taken
from runtimes.toxiproxy.log import Level, Log, level_from


@pytest.mark.parametrize(
    ("value", "level"),
    [(None, Level.INFO), ("debug", Level.DEBUG), ("ERROR", Level.ERROR), ("loud", Level.INFO)],
)
def test_the_level_comes_from_the_environment(value: str | None, level: Level) -> None:
    """Any case; a word that is no level is as none."""
    assert level_from(value) is level


def test_a_line_is_one_json_object(capfd: pytest.CaptureFixture[str]) -> None:
    """Level, fields, time and message, and nothing below the level."""
    log = Log(Level.INFO)
    log.debug("not this")
    log.info("Started proxy", name="a\nb", port=5)
    log.error("Unexpected")
    first, second = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert (first["level"], first["message"], first["name"], first["port"]) == (
        "info",
        "Started proxy",
        "a\nb",
        5,
    )
    assert second["level"] == "error"
    assert first["time"].endswith("Z")


def drained(descriptor: int) -> bytes:
    """What waits in a pipe."""
    content = b""
    with suppress(BlockingIOError):
        while part := os.read(descriptor, 1 << 20):
            content += part
    return content


@pytest.mark.parametrize("length", [10, 5_000])
def test_a_full_pipe_drops_lines_and_counts_them(length: int) -> None:
    """Writing never waits; whoever reads again finds whole lines, and how many are missing between them."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        log = Log(Level.INFO, writer)
        for number in range(3000):
            log.info("x" * length, number=number)
        assert log.dropped
        content = b""
        while log.dropped:
            content += drained(reader)
            number += 1
            log.info("again", number=number)
        content += drained(reader)
    finally:
        os.close(reader)
        os.close(writer)
    lines = [json.loads(line) for line in content.splitlines()]
    found = [line["number"] for line in lines if "number" in line]
    assert found == [*range(len(found) - 1), number]
    assert [line["count"] for line in lines if "count" in line] == [number + 1 - len(found)]


def test_a_server_whose_log_nobody_reads_goes_on() -> None:
    """Connections and the API are served while a pipe on standard output is full."""
    port = free_port()
    command = [sys.executable, "-m", "runtimes.toxiproxy", "-port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as server:
        try:
            end = time.monotonic() + 20
            while not taken(port):
                assert time.monotonic() < end, "the server does not start"
                time.sleep(0.02)
            adapter = Toxiproxy("127.0.0.1", port, deadline_s=10)
            proxy = adapter.create_proxy("p", listen="127.0.0.1:0", upstream="127.0.0.1:1")
            for _ in range(500):  # each is a line of more than 150 bytes, and a pipe holds 65,536
                with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
                    assert client.recv(1) == b""
            assert adapter.version() == "2.12.0"
        finally:
            server.kill()
