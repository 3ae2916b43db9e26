"""The server: binds the API, creates the configured proxies, and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import os
import resource
import signal
from pathlib import Path
from typing import Any

from runtimes.toxiproxy import addresses, bodies
from runtimes.toxiproxy.api import VERSION, Api
from runtimes.toxiproxy.collection import ProxyCollection
from runtimes.toxiproxy.connection import CloseRules
from runtimes.toxiproxy.dials import Dials
from runtimes.toxiproxy.errors import ApiError
from runtimes.toxiproxy.http_server import HttpConnection
from runtimes.toxiproxy.json_reader import JsonSyntaxError, read
from runtimes.toxiproxy.log import Log
from runtimes.toxiproxy.metrics import Metrics
from runtimes.toxiproxy.options import Options
from runtimes.toxiproxy.proxy import Surroundings
from runtimes.toxiproxy.timers import Timers

WANTED_DESCRIPTORS = 65_536
OBJECTS_BETWEEN_COLLECTIONS = 20_000


class CannotStart(Exception):
    """The server cannot do what its command line asks; the text says what and why."""


async def serve(options: Options, log: Log) -> None:
    """Serve until SIGINT or SIGTERM. Raises CannotStart for a taken port or an unusable configuration."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: log.error("Unexpected", error=_described(context)))
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    descriptors = _allow_many_connections()
    log.info("Starting Toxiproxy", version=VERSION)
    try:
        host = f"[{options.host}]" if ":" in options.host else options.host
        api_socket = await addresses.listen(f"{host}:{options.port}", any_host=addresses.EVERY_INTERFACE)
    except ApiError as error:
        raise CannotStart(f"{error.message} (-host {options.host} -port {options.port})") from None
    metrics = Metrics(proxies=options.proxy_metrics, runtime=options.runtime_metrics)
    timers = Timers(loop)
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(8), "big")
    on_loopback = ipaddress.ip_address(api_socket.getsockname()[0]).is_loopback
    proxies = ProxyCollection(
        Surroundings(
            loop=loop,
            timers=timers,
            log=log,
            counter=metrics,
            rules=CloseRules(half_close=options.half_close, pass_reset=options.pass_reset),
            seed=seed,
            dials=Dials(loop, timeout_s=options.dial_timeout_s, descriptors=descriptors),
            any_host=addresses.LOOPBACK if on_loopback else addresses.EVERY_INTERFACE,
        )
    )
    clients: set[HttpConnection] = set()
    try:
        if options.config:
            await _create_configured(proxies, Path(options.config), log)
        api = Api(proxies, metrics, log, options.token)
        server = await loop.create_server(lambda: HttpConnection(loop, api.handle, clients), sock=api_socket)
        _collect_seldom()
        log.info("Starting Toxiproxy HTTP server", address=addresses.of_socket(api_socket), seed=seed)
        await stopping.wait()
        log.info("Shutdown started")
        server.close()
    finally:
        proxies.stop()
        for client in list(clients):
            client.close()
        await asyncio.sleep(0)  # one turn for the transports to close
        timers.close()


async def _create_configured(proxies: ProxyCollection, path: Path, log: Log) -> None:
    try:
        content = path.read_bytes()
        found = read(content)
        if found is not None and not isinstance(found, list):
            raise CannotStart(f"config {path}: expected a list of proxies: [{{...}}, ...]")
        wishes = bodies.proxies_to_populate(content)
    except OSError as error:
        raise CannotStart(f"config {path}: {error.strerror}") from None
    except JsonSyntaxError as error:
        before = content.decode("utf-8", "surrogateescape")[: error.at]
        line, column = before.count("\n") + 1, error.at - before.rfind("\n")
        raise CannotStart(f"config {path}:{line}:{column}: {error}") from None
    except ApiError as error:
        raise CannotStart(f"config {path}: {error.message}") from None
    done, failed = await proxies.populate(wishes)
    if failed is not None:
        number = len(done) + 1
        raise CannotStart(f'config {path}: proxy {number} "{wishes[len(done)].name}": {failed.message}')
    log.info("Populated proxies from file", config=str(path), proxies=len(done))


def _collect_seldom() -> None:
    """A pass of the garbage collector delays every connection: spare what is here now, and make it rarer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def _allow_many_connections() -> int:
    """Two descriptors a connection: take all that the system gives, and more where it may be asked. Returns
    how many there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(hard, WANTED_DESCRIPTORS), hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _described(context: dict[str, Any]) -> str:
    return f"{context.get('message', '')}: {context.get('exception')!r}"
