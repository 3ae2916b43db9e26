"""Calls wait for others on the same proxy, and for no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from runtimes.toxiproxy import addresses
from runtimes.toxiproxy.api import Api
from runtimes.toxiproxy.collection import ProxyCollection
from runtimes.toxiproxy.connection import CloseRules
from runtimes.toxiproxy.dials import Dials
from runtimes.toxiproxy.http_reader import Request
from runtimes.toxiproxy.log import Level, Log
from runtimes.toxiproxy.metrics import Metrics
from runtimes.toxiproxy.proxy import Surroundings
from runtimes.toxiproxy.timers import Timers

Call = Callable[[str, str, object], Awaitable[int]]
resolve = addresses.resolve


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The lookup of `slow.example` ends when this is set."""
    found = asyncio.Event()

    async def resolve_slowly(address: str) -> addresses.Address:
        if address.startswith("slow.example"):
            await found.wait()
            address = address.replace("slow.example", "127.0.0.1")
        return await resolve(address)

    monkeypatch.setattr(addresses, "resolve", resolve_slowly)
    return found


def with_an_api(act: Callable[[Call], Awaitable[None]]) -> None:
    """Run `act` with a way to call an API, which gives the status."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        log, metrics, timers = Log(Level.DISABLED), Metrics(proxies=False, runtime=False), Timers(loop)
        dials = Dials(loop, timeout_s=1.0, descriptors=1000)
        around = Surroundings(loop, timers, log, metrics, CloseRules(), 1, dials, "127.0.0.1")
        proxies = ProxyCollection(around)
        api = Api(proxies, metrics, log)

        async def call(method: str, path: str, body: object = None) -> int:
            content = b"" if body is None else json.dumps(body).encode()
            request = Request(method, path.encode(), "1.1", {"host": "x"}, content, keep_alive=True)
            return (await api.handle(request)).status

        try:
            async with asyncio.timeout(20):
                await act(call)
        finally:
            proxies.stop()
            timers.close()

    asyncio.run(run())


def proxy(name: str, host: str) -> dict[str, str]:
    return {"name": name, "listen": f"{host}:0", "upstream": "127.0.0.1:9"}


@pytest.mark.parametrize("path", ["/proxies", "/populate"])
def test_a_slow_lookup_holds_up_no_other_proxy(looked_up: asyncio.Event, path: str) -> None:
    """While one proxy waits for a name, others are created, changed, listed and deleted."""
    waiting = proxy("waits", "slow.example")

    async def act(call: Call) -> None:
        slow = asyncio.ensure_future(call("POST", path, [waiting] if path == "/populate" else waiting))
        await asyncio.sleep(0)
        assert await call("POST", "/proxies", proxy("other", "127.0.0.1")) == 201
        assert await call("PATCH", "/proxies/other", {"enabled": False}) == 200
        assert await call("POST", "/proxies/other/toxics", {"type": "noop"}) == 200
        assert await call("POST", "/reset", None) == 204
        assert await call("GET", "/proxies", None) == 200
        assert await call("DELETE", "/proxies/other", None) == 204
        assert not slow.done()
        looked_up.set()
        assert await slow == 201

    with_an_api(act)


def test_calls_on_one_proxy_are_served_one_after_another(looked_up: asyncio.Event) -> None:
    """A second creation of the same name waits for the first, and is then refused."""
    waiting = proxy("waits", "slow.example")

    async def act(call: Call) -> None:
        first = asyncio.ensure_future(call("POST", "/proxies", waiting))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(call("POST", "/proxies", proxy("waits", "127.0.0.1")))
        await asyncio.sleep(0.01)
        assert not second.done()
        looked_up.set()
        assert (await first, await second) == (201, 409)

    with_an_api(act)


def test_a_proxy_that_is_deleted_during_a_reset_is_not_started(looked_up: asyncio.Event) -> None:
    """A reset that waits for one proxy's name does not bring back another that went meanwhile."""

    async def act(call: Call) -> None:
        assert await call("POST", "/proxies", proxy("a", "slow.example") | {"enabled": False}) == 201
        assert await call("POST", "/proxies", proxy("b", "127.0.0.1") | {"enabled": False}) == 201
        reset = asyncio.ensure_future(call("POST", "/reset", None))
        await asyncio.sleep(0)
        assert await call("DELETE", "/proxies/b", None) == 204
        looked_up.set()
        assert await reset == 204
        assert await call("GET", "/proxies/b", None) == 404

    with_an_api(act)
