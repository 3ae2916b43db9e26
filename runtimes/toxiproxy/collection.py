"""All proxies of a server, by name. Calls that change one proxy are served one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

from runtimes.toxiproxy import errors
from runtimes.toxiproxy.bodies import ProxyWish
from runtimes.toxiproxy.chain import ToxicSettings
from runtimes.toxiproxy.errors import ApiError
from runtimes.toxiproxy.proxy import Proxy, Surroundings


class ProxyCollection:
    """The proxies. ``changing`` is held by every call that changes one, so that none sees half a change.

    Each proxy has a lock of its own: one that waits for the lookup of a name holds up no other.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._proxies: dict[str, Proxy] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def changing(self, name: str) -> asyncio.Lock:
        """To be held while a proxy is changed, whether it exists or not. Lasts as long as somebody has it."""
        return self._locks.setdefault(name, asyncio.Lock())

    def all(self) -> list[Proxy]:
        """Sorted by name."""
        return [self._proxies[name] for name in sorted(self._proxies, key=str.encode)]

    def get(self, name: str) -> Proxy:
        """By name. Raises ApiError 404."""
        try:
            return self._proxies[name]
        except KeyError:
            raise errors.proxy_not_found() from None

    async def create(self, wish: ProxyWish) -> Proxy:
        """A new proxy. Raises ApiError 409 when the name is taken, 500 when the address is."""
        if wish.name in self._proxies:
            raise errors.proxy_already_exists()
        return await self._start_new(wish)

    async def populate(self, wishes: Sequence[ProxyWish]) -> tuple[list[Proxy], ApiError | None]:
        """Create proxies, or replace those of other addresses. Returns how far it came, and the error."""
        done: list[Proxy] = []
        try:
            for wish in wishes:
                async with self.changing(wish.name):
                    proxy = await self._create_or_keep(wish)
                    for settings in wish.toxics:
                        self._put_toxic(proxy, settings)
                done.append(proxy)
        except ApiError as error:
            return done, error
        return done, None

    def remove(self, name: str) -> None:
        """Stop a proxy and forget it. Raises ApiError 404."""
        self.get(name).stop()
        del self._proxies[name]

    async def reset(self) -> None:
        """Start all proxies and remove all toxics. Raises ApiError 500 when one cannot start."""
        for proxy in list(self._proxies.values()):
            async with self.changing(proxy.name):
                if self._proxies.get(proxy.name) is proxy:  # not deleted while another was waited for
                    await proxy.start()
                    proxy.toxics.clear()

    def stop(self) -> None:
        """Stop all proxies."""
        for proxy in self._proxies.values():
            proxy.stop()

    async def _create_or_keep(self, wish: ProxyWish) -> Proxy:
        existing = self._proxies.get(wish.name)
        if existing is not None:
            if not await existing.differs(listen=wish.listen, upstream=wish.upstream):
                return existing
            existing.stop()
        return await self._start_new(wish)

    async def _start_new(self, wish: ProxyWish) -> Proxy:
        proxy = Proxy(self._surroundings, name=wish.name, listen=wish.listen, upstream=wish.upstream)
        if wish.enabled:
            await proxy.start()
        self._proxies[wish.name] = proxy
        return proxy

    @staticmethod
    def _put_toxic(proxy: Proxy, settings: ToxicSettings) -> None:
        same_name = [known for known in proxy.toxics.all() if known.name == settings.name]
        for known in same_name:
            proxy.toxics.remove(known)
        proxy.toxics.add(settings)
