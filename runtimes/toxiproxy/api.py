"""The HTTP API: routes, calls and answers of Toxiproxy 2.12, and two of our own (`/traffic`, `/requests`)."""

from __future__ import annotations

import hmac
import itertools
import os
import posixpath
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from urllib.parse import quote, unquote_to_bytes

from runtimes.toxiproxy import bodies
from runtimes.toxiproxy.chain import ToxicSettings
from runtimes.toxiproxy.collection import ProxyCollection
from runtimes.toxiproxy.errors import ApiError
from runtimes.toxiproxy.http_reader import Request
from runtimes.toxiproxy.http_server import Response
from runtimes.toxiproxy.json_writer import JsonOut, write
from runtimes.toxiproxy.log import Log
from runtimes.toxiproxy.metrics import Metrics
from runtimes.toxiproxy.proxy import Proxy

VERSION = "2.12.0"
JSON = {"Content-Type": "application/json"}
PLAIN = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
METRICS = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
TOKEN_HEADER = "x-access-token"
NO_TOKEN = b"expected the server's token in the header x-access-token\n"
SAFE_IN_PATH = "/$&+,:;=@~"

Call = Callable[["Api", Request, list[str]], Awaitable[Response]]


class Api:
    """Answers requests. Every path of the original is here, and two more."""

    def __init__(self, proxies: ProxyCollection, metrics: Metrics, log: Log, token: str = "") -> None:
        """Every request must show the token, if there is one: all users of a machine can reach its ports."""
        self.proxies = proxies
        self.metrics = metrics
        self.log = log
        self._token = token.encode()
        self._new_id = _request_ids()

    async def handle(self, request: Request) -> Response:
        """The answer to ``request``; never raises."""
        shown = request.headers.get(TOKEN_HEADER, "").encode("utf-8", "surrogateescape")
        if self._token and not hmac.compare_digest(shown, self._token):
            response, call_name = Response(401, PLAIN, NO_TOKEN), "no token"
        else:
            response, call_name = await self._routed(request)
        self.log.debug(
            call_name, method=request.method, url=request.target.decode("latin-1"), status=response.status
        )
        return response

    async def _routed(self, request: Request) -> tuple[Response, str]:
        if (request.method, request.target) == ("OPTIONS", b"*"):
            return Response(200), "options"
        raw_path, _, query = request.target.partition(b"?")
        path = unquote_to_bytes(raw_path).decode("utf-8", "surrogateescape")
        cleaned = _clean(path)
        if cleaned != path:
            location = quote(cleaned, safe=SAFE_IN_PATH, errors="surrogateescape")
            location += f"?{query.decode('latin-1')}" if query else ""
            return Response(301, {"Location": location}), "redirect"
        names, calls = _route(path)
        if calls is None or (calls is METRICS_CALLS and not self.metrics.enabled):
            return Response(404, PLAIN, b"404 page not found\n"), "no such path"
        call = calls.get(request.method) or calls.get("*")
        if call is None:
            return Response(405), "no such method"
        try:
            if request.headers.get("user-agent", "").startswith("Mozilla/"):
                response = Response(403, PLAIN, b"User agent not allowed\n")
            else:
                response = await call(self, request, names)
        except ApiError as error:
            text = write({"error": error.message, "status": error.status})
            response = Response(error.status, PLAIN, f"{text}\n".encode())
        headers = {**response.headers, "X-Toxiproxy-Request-Id": self._new_id()}
        return Response(response.status, headers, response.body), call.__name__

    # -- calls ------------------------------

    async def version(self, request: Request, names: list[str]) -> Response:
        headers = {"Content-Type": "application/json;charset=utf-8"}
        return Response(200, headers, f'{{"version": "{VERSION}"}}\n'.encode())

    async def show_metrics(self, request: Request, names: list[str]) -> Response:
        return Response(200, METRICS, self.metrics.text().encode())

    async def show_traffic(self, request: Request, names: list[str]) -> Response:
        """What came over each proxy so far, by the address of the client: the original says that only of
        connections that have ended, and of all clients together."""
        return _json(200, {proxy.name: describe_traffic(proxy) for proxy in self.proxies.all()})

    async def show_requests(self, request: Request, names: list[str]) -> Response:
        """What the toxics that know requests have counted, by proxy and name."""
        return _json(200, {proxy.name: describe_requests(proxy) for proxy in self.proxies.all()})

    async def reset(self, request: Request, names: list[str]) -> Response:
        await self.proxies.reset()
        return Response(204, {}, None)

    async def populate(self, request: Request, names: list[str]) -> Response:
        error: ApiError | None
        try:
            wishes = bodies.proxies_to_populate(request.body)
        except ApiError as refused:
            done: list[Proxy] = []
            error = refused
        else:
            done, error = await self.proxies.populate(wishes)
        answer: dict[str, JsonOut] = {}
        if error is not None:
            answer = {"error": error.message, "status": error.status}
        answer["proxies"] = [describe_proxy(proxy) for proxy in done] or None
        return _json(201 if error is None else error.status, answer)

    async def list_proxies(self, request: Request, names: list[str]) -> Response:
        return _json(200, {proxy.name: describe_proxy(proxy) for proxy in self.proxies.all()})

    async def create_proxy(self, request: Request, names: list[str]) -> Response:
        wish = bodies.proxy_to_create(request.body)
        async with self.proxies.changing(wish.name):
            proxy = await self.proxies.create(wish)
            return _json(201, describe_proxy(proxy))

    async def show_proxy(self, request: Request, names: list[str]) -> Response:
        return _json(200, describe_proxy(self.proxies.get(names[0])))

    async def update_proxy(self, request: Request, names: list[str]) -> Response:
        async with self.proxies.changing(names[0]):
            proxy = self.proxies.get(names[0])
            wish = bodies.proxy_update(
                request.body, listen=proxy.listen, upstream=proxy.upstream, enabled=proxy.enabled
            )
            await proxy.update(listen=wish.listen, upstream=wish.upstream, enabled=bool(wish.enabled))
            return _json(200, describe_proxy(proxy))

    async def delete_proxy(self, request: Request, names: list[str]) -> Response:
        async with self.proxies.changing(names[0]):
            self.proxies.remove(names[0])
        return Response(204, {}, None)

    async def list_toxics(self, request: Request, names: list[str]) -> Response:
        return _json(200, [describe_toxic(settings) for settings in self.proxies.get(names[0]).toxics.all()])

    async def create_toxic(self, request: Request, names: list[str]) -> Response:
        async with self.proxies.changing(names[0]):
            proxy = self.proxies.get(names[0])
            settings = bodies.toxic_to_create(
                request.body, taken=[toxic.name for toxic in proxy.toxics.all()]
            )
            proxy.toxics.add(settings)
        return _json(200, describe_toxic(settings))

    async def show_toxic(self, request: Request, names: list[str]) -> Response:
        return _json(200, describe_toxic(self.proxies.get(names[0]).toxics.find(names[1])))

    async def update_toxic(self, request: Request, names: list[str]) -> Response:
        async with self.proxies.changing(names[0]):
            toxics = self.proxies.get(names[0]).toxics
            settings = toxics.find(names[1])
            toxic, toxicity = bodies.toxic_update(request.body, settings)
            toxics.update(settings, toxic=toxic, toxicity=toxicity)
        return _json(200, describe_toxic(settings))

    async def delete_toxic(self, request: Request, names: list[str]) -> Response:
        async with self.proxies.changing(names[0]):
            toxics = self.proxies.get(names[0]).toxics
            toxics.remove(toxics.find(names[1]))
        return Response(204, {}, None)


