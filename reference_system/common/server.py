"""One service as one process: `serve(Checkin)` reads --config, listens at once, and stops within two
seconds of SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from typing import Any, ClassVar

import uvicorn
import uvloop
from starlette.routing import Router
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reference_system.common import operations
from reference_system.common.config import read_config
from reference_system.common.front import Front
from reference_system.common.service import Service
from reference_system.common.transport import HANDSHAKE, Transport

METHODS = (b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HEAD ", b"OPTIONS ", b"PATCH ")
LISTENER_BUFFER_BYTES = 65_536  # beyond it a connection is not read until what came is worked off


class _Protocol(HttpToolsProtocol):
    """One port for what a service speaks, told by the first bytes of a connection: HTTP, the same within TLS,
    or else what the service's listener understands.

    A route can reach its own connection: a lost response is a connection closed without a reply.
    """

    tls: ClassVar[Transport]
    listener: ClassVar[Any] = None
    _begun: bytes | None = b""  # what came before it was clear which; None: it is HTTP

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["connection"] = self.transport  # type: ignore[typeddict-unknown-key]

    @property
    def secure(self) -> bool:
        return self.transport.get_extra_info("sslcontext") is not None

    def data_received(self, data: bytes) -> None:
        if self._begun is None:
            super().data_received(data)
            return
        self._begun += data
        begun = self._begun
        if begun[0] == HANDSHAKE and self.tls.serving is not None:
            self._begun = None
            self._secure(begun, self.tls.serving)
        elif self.listener is None or begun.startswith(METHODS):
            self._begun = None
            super().data_received(begun)
        elif not any(method.startswith(begun) for method in METHODS):
            self._hand_over(begun)

    def _secure(self, begun: bytes, context: ssl.SSLContext) -> None:
        """From here on this protocol sees what is within TLS. The loop's own way to begin TLS later
        (`start_tls`) would lose the greeting, which is read already."""
        self.connections.discard(self)  # it comes back when the handshake is made
        transport = self.transport
        nobody: Any = None  # waits for the handshake: one that fails ends its connection, and is not news
        within = SSLProtocol(self.loop, self, context, nobody, server_side=True)
        transport.pause_reading()  # a loop reads into the buffer of the new protocol only when it begins to
        transport.set_protocol(within)
        within.connection_made(transport)
        while begun:
            room = within.get_buffer(len(begun))
            size = min(len(room), len(begun))
            room[:size] = begun[:size]
            within.buffer_updated(size)
            begun = begun[size:]
        if not transport.is_closing():
            transport.resume_reading()

    def _hand_over(self, begun: bytes) -> None:
        self.connections.discard(self)
        reader = asyncio.StreamReader(limit=LISTENER_BUFFER_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader, type(self).listener)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(begun)


def spoken_by(tls: Transport, listener: Any) -> type[HttpToolsProtocol]:
    """The protocol of one service's port; `listener` may be None."""
    held = None if listener is None else staticmethod(listener)
    return type("Spoken", (_Protocol,), {"tls": tls, "listener": held})


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again after the shutdown, and the exit would not be
    0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(service: Service) -> None:
    service.build()
    router = Router(routes=[*service.routes(), *operations.routes(service)], redirect_slashes=False)
    server = _Server(
        uvicorn.Config(
            Front(service, router),
            host=service.config.listen.host,
            port=service.config.listen.port,
            http=spoken_by(service.transport, service.listener),
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_level="warning",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
            backlog=1024,
        )
    )

    def hang_up() -> None:
        for connection in list(server.server_state.connections):
            if isinstance(connection, _Protocol) and connection.secure:
                connection.shutdown()

    service.transport.hang_up = hang_up

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    starting = asyncio.create_task(service.start())
    try:
        await server.serve()
    finally:
        starting.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.6):
                await service.stop()


def serve(kind: type[Service]) -> None:
    """The whole life of a service process."""
    parser = argparse.ArgumentParser(description=(kind.__doc__ or "").split("\n")[0])
    parser.add_argument("--config", required=True, help="JSON file written by the runtime")
    path = parser.parse_args().config
    try:
        service = kind(read_config(path))
    except ValueError as error:
        raise SystemExit(f"{path}: {error}; expected every switch that the service reads") from error
    gc.freeze()  # what was imported never becomes garbage; collections walk over it no more
    gc.set_threshold(20_000, 20, 20)
    uvloop.run(_serve(service))
