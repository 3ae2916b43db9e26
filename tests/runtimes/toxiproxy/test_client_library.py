"""`toxiproxy-python` as it comes, through all its calls, gets the same results from both servers."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from runtimes.links.servers import ROOT, RunningToxiproxy
from tests.runtimes.toxiproxy.calls import stable_ports

PORT = re.compile(r"(?<=:)\d{4,5}\b")


def results(server: RunningToxiproxy) -> list[str]:
    """The results as text, ports left out."""
    (listen_port,) = stable_ports(1)
    module = "tests.runtimes.toxiproxy.client_calls"
    command = [sys.executable, "-m", module, str(server.port), str(listen_port)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return [PORT.sub("PORT", json.loads(line)) for line in ended.stdout.splitlines()]


def test_every_call_of_the_library_gives_what_it_promises(embedded: RunningToxiproxy) -> None:
    """Against the embedded server the library creates, changes, reads and removes as with the original."""
    found = results(embedded)
    assert found[:3] == ["True", "'2.12.0'", "{}"]
    assert found[5] == "'This proxy already exists.'"
    assert len(found) == 29
    assert found[-1] == "{}"


def test_every_call_of_the_library_gives_the_same_on_both_servers(
    embedded: RunningToxiproxy, real: RunningToxiproxy
) -> None:
    """All results, objects and error texts of the library are identical behind both servers."""
    ours, theirs = results(embedded), results(real)
    theirs[1] = theirs[1].replace("git", "2.12.0")  # the version of a server that was built without one
    assert ours == theirs
