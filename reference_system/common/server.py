"""One service as one process: `serve(Checkin)` reads --config, listens at once, and stops within two
seconds of SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
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

METHODS = (b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HEAD ", b"OPTIONS ", b"PATCH ")
LISTENER_BUFFER_BYTES = 65_536  # beyond it a connection is not read until what came is worked off


class _Protocol(HttpToolsProtocol):
    """Lets a route reach its own connection: a lost response is a connection closed without a reply."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["connection"] = self.transport  # type: ignore[typeddict-unknown-key]


class _TwoSpoken(_Protocol):
    """One port for two protocols: what does not begin with a method of HTTP goes to the service's
    listener."""

    _begun: bytes | None = b""  # what came before it was clear which; None: it is HTTP

    def data_received(self, data: bytes) -> None:
        if self._begun is None:
            super().data_received(data)
            return
        self._begun += data
        begun = self._begun
        if begun.startswith(METHODS):
            self._begun = None
            super().data_received(begun)
        elif not any(method.startswith(begun) for method in METHODS):
            self._hand_over(begun)

    def _hand_over(self, begun: bytes) -> None:
        self.connections.discard(self)
        reader = asyncio.StreamReader(limit=LISTENER_BUFFER_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader, type(self).listener)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(begun)

    listener: ClassVar[Any] = None


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again after the shutdown, and the exit would not be
    0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(service: Service) -> None:
    service.build()
    spoken: type[_Protocol] = _Protocol
    if service.listener is not None:
        spoken = type("Spoken", (_TwoSpoken,), {"listener": staticmethod(service.listener)})
    router = Router(routes=[*service.routes(), *operations.routes(service)], redirect_slashes=False)
    server = _Server(
        uvicorn.Config(
            Front(service, router),
            host=service.config.listen.host,
            port=service.config.listen.port,
            http=spoken,
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
