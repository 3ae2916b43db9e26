"""A proxy: listens, dials the upstream for every client, and links the two through the toxics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from runtimes.toxiproxy import addresses
from runtimes.toxiproxy.chain import Direction, ToxicChain
from runtimes.toxiproxy.connection import CloseRules, Connection
from runtimes.toxiproxy.dials import Dials
from runtimes.toxiproxy.link import Link
from runtimes.toxiproxy.log import Log
from runtimes.toxiproxy.timers import Timers


class ByteCounter(Protocol):
    """Counts the bytes of links that have ended."""

    def link_ended(self, proxy: Proxy, direction: Direction, *, received: int, sent: int) -> None: ...


@dataclass(frozen=True, slots=True)
class PeerTraffic:
    """What all connections from one address did so far, those that are open now included. `received` are the
    bytes that came from there, `sent` those that went there."""

    connections: int = 0
    open: int = 0
    received: int = 0
    sent: int = 0

    def with_one(self, connection: Connection, *, live: bool) -> PeerTraffic:
        """These and one connection more."""
        down = connection.client.writes
        return PeerTraffic(
            self.connections + 1,
            self.open + live,
            self.received + connection.client.reads.received_bytes,
            self.sent + (down.sent_bytes if down is not None else 0),
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all proxies of a server share."""

    loop: asyncio.AbstractEventLoop
    timers: Timers
    log: Log
    counter: ByteCounter
    rules: CloseRules
    seed: int
    dials: Dials
    any_host: str
    """The address to bind when a proxy's listen address names no host."""


class Proxy:
    """One proxy. ``listen`` is the bound address while it is enabled, the wanted one otherwise."""

    def __init__(self, surroundings: Surroundings, *, name: str, listen: str, upstream: str) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.toxics = ToxicChain()
        self._around = surroundings
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._accepted = 0
        self._ended: dict[str, PeerTraffic] = {}  # by the client's address

    async def start(self) -> None:
        """Listen, unless it does. Raises ApiError 500 when the address cannot be bound."""
        if self.enabled:
            return
        sock = await addresses.listen(self.listen, any_host=self._around.any_host)
        try:
            self._server = await self._around.loop.create_server(
                self._accept, sock=sock, backlog=addresses.LISTEN_BACKLOG
            )
        except BaseException:
            sock.close()
            raise
        self.listen = addresses.of_socket(sock)
        self.enabled = True
        self._around.log.info("Started proxy", name=self.name, listen=self.listen, upstream=self.upstream)

    def stop(self) -> None:
        """Refuse new clients and close all connections."""
        if not self.enabled:
            return
        self.enabled = False
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.abort()
        self._around.log.info("Terminated proxy", name=self.name, listen=self.listen, upstream=self.upstream)

    async def differs(self, *, listen: str, upstream: str) -> bool:
        """Whether the addresses are other ones. Raises ApiError 500 when ``listen`` cannot be resolved."""
        return self.listen != str(await addresses.resolve(listen)) or self.upstream != upstream

    async def update(self, *, listen: str, upstream: str, enabled: bool) -> None:
        """Take over new addresses, which closes all connections, and start or stop. Raises ApiError 500."""
        if await self.differs(listen=listen, upstream=upstream):
            self.stop()
            self.listen = listen
            self.upstream = upstream
        if enabled and not self.enabled:
            await self.start()
        elif not enabled:
            self.stop()

    # -- connections ------------------------------

    def _accept(self) -> asyncio.Protocol:
        self._accepted += 1
        connection = Connection(
            self._accepted, self._around.rules, dial=self._dial, start=self._link, forget=self._forget
        )
        self._connections.add(connection)
        return connection.client

    def traffic(self) -> Mapping[str, PeerTraffic]:
        """By the clients' addresses, up to this moment: connections that came and went are in it too."""
        found = dict(self._ended)
        for connection in self._connections:
            if connection.peer:
                so_far = found.get(connection.peer, PeerTraffic())
                found[connection.peer] = so_far.with_one(connection, live=not connection.client.gone)
        return found

    def _dial(self, connection: Connection) -> None:
        connection.peer = connection.client.peer
        if not self.enabled:  # accepted by the kernel before the listener closed
            connection.abort()
            return
        if not self._around.dials.has_room(connection.client.descriptor):
            self._around.log.error("Refused a client: too many open files", name=self.name)
            connection.abort()
            return
        self._around.log.debug("Accepted client", name=self.name)
        self._around.dials.begin(connection)
        connection.dialing = self._around.loop.create_task(self._connect(connection))
        connection.dialing.add_done_callback(partial(self._dialled, connection))

    async def _connect(self, connection: Connection) -> None:
        self._around.dials.opens_socket(connection)
        try:
            host, port = addresses.to_dial(self.upstream)
            await self._around.loop.create_connection(lambda: connection.upstream, host, port)
        except (OSError, ValueError) as error:
            self._refuse(connection, str(error))
        except asyncio.CancelledError:
            if not connection.dialling_too_long:
                raise
            self._refuse(connection, f"no answer within {self._around.dials.timeout_s:g} s")

    def _dialled(self, connection: Connection, dialing: asyncio.Task[None]) -> None:
        self._around.dials.end(connection)
        connection.dialing = None
        if connection.client.gone and not connection.started:
            self._forget(connection)

    def _refuse(self, connection: Connection, reason: str) -> None:
        self._around.log.error(
            "Unable to open connection to upstream", name=self.name, upstream=self.upstream, error=reason
        )
        connection.refuse()

    def _link(self, connection: Connection) -> tuple[Link, Link]:
        client, upstream = connection.client, connection.upstream
        around = self._around
        seed = (around.seed, self.name, connection.number)
        up = Link(client, upstream, around.loop, around.timers, seed=(*seed, "up"))
        down = Link(upstream, client, around.loop, around.timers, seed=(*seed, "down"))
        up.opposite, down.opposite = down, up
        for direction, link in ((Direction.UPSTREAM, up), (Direction.DOWNSTREAM, down)):
            chain = self.toxics.by_direction[direction]
            if chain:
                for settings in chain:
                    settings.toxic.link_started(connection)
                link.start(chain)
            self.toxics.links[direction].add(link)
        return up, down

    def _forget(self, connection: Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        so_far = self._ended.get(connection.peer, PeerTraffic())
        self._ended[connection.peer] = so_far.with_one(connection, live=False)
        sinks = ((Direction.UPSTREAM, connection.upstream), (Direction.DOWNSTREAM, connection.client))
        for direction, sink in sinks:
            if (link := sink.writes) is not None:
                self.toxics.links[direction].discard(link)
                sums = {"received": link.received_bytes, "sent": link.sent_bytes}
                self._around.counter.link_ended(self, direction, **sums)
