"""The embedded Toxiproxy server beside the real one: interleaved rounds, medians and their ratios.

`python -m benchmarks.toxiproxy [--rounds N] [--seconds S] [--only NAME]`. Without a real server on this
machine the embedded one's figures stand alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import RunningToxiproxy, ServerChoice, find_server, start_server

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ServerChoice("embedded", "compared", argv=(sys.executable, "-m", "runtimes.toxiproxy"))
OPEN_LOOP_PER_S = (200, 1000)
CONNECTIONS = (1, 32, 256)
LATENCIES_MS = (1, 5, 20, 100)
RATES_MB_PER_S = (1, 10, 100)


class Traffic:
    """The process that sends and answers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.toxiproxy_traffic"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.echo_port, self.sink_port = self._read()

    def run(self, command: str, **arguments: Any) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, float] = self._read()
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@dataclass
class Subject:
    """A server under measurement, with its proxies."""

    server: RunningToxiproxy
    adapter: Toxiproxy
    echo: list[int]
    sink: int
    process: psutil.Process
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def subject(choice: ServerChoice, traffic: Traffic, folder: Path) -> Iterator[Subject]:
    """Start a server with 20 proxies to the echo and one to the sink."""
    server = start_server(choice, folder=folder, seed=1, deadline_s=10)
    try:
        adapter = Toxiproxy(server.host, server.port, deadline_s=10)
        echo = [
            adapter.create_proxy(
                f"echo{n}", listen="127.0.0.1:0", upstream=f"127.0.0.1:{traffic.echo_port}"
            ).port
            for n in range(20)
        ]
        sink = adapter.create_proxy(
            "sink", listen="127.0.0.1:0", upstream=f"127.0.0.1:{traffic.sink_port}"
        ).port
        assert server.pid is not None
        yield Subject(server, adapter, echo, sink, psutil.Process(server.pid))
    finally:
        server.stop()


def saturation(one: Subject, traffic: Traffic, seconds: float) -> None:
    for connections in CONNECTIONS:
        found = traffic.run("closed_loop", port=one.echo[0], connections=connections, seconds=seconds)
        one.note(f"requests/s, {connections} connections", found["per_s"])
        if connections == 256:
            one.note("p99 at 256 connections, us", found["p99_us"])


def connecting(one: Subject, traffic: Traffic, seconds: float) -> None:
    found = traffic.run("new_connections", port=one.echo[0], concurrency=16, seconds=seconds)
    one.note("new connections/s", found["per_s"])


def bulk(one: Subject, traffic: Traffic, seconds: float) -> None:
    one.note("bulk MB/s", traffic.run("bulk", port=one.sink, megabytes=800 * seconds)["mb_per_s"])


def open_loop(one: Subject, traffic: Traffic, seconds: float) -> None:
    for per_s in OPEN_LOOP_PER_S:
        before, begun = one.cpu_s(), time.monotonic()
        found = traffic.run("open_loop", ports=one.echo, per_s=per_s, seconds=seconds * 2)
        elapsed = time.monotonic() - begun
        one.note(f"20 proxies, {per_s}/s: p50 us", found["p50_us"])
        one.note(f"20 proxies, {per_s}/s: p99 us", found["p99_us"])
        one.note(f"20 proxies, {per_s}/s: CPU %", (one.cpu_s() - before) / elapsed * 100)
    one.note("memory MB", one.process.memory_info().rss / 1e6)


def latency(one: Subject, traffic: Traffic, seconds: float) -> None:
    for delay_ms in LATENCIES_MS:
        one.adapter.put_toxic(
            "echo1",
            "slow",
            kind="latency",
            stream="downstream",
            attributes={"latency": delay_ms, "jitter": 0},
        )
        samples = int(400 * seconds)
        found = traffic.run("paced", port=one.echo[1], samples=samples, gap_s=0.05, connections=20)
        one.note(f"latency {delay_ms} ms: error p50 us", found["p50_us"] - delay_ms * 1000)
        one.note(f"latency {delay_ms} ms: error p99 us", found["p99_us"] - delay_ms * 1000)
    one.adapter.remove_toxic("echo1", "slow")


