"""Drives a Toxiproxy server, real or embedded, through `toxiproxy-python`; the only file that imports it.

The client keeps its server's address in class attributes, waits for ever, takes 500 for success and obeys
the environment's HTTP proxy. So its calls are sent from here: each adapter has its address and its deadline,
every status is checked, and what a call was to achieve is read back. Threads may use adapters at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPException
from json import dumps
from typing import Any, TypeVar
from urllib.parse import quote

import requests
import toxiproxy.api
from toxiproxy import Proxy as ClientProxy
from toxiproxy import Toxiproxy as ClientServer
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import ProxyExists

from runtimes.links.exchange import exchange
from runtimes.links.states import (
    ProxyState,
    ToxicState,
    ToxiproxyError,
    ToxiproxyHung,
    ToxiproxyRefused,
    ToxiproxyUnreachable,
    proxy_state,
    server_url,
)

__all__ = [
    "ProxyState",
    "ToxicState",
    "Toxiproxy",
    "ToxiproxyError",
    "ToxiproxyHung",
    "ToxiproxyRefused",
    "ToxiproxyUnreachable",
]
Answer = TypeVar("Answer")
RECEIVED = "toxiproxy_proxy_received_bytes_total"
SINGLE_PRECISION = 1e-6
"""A server keeps a toxicity as a 32-bit float."""


class _Routed:
    """Stands in for the module `requests` inside the client: the adapter that calls decides where it goes."""

    def __init__(self) -> None:
        self.adapter: ContextVar[Toxiproxy | None] = ContextVar("toxiproxy_adapter", default=None)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self._send("GET", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self._send("POST", url, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        return self._send("DELETE", url, **options)

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        adapter = self.adapter.get()
        if adapter is None:  # the client is used without an adapter
            return requests.request(method, url, timeout=30.0, **options)
        return adapter.send(method, "/" + url.split("/", 3)[3], json=options.get("json"))


_ROUTED = _Routed()
toxiproxy.api.requests = _ROUTED


class Toxiproxy:
    """One server. Every call raises ToxiproxyUnreachable, ToxiproxyHung or ToxiproxyRefused when it fails.

    `known` is the state of each proxy as it was last read: what `rebuild` makes again on a replaced server.
    """

    def __init__(self, host: str, port: int, *, token: str = "", deadline_s: float = 2.0) -> None:
        """The token is shown with every call."""
        self.host = host
        self.port = port
        self.url = server_url(host, port)
        self.deadline_s = deadline_s
        self._token = token
        self.known: dict[str, ProxyState] = {}
        self._client = ClientServer()
        self._missing: set[str] = set()  # paths that this server does not have

    # -- reading ------------------------------

    def version(self) -> str:
        """The server's version."""
        with self._calling():
            return str(APIConsumer.get("/version").json()["version"])

    def answers(self, deadline_s: float) -> bool:
        """Whether the server gives any answer at all within the deadline."""
        try:
            exchange(self.host, self.port, "GET", "/version", None, deadline_s=deadline_s)
        except (OSError, HTTPException):
            return False
        return True

    def proxies(self) -> dict[str, ProxyState]:
        """All proxies with their toxics, by name."""
        with self._calling():
            shown = APIConsumer.get("/proxies").json()
        found = {name: proxy_state(values) for name, values in shown.items()}
        self.known = dict(found)
        return found

    def proxy(self, name: str) -> ProxyState:
        """One proxy with its toxics."""
        with self._calling():
            state = proxy_state(APIConsumer.get(f"/proxies/{quote(name, safe='')}").json())
        self.known[name] = state
        return state

    def traffic(self) -> Mapping[str, Mapping[str, Mapping[str, int]]] | None:
        """By proxy and client address what came over it so far; None of a server that does not tell."""
        return self._asked_for("/traffic", lambda response: dict(response.json()))

    def request_counts(self) -> Mapping[str, Mapping[str, Mapping[str, int]]] | None:
        """By proxy and toxic the `requests` that it has seen and `touched`; None of a server that has no
        toxics of requests."""
        return self._asked_for("/requests", lambda response: dict(response.json()))

    def ended_bytes(self, name: str) -> int | None:
        """Bytes that the clients of a proxy sent over connections that have ended; None of a server that
        does not count them."""
        label = f'proxy="{name}"'

        def total(response: requests.Response) -> int:
            lines = (line for line in response.content.decode().splitlines() if line.startswith(RECEIVED))
            wanted = (line for line in lines if label in line and 'direction="upstream"' in line)
            return round(sum(float(line.rpartition(" ")[2]) for line in wanted))

        return self._asked_for("/metrics", total)

    def _asked_for(self, path: str, read: Callable[[requests.Response], Answer]) -> Answer | None:
        """What a path that not every server has answers."""
        if path in self._missing:
            return None
        try:
            return read(self.send("GET", path))
        except ToxiproxyRefused as refusal:
            if refusal.status != 404:
                raise
            self._missing.add(path)
            return None

    # -- changing ------------------------------

    def create_proxy(self, name: str, *, listen: str, upstream: str) -> ProxyState:
        """A new, enabled proxy. Port 0 lets the system choose; the state returned has the chosen one."""
        with self._calling():
            self._client.create(upstream=upstream, name=name, listen=listen)
        return self._checked(
            name, "an enabled proxy", lambda state: state.enabled and state.upstream == upstream
        )

    def delete_proxy(self, name: str) -> None:
        """Stop a proxy, close its connections and forget it."""
        with self._calling():
            self._named(name).destroy()
        if name in self.proxies():
            raise ToxiproxyRefused(f"DELETE proxy {name}", "with success, but still lists it", status=204)

    def set_enabled(self, name: str, enabled: bool) -> ProxyState:
        """Listen, or refuse everybody and close all connections."""
        with self._calling():
            named = self._named(name)
            (named.enable if enabled else named.disable)()
        return self._checked(name, f"enabled: {enabled}", lambda state: state.enabled is enabled)

    def set_upstream(self, name: str, upstream: str) -> ProxyState:
        """Dial another address from now on. Closes all connections of the proxy."""
        with self._calling():
            APIConsumer.post(f"/proxies/{quote(name, safe='')}", json={"upstream": upstream})
        return self._checked(name, f"upstream: {upstream}", lambda state: state.upstream == upstream)

    def put_toxic(
        self,
        proxy: str,
        name: str,
        *,
        kind: str,
        stream: str,
        attributes: Mapping[str, int],
        toxicity: float = 1.0,
    ) -> ToxicState:
        """Create a toxic, or update the one of that name in place. Returns it as read back."""
        wanted = {"attributes": dict(attributes), "toxicity": toxicity}

        def add() -> None:
            with self._calling():
                self._named(proxy).add_toxic(name=name, type=kind, stream=stream, **wanted)

        try:  # nearly always it is new: a look first would make every fault start later
            add()
        except ToxiproxyRefused as refusal:
            existing = self.proxy(proxy).toxic(name) if refusal.status == 409 else None
            if existing is None:
                raise
            if (existing.kind, existing.stream) != (kind, stream):
                self.remove_toxic(proxy, name)
                add()
            else:
                with self._calling():
                    APIConsumer.post(_toxic_path(proxy, name), json=wanted)

        def as_wanted(state: ProxyState) -> bool:
            toxic = state.toxic(name)
            return (
                toxic is not None
                and attributes.items() <= toxic.attributes.items()
                and _acts_on(toxic, toxicity)
            )

        found = self._checked(proxy, f"toxic {name} with {dict(attributes)}", as_wanted).toxic(name)
        assert found is not None
        return found

    def set_toxicity(self, proxy: str, name: str, toxicity: float) -> None:
        """Let a toxic that is there act on this share of connections, open ones included; cuts none."""
        with self._calling():
            APIConsumer.post(_toxic_path(proxy, name), json={"toxicity": toxicity})

        def as_wanted(state: ProxyState) -> bool:
            toxic = state.toxic(name)
            return toxic is not None and _acts_on(toxic, toxicity)

        self._checked(proxy, f"toxic {name} with toxicity {toxicity:g}", as_wanted)

    def remove_toxic(self, proxy: str, name: str) -> None:
        """Take a toxic away. Removing a `timeout` toxic closes the proxy's connections."""
        with self._calling():
            self._named(proxy).destroy_toxic(quote(name, safe=""))
        self._checked(proxy, f"no toxic {name}", lambda state: state.toxic(name) is None)

    def reset(self) -> None:
        """Enable all proxies and remove all toxics."""
        with self._calling():
            self._client.reset()
        for state in self.proxies().values():
            if not state.enabled or state.toxics:
                raise ToxiproxyRefused("POST /reset", f"with success, but has {state}", status=204)

    def rebuild(self) -> None:
        """Make every proxy again as last known, at the same address; for a server that was replaced.

        When it fails half way, what was known before is known still: the next one makes all of it.
        """
        wanted = dict(self.known)  # each call below reads back what is there so far
        try:
            there = self.proxies()
            for state in wanted.values():
                if state.name in there:
                    self.delete_proxy(state.name)
                self._make(state)
        finally:
            self.known = wanted

    def _make(self, state: ProxyState) -> None:
        self.create_proxy(state.name, listen=state.listen, upstream=state.upstream)
        for toxic in state.toxics:
            self.put_toxic(
                state.name,
                toxic.name,
                kind=toxic.kind,
                stream=toxic.stream,
                attributes=toxic.attributes,
                toxicity=toxic.toxicity,
            )
        if not state.enabled:
            self.set_enabled(state.name, False)

    # -- how a call is sent ------------------------------

    def send(self, method: str, path: str, *, json: object = None) -> requests.Response:
        """One request within the deadline. Raises a ToxiproxyError unless the answer is a success."""
        sent = f"{method} {self.url}{path}" + (f" {json}" if json is not None else "")
        body = None if json is None else dumps(json).encode()
        try:
            status, answered = exchange(
                self.host, self.port, method, path, body, deadline_s=self.deadline_s, token=self._token
            )
        except TimeoutError:
            raise ToxiproxyHung(f"Toxiproxy did not answer {sent} within {self.deadline_s:g} s") from None
        except (OSError, HTTPException) as error:
            raise ToxiproxyUnreachable(f"Toxiproxy could not be sent {sent}: {error}") from None
        if not 200 <= status < 300:
            text = f"{status} {answered.decode('utf-8', 'replace').strip()}"
            raise ToxiproxyRefused(sent, text, status=status)
        response = requests.Response()  # what the client expects to get
        response.status_code, response._content = status, answered
        return response

    @contextmanager
    def _calling(self) -> Iterator[None]:
        token = _ROUTED.adapter.set(self)
        try:
            yield
        except ProxyExists as error:  # the client looks before it sends
            raise ToxiproxyRefused("a call to create a proxy", str(error), status=409) from None
        finally:
            _ROUTED.adapter.reset(token)

    def _checked(self, name: str, wish: str, holds: Callable[[ProxyState], bool]) -> ProxyState:
        state = self.proxy(name)
        if not holds(state):
            raise ToxiproxyRefused(
                f"a call for {wish} on proxy {name}", f"success, but has {state}", status=200
            )
        return state

    @staticmethod
    def _named(name: str) -> ClientProxy:
        """The client's object for a proxy; it puts the name into paths as it stands."""
        return ClientProxy(name=quote(name, safe=""), upstream="", enabled=True, listen="")


def _acts_on(toxic: ToxicState, share: float) -> bool:
    return abs(toxic.toxicity - share) < SINGLE_PRECISION


def _toxic_path(proxy: str, name: str) -> str:
    return f"/proxies/{quote(proxy, safe='')}/toxics/{quote(name, safe='')}"
