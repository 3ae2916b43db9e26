"""A running pair of processes for tests: a callee that answers, and a caller that keeps one connection."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiment.topology import System, load_system
from measurement.properties import KINDS

CALLEE = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
def answer(one):
    while data := one.recv(100):
        one.sendall(data)
while True:
    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
"""
CALLER = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
pool = None
while True:
    try:
        pool = pool or socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
        began = time.monotonic()
        pool.sendall(b"x")
        pool.recv(100) or 1 / 0
        print(f"{time.monotonic() - began:.3f}", file=sys.stderr, flush=True)
    except (OSError, ZeroDivisionError):
        pool = None
    time.sleep(0.03)
"""
SYSTEM = """\
name: pair
services:
  front: {{title: Front}}
  back: {{title: Back}}
links:
  - {{caller: front, callee: back, protocol: tcp}}
journeys:
  ask: {{entry: front, uses: [front -> back], request: {{path: /}}}}
mixes: {{visit: [{{journey: ask}}]}}
attach:
  services:
    front: {{at: "127.0.0.1:{front}"}}
    back: {{at: "127.0.0.1:{back}"}}
{more}"""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two processes, their ports, and where the caller writes how long each answer took."""

    front: subprocess.Popen[str]
    back: subprocess.Popen[str]
    ports: tuple[int, int]
    took: Path

    def answers(self) -> list[float]:
        """Seconds that each answer took so far."""
        return [float(line) for line in self.took.read_text().split()]

    def system(self, folder: Path, more: str = "") -> System:
        """Its file, read; `more` are further lines below `attach`."""
        file = folder / "system.yaml"
        file.write_text(SYSTEM.format(front=self.ports[0], back=self.ports[1], more=more))
        return self.reread(file)

    def reread(self, file: Path) -> System:
        """Its file as it is now. Raises ConfigError."""
        return load_system(file, KINDS)


@contextmanager
def running_pair(folder: Path, door: Callable[[int], int] = lambda port: port) -> Iterator[Pair]:
    """The pair until the end of the block; `door` gives the port that the caller calls, of the callee's."""
    took = folder / "took.txt"
    back = subprocess.Popen([sys.executable, "-c", CALLEE], stdout=subprocess.PIPE, text=True)
    assert back.stdout is not None
    port = int(back.stdout.readline())
    with took.open("w") as log:
        words = [sys.executable, "-c", CALLER, str(door(port))]
        front = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
    assert front.stdout is not None
    try:
        pair = Pair(front, back, (int(front.stdout.readline()), port), took)
        until(lambda: bool(pair.answers()))
        yield pair
    finally:
        for one in (front, back):
            one.kill()
            one.wait()


def until(ready: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait until it is so. Raises AssertionError."""
    end = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
