"""What the caller's own connections do on a live link: the sockets of its listener and their bytes, less the
harness's own probes.

Toxiproxy's byte counters grow only when a connection ends, and tell no client from another. So the kernel is
asked for the connections that are open, and for those that came and went between two readings

- the embedded server says by itself what every client address sent and got, exactly and at once;
- of the original the counters are read: what they grew by, less all that is known of already.

Probes are known by the address they come from, see `probe_source`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from experiment.controls import Traffic
from experiment.exchanges import Exchanges
from runtimes.links.adapter import Toxiproxy
from runtimes.links.attempts import AttemptCounter
from runtimes.links.sockets import Connected, SocketTable
from runtimes.runtime import Address

PROBES_FROM = "127.77.77.77"  # on loopback; nobody else's connection comes from there
SAME_S = 0.01  # two ages of one event differ by so much at most: the kernel counts in steps of 4 ms


def probe_source(door: Address) -> tuple[str, int] | None:
    """Where probes of a link bind; None: they come from another machine or network than all callers do."""
    return (PROBES_FROM, 0) if door.host.startswith("127.") else None


def own_address(door: Address) -> str:
    """The address that the harness's own connections to a link come from."""
    source = probe_source(door)
    if source is not None:
        return source[0]
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.connect((door.host, door.port))  # sends nothing: it only finds the way
        return str(one.getsockname()[0])


@dataclass(slots=True)
class ProbeAccount:
    """Bytes that probes of one link sent; counted before they are sent."""

    sent: int = 0


class TrafficMeter:
    """Asks one server, and the kernel in the server's network; for all links of a system.

    Where the kernel may not be asked (another user's network namespace, an external server on another
    machine) the server's word is all there is.
    """

    def __init__(self, proxies: Toxiproxy, namespace: Callable[[], Path | None] = lambda: None) -> None:
        """`namespace` finds the network that the proxies listen in, when it is another than our own."""
        self._proxies = proxies
        self._namespace = namespace
        self._table: SocketTable | None = None
        self._within: Path | None = None
        self._lock = threading.Lock()

    def told(self, proxy: str) -> Mapping[str, Mapping[str, int]] | None:
        """By client address, of a server that tells it. Raises ToxiproxyError."""
        traffic = self._proxies.traffic()
        return None if traffic is None else traffic.get(proxy, {})

    def ended(self, proxy: str) -> int | None:
        """Bytes that came from all clients over connections that have ended, of a server that counts them.
        Raises ToxiproxyError."""
        return self._proxies.ended_bytes(proxy)

    def accepted(self, door: Address) -> list[Connected] | None:
        """Open connections; None where the kernel cannot be asked. Proxies of other addresses may listen on
        the same port."""
        with self._lock:
            try:
                namespace = self._namespace()
                if self._table is None or namespace != self._within:
                    self._forget()
                    self._table, self._within = SocketTable(namespace), namespace
                return [one for one in self._table.accepted(door.port) if one.local == door.host]
            except OSError:
                self._forget()
                return None

    def attempts(self, door: Address) -> AttemptCounter | None:
        """Counts attempts to connect from now on; None where that is not allowed."""
        with suppress(OSError):
            return AttemptCounter(door.port, self._namespace(), door.host)
        return None

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._table is not None:
            self._table.close()
        self._table = None


