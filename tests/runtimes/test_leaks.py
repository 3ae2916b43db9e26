"""Connections that go past the proxies, found at the callee."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from runtimes.leaks import Leak, ProcessLeaks
from runtimes.loopback import HOST
from runtimes.runtime import Address

CALLER = """
import socket, sys, time
held = socket.socket()
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind((sys.argv[1], int(sys.argv[3])))
held.connect((sys.argv[1], int(sys.argv[2])))
print("connected", flush=True)
time.sleep(60)
"""
WITHIN_S = 5.0


@contextmanager
def callee() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as server:
        yield server


@contextmanager
def caller(address: Address, port: int = 0) -> Iterator[int]:
    """A process that is connected to the callee, from this port of its own."""
    command = [sys.executable, "-c", CALLER, address.host, str(address.port), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def looking(address: Address, parts: dict[str, list[int]], proxy: int | None) -> ProcessLeaks:
    return ProcessLeaks({"back": address}, lambda: parts, lambda: [] if proxy is None else [proxy])


def test_a_caller_past_the_proxy_is_named_with_its_process_and_command() -> None:
    """The pool that was opened to the callee itself; again and again, as long as it is there."""
    with callee() as server:
        address = Address(*server.getsockname())
        with caller(address) as pid:
            accepted, _ = server.accept()
            watch = looking(address, {"front": [pid]}, proxy=1)
            found = watch.find()
            assert found == watch.find()
            (leak,) = found
            assert (leak.callee, leak.caller) == ("back", "front")
            assert f"process {pid} (" in leak.peer
            assert sys.executable in leak.peer
            assert str(leak).startswith("front is connected to back past the proxy: process ")
            accepted.close()
        end = time.monotonic() + WITHIN_S
        while watch.find() and time.monotonic() < end:
            time.sleep(0.02)
        assert watch.find() == []
        watch.close()


def test_the_proxy_the_callee_itself_and_the_harness_are_no_leaks() -> None:
    """And of a proxy on another machine nothing can be told apart."""
    with callee() as server:
        address = Address(*server.getsockname())
        with caller(address) as pid, socket.create_connection((address.host, address.port)):
            assert looking(address, {}, proxy=pid).find() == []
            assert looking(address, {"back": [pid]}, proxy=1).find() == []
            assert looking(address, {}, proxy=1).find() == []  # started by this process: load, readings
            assert looking(address, {"front": [pid]}, proxy=None).find() == []
            assert looking(address, {"front": [pid]}, proxy=1).find() != []


def test_one_local_port_serves_connections_to_several_places() -> None:
    """The proxy and a caller may have the same port of their own, each towards another listener: no leak."""
    with callee() as server, callee() as door, socket.socket() as proxied:
        back, front_door = Address(*server.getsockname()), Address(*door.getsockname())
        proxied.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        proxied.bind((HOST, 0))
        port = proxied.getsockname()[1]
        with caller(front_door, port) as pid:
            proxied.connect((back.host, back.port))
            assert looking(back, {"front": [pid]}, proxy=os.getpid()).find() == []
            assert looking(front_door, {"front": [pid]}, proxy=os.getpid()).find() != []


def test_a_stranger_is_named_as_no_part_of_the_system() -> None:
    """Somebody's own client is connected too, and what it does is not in the plan."""
    told = str(Leak("back", "", f"process {os.getpid()} (python)"))
    assert told.startswith("a process that is no part of the system is connected to back past the proxy")