METRICS_CALLS: dict[str, Call] = {"*": Api.show_metrics}
FIXED: dict[tuple[str, ...], dict[str, Call]] = {
    ("version",): {"GET": Api.version},
    ("metrics",): METRICS_CALLS,
    ("traffic",): {"GET": Api.show_traffic},
    ("requests",): {"GET": Api.show_requests},
    ("reset",): {"POST": Api.reset},
    ("populate",): {"POST": Api.populate},
    ("proxies",): {"GET": Api.list_proxies, "POST": Api.create_proxy},
}
OF_PROXY: dict[str, Call] = {
    "GET": Api.show_proxy,
    "POST": Api.update_proxy,
    "PATCH": Api.update_proxy,
    "DELETE": Api.delete_proxy,
}
OF_TOXICS: dict[str, Call] = {"GET": Api.list_toxics, "POST": Api.create_toxic}
OF_TOXIC: dict[str, Call] = {
    "GET": Api.show_toxic,
    "POST": Api.update_toxic,
    "PATCH": Api.update_toxic,
    "DELETE": Api.delete_toxic,
}


def _route(path: str) -> tuple[list[str], dict[str, Call] | None]:
    """The names in ``path``, and its calls by method; None for a path that does not exist."""
    match path.split("/")[1:]:
        case ["proxies", proxy] if proxy:
            return [proxy], OF_PROXY
        case ["proxies", proxy, "toxics"] if proxy:
            return [proxy], OF_TOXICS
        case ["proxies", proxy, "toxics", toxic] if proxy and toxic:
            return [proxy, toxic], OF_TOXIC
        case segments:
            return [], FIXED.get(tuple(segments))


def _clean(path: str) -> str:
    """``path`` without ``//``, ``/./`` and ``/../``; a slash at the end stays."""
    if not path:
        return "/"
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


def describe_proxy(proxy: Proxy) -> JsonOut:
    """A proxy as the API shows it; ``Logger`` is an accident of the original."""
    return {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "Logger": {},
        "toxics": [describe_toxic(settings) for settings in proxy.toxics.all()],
    }


def describe_traffic(proxy: Proxy) -> JsonOut:
    """Connections and bytes of one proxy, for each address that clients came from."""
    return {peer: asdict(seen) for peer, seen in proxy.traffic().items()}


def describe_requests(proxy: Proxy) -> JsonOut:
    """Requests that each toxic has seen and touched; only of those that know requests."""
    counts = {one.name: one.tally for one in proxy.toxics.all() if one.toxic.both_ways}
    return {name: {"requests": tally.requests, "touched": tally.touched} for name, tally in counts.items()}


def describe_toxic(settings: ToxicSettings) -> JsonOut:
    """A toxic as the API shows it."""
    return {
        "attributes": dict(settings.toxic.attributes()),
        "name": settings.name,
        "type": settings.kind,
        "stream": settings.stream,
        "toxicity": float(settings.toxicity),
    }


def _json(status: int, value: JsonOut) -> Response:
    return Response(status, JSON, write(value).encode("utf-8", "replace"))


def _request_ids() -> Callable[[], str]:
    """Sortable unique ids of 20 characters: seconds, machine, process and a counter in base 32."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    origin = os.urandom(5)
    counter = itertools.count(int.from_bytes(os.urandom(3), "big"))

    def new_id() -> str:
        raw = struct.pack(">I", int(time.time())) + origin + (next(counter) & 0xFFFFFF).to_bytes(3, "big")
        number = int.from_bytes(raw, "big") << 4
        return "".join(digits[number >> shift & 31] for shift in range(95, -1, -5))

    return new_id
