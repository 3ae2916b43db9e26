"""The official command line, `toxiproxy-cli`, says the same of both servers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.links.servers import RunningToxiproxy
from tests.runtimes.toxiproxy.conftest import Start

PORT = re.compile(r":\d{4,5}\b")
COMMANDS = """
create -l 127.0.0.1:0 -u 127.0.0.1:9 red
create -l 127.0.0.1:0 -u 127.0.0.1:9 red
list
inspect red
toxic add -t latency -a latency=100 -a jitter=5 red
toxic add -t bandwidth -n bw --upstream -a rate=10 red
toxic add -t slicer -a average_size=10 --toxicity 0.5 red
toxic update -n bw -a rate=20 red
toxic update -n bw --toxicity 0.5 red
inspect red
toggle red
list
toggle red
toxic remove -n bw red
toxic remove -n bw red
toxic add -t nope red
toxic add -t latency -a latency=x red
create -l 127.0.0.1:0 -u x red
inspect none
delete red
delete red
list
toxic add -t slicer red
"""


def cli() -> str:
    """The program; skips the test where there is none."""
    for path in (None, str(Path(sys.prefix) / "bin")):
        if found := shutil.which("toxiproxy-cli", path=path):
            return found
    why = (
        "was not built, although Go is here: make toxiproxy"
        if shutil.which("go")
        else "is not on this machine"
    )
    pytest.skip(f"the real toxiproxy-server's toxiproxy-cli {why}")


def say(program: str, server: RunningToxiproxy, command: str) -> tuple[int, str]:
    """Exit code and output of one command, ports left out."""
    words = [program, "-h", f"{server.host}:{server.port}", *command.split()]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    return ended.returncode, PORT.sub(":PORT", ended.stdout + ended.stderr)


def test_every_command_says_the_same_of_both_servers(start: Start) -> None:
    """Proxies and toxics are made, listed, changed and removed, rightly and wrongly, with one result."""
    program = cli()
    embedded, real = start("embedded"), start("real")  # of its own: others' proxies would be listed too
    codes = []
    for command in COMMANDS.strip().splitlines():
        ours, theirs = say(program, embedded, command), say(program, real, command)
        assert ours == theirs, command
        codes.append(ours[0])
    assert codes.count(0) == 15


def test_the_command_line_works_with_the_embedded_server(embedded: RunningToxiproxy) -> None:
    """Also where no real server is: what was created is shown with its toxic, and goes."""
    program = cli()
    assert say(program, embedded, "create -l 127.0.0.1:0 -u 127.0.0.1:9 blue")[0] == 0
    assert say(program, embedded, "toxic add -t latency -a latency=100 blue")[0] == 0
    shown = say(program, embedded, "inspect blue")[1]
    assert "latency_downstream" in shown
    assert "latency=100" in shown
    assert say(program, embedded, "delete blue") == (0, "Deleted proxy blue\n")
