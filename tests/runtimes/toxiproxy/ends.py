"""Scripted ends: a client and an upstream whose every byte and close is noted with its time."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from runtimes.links.adapter import Toxiproxy
from runtimes.links.servers import RunningToxiproxy

DEADLINE_S = 10.0
TOGETHER_MS = 5.0
"""Data events closer than this are one: a chunk may be read in two parts."""
LEAST_TOLERANCE_MS = 20.0
TOLERANCE_RATIO = 0.15
FIN, RST = "fin", "rst"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an end saw: data, `FIN` or `RST`, in milliseconds since the script began."""

    at_ms: float
    what: bytes | str

    def like(self, expected: Seen, slack_ms: float) -> bool:
        """Whether the time is right within 20 ms or 15 %, and what the script itself was late."""
        tolerance_ms = max(LEAST_TOLERANCE_MS, expected.at_ms * TOLERANCE_RATIO) + slack_ms
        return abs(self.at_ms - expected.at_ms) <= tolerance_ms


class End:
    """One side of a connection; a thread notes what arrives until it ends."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self.sock = sock
        self._clock = clock
        self._seen: list[Seen] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, content: bytes) -> None:
        self.sock.sendall(content)

    def close(self) -> None:
        """FIN: no more is sent, and the reader ends with what the other side does."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.shutdown(socket.SHUT_RD)  # wakes the reader, sends nothing
        self.sock.close()

    def seen(self) -> list[Seen]:
        """All events so far; parts of one chunk are joined."""
        joined: list[Seen] = []
        with self._changed:
            events = list(self._seen)
        for event in events:
            last = joined[-1] if joined else None
            together = last is not None and event.at_ms - last.at_ms < TOGETHER_MS
            if (
                together
                and last is not None
                and isinstance(last.what, bytes)
                and isinstance(event.what, bytes)
            ):
                joined[-1] = Seen(last.at_ms, last.what + event.what)
            else:
                joined.append(event)
        return joined

    def _read(self) -> None:
        while True:
            try:
                content: bytes | str = self.sock.recv(1 << 20) or FIN
            except ConnectionResetError:
                content = RST
            except OSError:
                return
            with self._changed:
                self._seen.append(Seen(self._clock(), content))
                self._changed.notify_all()
            if isinstance(content, str):
                return


class Stage:
    """A proxy between a client and an upstream, on a server under test."""

    def __init__(self, server: RunningToxiproxy, name: str) -> None:
        self.adapter = Toxiproxy(server.host, server.port, deadline_s=DEADLINE_S)
        self.name = name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE_S)
        self.upstream_address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        if name in self.adapter.proxies():
            self.adapter.delete_proxy(name)
        self.proxy = self.adapter.create_proxy(name, listen="127.0.0.1:0", upstream=self.upstream_address)
        self._begun = time.monotonic()
        self._ends: list[End] = []
        self.slack_ms = 0.0
        """How late the script was at most: what it did later than planned is seen later."""

    def clock(self) -> float:
        """Milliseconds since `begin`."""
        return (time.monotonic() - self._begun) * 1000

    def connect(self) -> tuple[End, End]:
        """A client's and an upstream's end of a new connection; time begins here."""
        client = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=DEADLINE_S)
        upstream, _ = self._listener.accept()
        self._begun = time.monotonic()
        self.slack_ms = 0.0
        ends = End(client, self.clock), End(upstream, self.clock)
        self._ends += ends
        return ends

    def connect_client(self) -> End:
        """A client whose upstream is not accepted."""
        self._begun = time.monotonic()
        client = End(socket.create_connection(("127.0.0.1", self.proxy.port), timeout=DEADLINE_S), self.clock)
        self._ends.append(client)
        return client

    def refuse(self) -> None:
        """Nobody listens at the upstream's address any more."""
        self._listener.close()

    def toxic(self, kind: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> None:
        """Put the toxic of this kind and stream."""
        with self._timed():
            self.adapter.put_toxic(
                self.name,
                f"{kind}_{stream}",
                kind=kind,
                stream=stream,
                attributes=attributes,
                toxicity=toxicity,
            )

    def heal(self, kind: str, stream: str = "downstream") -> None:
        """Remove the toxic of this kind and stream."""
        with self._timed():
            self.adapter.remove_toxic(self.name, f"{kind}_{stream}")

    def set_enabled(self, enabled: bool) -> None:
        """Enable or disable the proxy."""
        with self._timed():
            self.adapter.set_enabled(self.name, enabled)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        begun = self.clock()
        yield
        self.slack_ms = max(self.slack_ms, self.clock() - begun)

    def at(self, ms: float) -> None:
        """Wait until this time of the script."""
        while (left := ms - self.clock()) > 0:
            time.sleep(left / 1000)
        self.slack_ms = max(self.slack_ms, -left)

    def clear(self) -> None:
        """Close everything."""
        for end in self._ends:
            end.sock.close()
        self._listener.close()
        if self.name in self.adapter.proxies():
            self.adapter.delete_proxy(self.name)


def told(events: Sequence[Seen]) -> tuple[bytes, str]:
    """All bytes in their order, and how they ended; nothing when they did not."""
    content = b"".join(event.what for event in events if isinstance(event.what, bytes))
    return content, "".join(event.what for event in events if isinstance(event.what, str))


def contradicts(found: Sequence[Seen], expected: Sequence[Seen]) -> bool:
    """Whether no timing explains the difference: other bytes, another end, or bytes that were lost."""
    (content, end), (wanted, wanted_end) = told(found), told(expected)
    if end and wanted_end:
        return (content, end) != (wanted, wanted_end)
    if end:
        return not content.startswith(wanted)
    return not (content.startswith(wanted) or wanted.startswith(content))


def difference(found: Sequence[Seen], expected: Sequence[Seen], slack_ms: float) -> str:
    """What is wrong with the events found, or nothing."""
    if [event.what for event in found] != [event.what for event in expected]:
        return f"saw {list(found)}, expected {list(expected)}"
    pairs = zip(found, expected, strict=True)
    late = [(ours, wanted) for ours, wanted in pairs if not ours.like(wanted, slack_ms)]
    return "; ".join(
        f"{ours.what!r} came at {ours.at_ms:.0f} ms, expected {wanted.at_ms:.0f}" for ours, wanted in late
    )