def bandwidth(one: Subject, traffic: Traffic, seconds: float) -> None:
    for rate in RATES_MB_PER_S:
        one.adapter.put_toxic(
            "sink", "thin", kind="bandwidth", stream="upstream", attributes={"rate": rate * 1000}
        )
        found = traffic.run("bulk", port=one.sink, megabytes=rate * seconds)
        one.note(f"bandwidth {rate} MB/s: got / asked", found["mb_per_s"] / rate)
    one.adapter.remove_toxic("sink", "thin")


Measure = Callable[[Subject, Traffic, float], None]
MEASURES: dict[str, Measure] = {
    "open_loop": open_loop,
    "saturation": saturation,
    "connecting": connecting,
    "bulk": bulk,
    "latency": latency,
    "bandwidth": bandwidth,
}


@dataclass(frozen=True)
class Target:
    """What is wanted of a figure: a ratio to the real server's, a difference from it, or a value."""

    text: str
    holds: Callable[[float, float], bool]


def at_least(ratio: float) -> Target:
    return Target(f">= {ratio:g}x", lambda mine, theirs: mine >= ratio * theirs)


def at_most(ratio: float) -> Target:
    return Target(f"<= {ratio:g}x", lambda mine, theirs: mine <= ratio * theirs)


HALF_A_MS_MORE = Target("<= real + 500", lambda mine, theirs: mine <= theirs + 500)
TARGETS = {
    **{f"20 proxies, {per_s}/s: p50 us": at_most(1.1) for per_s in OPEN_LOOP_PER_S},
    **{f"20 proxies, {per_s}/s: p99 us": at_most(1.25) for per_s in OPEN_LOOP_PER_S},
    **{f"20 proxies, {per_s}/s: CPU %": at_most(1.1) for per_s in OPEN_LOOP_PER_S},
    "memory MB": Target("<= 40", lambda mine, _: mine <= 40),
    **{f"requests/s, {connections} connections": at_least(1.0) for connections in CONNECTIONS},
    "new connections/s": at_least(1.0),
    "bulk MB/s": at_least(2.0),
    **{f"latency {delay_ms} ms: error p99 us": HALF_A_MS_MORE for delay_ms in LATENCIES_MS},
    **{
        f"bandwidth {rate} MB/s: got / asked": Target("1 +- 0.01", lambda mine, _: abs(mine - 1) <= 0.01)
        for rate in RATES_MB_PER_S
    },
}


def facts() -> str:
    """The machine, for the reader of the figures."""
    return (
        f"{platform.machine()}, {psutil.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {psutil.getloadavg()[0]:.2f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", action="append", choices=sorted(MEASURES))
    options = parser.parse_args()
    found = find_server()
    choices = [EMBEDDED] + ([found] if found.kind == "real" else [])
    print(facts())
    traffic = Traffic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            measured = _rounds(options, choices, traffic, Path(folder))
    finally:
        traffic.close()
    _print(measured)


def _rounds(
    options: argparse.Namespace, choices: list[ServerChoice], traffic: Traffic, folder: Path
) -> dict[str, dict[str, list[float]]]:
    """Figures by server kind and name."""
    measured: dict[str, dict[str, list[float]]] = {choice.kind: {} for choice in choices}
    for number in range(options.rounds):
        for choice in choices if number % 2 == 0 else reversed(choices):
            with subject(choice, traffic, folder) as one:
                for name in options.only or MEASURES:
                    MEASURES[name](one, traffic, options.seconds)
            for name, values in one.figures.items():
                measured[choice.kind].setdefault(name, []).extend(values)
    return measured


def _print(measured: dict[str, dict[str, list[float]]]) -> None:
    embedded, real = measured["embedded"], measured.get("real", {})
    print(f"{'':<38}{'embedded':>12}{'real':>12}{'ratio':>9}  wanted")
    for name, values in embedded.items():
        mine = median(values)
        line = f"{name:<38}{mine:>12.3f}"
        if name in real:
            theirs = median(real[name])
            line += f"{theirs:>12.3f}{mine / theirs if theirs else float('nan'):>9.3f}"
            if (target := TARGETS.get(name)) is not None:
                line += f"  {target.text}{'' if target.holds(mine, theirs) else '  MISSED'}"
        print(line)


if __name__ == "__main__":
    main()