@dataclass(slots=True)
class _Pieced:
    """The total of a server that tells ended connections only, put together from sockets and its counter.

    Never more than it was. What the counter grew by holds three things: bytes of probes, bytes that were read
    from a caller's socket while it was open, and bytes of callers that nobody saw. Only the last are news.
    """

    connections: int = 0
    to_caller: int = 0
    _open: dict[tuple[str, int], Connected] = field(default_factory=dict)
    _read: int = 0  # bytes to the callee that were read from callers' sockets
    _closed: int = 0  # of those, what belongs to sockets that are closed
    _grown: int = 0
    _ended: int | None = None
    _probes_before: int | None = None
    _unseen: int = 0

    @property
    def to_callee(self) -> int:
        return self._read + self._unseen

    def add(self, ended: int | None, callers: list[Connected], probed: int) -> None:
        """`ended` was read before the sockets were: a connection that is in it is not among them. `probed`
        are the bytes of probes that are not in open connections; the first reading comes before any probe."""
        found = {(one.peer, one.peer_port): one for one in callers}
        for key, one in found.items():
            before = self._open.get(key)
            if before is not None and before.received > one.received:  # the port of one that has ended
                self._closed += before.received
                before = None
            self.connections += before is None
            self._read += one.received - (before.received if before else 0)
            self.to_caller += one.sent - (before.sent if before else 0)
        self._closed += sum(one.received for key, one in self._open.items() if key not in found)
        self._open = found
        if self._probes_before is None:
            self._probes_before = probed
        if ended is None:
            return
        if self._ended is not None:
            self._grown += max(0, ended - self._ended)
        self._ended = ended
        self._unseen = max(self._unseen, self._grown - self._closed - (probed - self._probes_before))


class LinkTraffic:
    """The account of one link's caller. Threads may read it at once."""

    def __init__(self, meter: TrafficMeter, proxy: str, door: Address, *, paired: bool) -> None:
        """`paired`: every question of the protocol has its answer, so that exchanges can be told."""
        self.probes = ProbeAccount()
        self.exchanges = Exchanges()
        self._meter = meter
        self._proxy = proxy
        self._door = door
        self._own = own_address(door)
        self._paired = paired
        self._pieced = _Pieced()
        self._answered_at: dict[tuple[str, int], float] = {}
        self._counter: AttemptCounter | None = None
        self._refused: int | None = 0
        self._lock = threading.Lock()

    def read(self) -> Traffic:
        """Up to now. Raises ToxiproxyError."""
        with self._lock:
            told = self._meter.told(self._proxy)
            ended = self._meter.ended(self._proxy) if told is None else None
            sockets = self._meter.accepted(self._door) or []
            callers = [one for one in sockets if one.peer != self._own]
            waiting = self._time(callers) if self._paired else ()
            if self._counter is not None:
                self._refused = (self._refused or 0) + self._counter.take((self._own,))
            took = self.exchanges
            timed = {"exchanges": took.took, "answered": len(took.took), "usual_s": took.usual_s}
            if told is None:
                sums = self._pieced
                own_open = sum(one.received for one in sockets if one.peer == self._own)
                sums.add(ended, callers, self.probes.sent - own_open)
                carried = (sums.connections, len(callers), sums.to_callee, sums.to_caller)
            else:
                clients = [seen for peer, seen in told.items() if peer.removeprefix("::ffff:") != self._own]
                names = ("connections", "open", "received", "sent")
                carried = tuple(sum(seen[name] for seen in clients) for name in names)  # type: ignore[assignment]  # four names
            return Traffic(*carried, refused=self._refused, waiting=waiting, **timed)  # type: ignore[arg-type]  # by name

    def _time(self, callers: list[Connected]) -> tuple[float, ...]:
        """Note the latest exchange of every connection, once. Returns how long questions wait without an
        answer: the last byte came later than the last one went."""
        now, waiting = time.monotonic(), []
        known, self._answered_at = self._answered_at, {}
        for one in callers:
            key = one.peer, one.peer_port
            if key in known:
                self._answered_at[key] = known[key]
            if not one.received:
                continue
            if not one.sent or one.sent_age_s > one.received_age_s:
                waiting.append(one.received_age_s)
                continue
            answered_at = now - one.sent_age_s
            if answered_at > known.get(key, float("-inf")) + SAME_S:
                self.exchanges.took.append(one.received_age_s - one.sent_age_s)
                self._answered_at[key] = answered_at
        return tuple(waiting)

    def refusing(self, begins: bool) -> None:
        """From now on (or no longer) nobody listens: attempts to connect are counted where that is
        allowed."""
        with self._lock:
            if self._counter is not None:
                self._refused = (self._refused or 0) + self._counter.take((self._own,))
                self._counter.close()
                self._counter = None
            if begins:
                self._counter = self._meter.attempts(self._door)
                if self._counter is None:
                    self._refused = None

    def close(self) -> None:
        self.refusing(False)
