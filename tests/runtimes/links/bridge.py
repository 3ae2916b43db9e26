"""Links `a -> b1`, `a -> b2`, ... through one Toxiproxy server, with a callee that answers, and callers."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from execution.runs.timeline import beside
from experiment.controls import Controls
from experiment.fault_proof import FaultProof, look_at
from experiment.plan import Activation
from experiment.rows import FaultEvent, Row
from experiment.topology import Link
from faults import KINDS
from runtimes.leftovers import Journal
from runtimes.links.adapter import Toxiproxy
from runtimes.links.controls import ProxiedLink, proxy_name
from runtimes.links.conversations import Opener
from runtimes.links.probes import LinkProber
from runtimes.links.servers import BINARY, ServerChoice, start_server
from runtimes.links.traffic import LinkTraffic, TrafficMeter
from runtimes.live_controls import LiveControls
from runtimes.loopback import HOST
from runtimes.runtime import Address

BEGIN_S = 1.2  # of a fault: a few questions have come before it
QUESTION = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"
KINDS_OF_SERVER = ("embedded", "real")


class _Callee(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves as one

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None: ...


def server_choice(kind: str) -> ServerChoice:
    """The embedded server, or the real one; skips by name where there is none."""
    if kind == "embedded":
        return ServerChoice("embedded", "tested", argv=(sys.executable, "-m", "runtimes.toxiproxy"))
    found = shutil.which(BINARY) or shutil.which(BINARY, path=str(Path(sys.prefix) / "bin"))
    if found is None:
        pytest.skip("the real toxiproxy-server is not on this machine")
    return ServerChoice("real", "tested", argv=(found,))


@dataclass(frozen=True, slots=True)
class Bridge:
    """A link that is up: its control, its proxies' server, and where its caller connects."""

    name: str
    proxy: str
    link: ProxiedLink
    proxies: Toxiproxy
    traffic: LinkTraffic
    prober: LinkProber
    door: Address

    def controls(self) -> Controls:
        return cast(Controls, LiveControls({self.name: self.link}, {}, {}))

    def connect(self) -> socket.socket:
        return socket.create_connection((self.door.host, self.door.port), timeout=5)

    @contextmanager
    def called(self, *, pooled: bool) -> Iterator[None]:
        """Somebody asks ten times a second, over one connection or a new one each time."""
        stop = threading.Event()
        caller = threading.Thread(target=self._call, args=(stop, pooled))
        caller.start()
        try:
            yield
        finally:
            stop.set()
            caller.join()

    def _call(self, stop: threading.Event, pooled: bool) -> None:
        line: socket.socket | None = None
        while not stop.wait(0.1):
            with suppress(OSError):
                line = line or self.connect()
                line.settimeout(1.0)
                line.sendall(QUESTION)
                answered = bool(line.recv(1000))
                if pooled and answered:
                    continue
            if line is not None:
                line.close()
            line = None
        if line is not None:
            line.close()

    def play(
        self, kind: str, lasting_s: float, meanwhile: Callable[[], object] | None = None, **parameters: Any
    ) -> list[FaultEvent]:
        """A fault with its whole proof, in real time; `meanwhile` is called a second after its begin."""
        fault = KINDS[kind](**parameters)
        rows: list[Row] = []
        zero_s = time.monotonic()
        acting = Activation("f1", fault, self.name, BEGIN_S, BEGIN_S + lasting_s)
        zero = look_at(fault, self.controls(), self.name, "f1")
        proof = FaultProof(
            acting,
            self.controls(),
            lambda: time.monotonic() - zero_s,
            rows.append,
            zero=zero,
            begin=beside,
            ahead_s=BEGIN_S,
        )
        timer = threading.Timer(BEGIN_S + 1.0, meanwhile or (lambda: None))
        timer.start()
        for until in proof.steps():
            time.sleep(max(0.0, until - (time.monotonic() - zero_s)))
        timer.join()
        return cast(list[FaultEvent], rows)


@contextmanager
def bridges(kind: str, folder: Path, count: int = 1) -> Iterator[list[Bridge]]:
    """So many links, up with one server of this kind."""
    callee = ThreadingHTTPServer((HOST, 0), _Callee)
    callee.daemon_threads = True
    serving = threading.Thread(target=callee.serve_forever, daemon=True)
    serving.start()
    server = start_server(server_choice(kind), folder=folder, seed=1, deadline_s=20)
    proxies = Toxiproxy(server.host, server.port, token=server.token)
    meter = TrafficMeter(proxies)
    journal = Journal(folder / "var", "bridge")
    made: list[Bridge] = []
    for number in range(1, count + 1):
        link = Link("a", f"b{number}")
        upstream = f"{HOST}:{callee.server_address[1]}"
        state = proxies.create_proxy(proxy_name(link), listen=f"{HOST}:0", upstream=upstream)
        door = Address(HOST, state.port)
        traffic = LinkTraffic(meter, proxy_name(link), door, paired=True)
        prober = LinkProber(Opener("http", door, account=traffic.probes))
        control = ProxiedLink(link, proxies, prober, journal, traffic)
        made.append(Bridge(link.name, proxy_name(link), control, proxies, traffic, prober, door))
    try:
        yield made
    finally:
        for one in made:
            one.link.close()
        meter.close()
        server.stop()
        journal.close(remove=True)
        callee.shutdown()
        callee.server_close()
        serving.join()
