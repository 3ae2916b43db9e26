"""A proxied connection: two endpoints, and a link in each direction between them.

A stream ends as the original ends it: when one side closes, the rest of its bytes is delivered, then the
other side is closed completely, which in turn ends the opposite direction. Half-close and RST pass through
only on request.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from runtimes.toxiproxy.link import Link
from runtimes.toxiproxy.toxics.pipe import Bytes

MOST_EARLY_BYTES = 64 * 1024
LINGER_ZERO = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class CloseRules:
    """How closes pass through; both False is what the original does."""

    half_close: bool = False
    pass_reset: bool = False


def _drop(content: Bytes) -> None:
    """Where bytes go when the other side is gone."""


class Early:
    """What a client sends before its upstream is dialled. Stands in for the link that is not there yet."""

    __slots__ = ("contents", "endpoint", "received_bytes", "source_ended")

    stages = (None,)

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.contents: list[Bytes] = []
        self.received_bytes = 0
        self.source_ended = False

    def push(self, content: Bytes) -> None:
        """Keep it, and read no further when it is much."""
        self.contents.append(content)
        if self.received_bytes >= MOST_EARLY_BYTES:
            self.endpoint.pause()

    def end(self) -> None:
        """Remember that the client has ended."""
        self.source_ended = True


class Endpoint(asyncio.Protocol):
    """One side of a connection: source of one link, sink of the other."""

    __slots__ = ("_descriptor", "_ending", "_forward", "_transport", "connection", "reads", "ready", "writes")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reads: Link | Early = Early(self)
        """The link that this endpoint is the source of."""
        self.writes: Link | None = None
        """The link that this endpoint is the sink of."""
        self.ready = True
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        self._ending = False
        self._forward: Callable[[Bytes], None] = _drop

    # -- called by the event loop ------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.connection.endpoint_ready(self)

    def data_received(self, data: Bytes) -> None:
        link = self.reads
        link.received_bytes += len(data)
        if link.stages:
            link.push(data)
        else:
            self._forward(data)

    def eof_received(self) -> bool:
        self.reads.end()
        return True  # the transport stays open: we may still write to it

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._forward = _drop
        self.connection.endpoint_lost(self, was_reset=isinstance(exc, ConnectionResetError))

    def pause_writing(self) -> None:
        self.ready = False
        if not self._ending and self.writes is not None:
            self.writes.sink_full()

    def resume_writing(self) -> None:
        self.ready = True
        if self._ending:
            self._finish()
        elif self.writes is not None:
            self.writes.sink_ready()

    @property
    def gone(self) -> bool:
        """Whether this side is closed."""
        return self._transport is None

    @property
    def descriptor(self) -> int:
        """The number of the socket of a side that is connected."""
        if self._descriptor < 0 and self._transport is not None:
            self._descriptor = self._transport.get_extra_info("socket").fileno()
        return self._descriptor

    @property
    def peer(self) -> str:
        """The address of the other end of a side that is connected."""
        if self._transport is None:
            return ""
        return str((self._transport.get_extra_info("peername") or ("",))[0])

    # -- called by the connection and its links ------------------------------

    def start_forwarding(self, peer: Endpoint, link: Link) -> None:
        """Both sides are there: bytes read here go into ``link``, or straight to ``peer``."""
        early = self.reads
        self.reads = link
        if peer._transport is not None:
            self._forward = peer._transport.write
        if isinstance(early, Early):
            for content in early.contents:
                self.data_received(content)
            if early.source_ended:
                link.end()
        self.resume()

    def stop_forwarding(self) -> None:
        """The other side is gone: what is still read here is dropped, and not counted as sent."""
        self._forward = self.reads.push

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write_now(self, content: Bytes) -> None:
        """Write with a system call of its own, so that a slice leaves as one; buffer what does not fit."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        written = 0
        if not transport.get_write_buffer_size():
            try:
                written = os.write(self.descriptor, content)
            except BlockingIOError:
                pass
            except OSError:
                transport.abort()
                return
        if written < len(content):
            transport.write(content[written:])

    def end(self) -> None:
        """Close once everything is written."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._ending = True
        if transport.get_write_buffer_size():
            transport.set_write_buffer_limits(high=0)  # resume_writing is called when it has drained
        else:
            self._finish()

    def reset(self) -> None:
        """Close with RST at once."""
        self.linger_zero()
        self.abort()

    def abort(self) -> None:
        """Close at once and drop what was not sent."""
        if self._transport is not None:
            self._transport.abort()

    def linger_zero(self) -> None:
        """From now on a close sends RST."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)

    def _finish(self) -> None:
        if self._transport is None:
            return
        if self.connection.rules.half_close and not self.reads.source_ended:
            self._transport.write_eof()
        else:
            self._transport.close()


class Connection:
    """The two endpoints of one client's connection. ``dial`` is called when the client is there."""

    __slots__ = (
        "_reset_early",
        "client",
        "dial",
        "dialing",
        "dialling_too_long",
        "forget",
        "number",
        "peer",
        "rules",
        "start",
        "started",
        "upstream",
    )

    def __init__(
        self,
        number: int,
        rules: CloseRules,
        *,
        dial: Callable[[Connection], None],
        start: Callable[[Connection], tuple[Link, Link]],
        forget: Callable[[Connection], None],
    ) -> None:
        self.number = number
        self.peer = ""  # the client's address
        self.rules = rules
        self.dial = dial
        self.start = start
        self.forget = forget
        self.client = Endpoint(self)
        self.upstream = Endpoint(self)
        self.started = False
        self._reset_early = False
        self.dialing: asyncio.Task[None] | None = None
        self.dialling_too_long = False

    def endpoint_ready(self, endpoint: Endpoint) -> None:
        """A side is connected: the client first, then the upstream that was dialled for it."""
        if endpoint is self.client:
            self.dial(self)
            return
        self.started = True
        up, down = self.start(self)
        self.upstream.writes, self.client.writes = up, down
        self.client.start_forwarding(self.upstream, up)
        self.upstream.start_forwarding(self.client, down)
        if self.client.gone:  # it did not wait for the dial; what it has sent goes on all the same
            self.endpoint_lost(self.client, was_reset=self._reset_early)

    def endpoint_lost(self, endpoint: Endpoint, *, was_reset: bool) -> None:
        """A side is closed: what it had sent goes on, what it was to receive is dropped."""
        peer = self.upstream if endpoint is self.client else self.client
        if not self.started:
            self._reset_early = was_reset
            if self.dialing is None:
                self.forget(self)
            return
        if was_reset and self.rules.pass_reset:
            peer.reset()
        peer.stop_forwarding()
        if endpoint.writes is not None:
            endpoint.writes.kill()
        endpoint.reads.end()
        if self.client.gone and self.upstream.gone:
            self.forget(self)

    def give_up(self) -> None:
        """The upstream has not answered in time."""
        if self.dialing is not None:
            self.dialling_too_long = True
            self.dialing.cancel()

    def refuse(self) -> None:
        """The upstream cannot be reached: close, with RST when the client has already sent something."""
        if self.client.reads.received_bytes:
            self.client.reset()
        else:
            self.client.end()

    def reset_on_close(self) -> None:
        """See ``Ends``."""
        self.client.linger_zero()
        self.upstream.linger_zero()

    def abort(self) -> None:
        """Close both sides at once."""
        if self.dialing is not None:
            self.dialing.cancel()
        self.client.abort()
        self.upstream.abort()
