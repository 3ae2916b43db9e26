"""The routes every service has for operators: life, readiness, counters, backlog, records, design,
reset, behaviours."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from reference_system.common import behaviours, fhir, store
from reference_system.common.patterns import deadline
from reference_system.common.service import Reset, records_of
from reference_system.common.store import StoreUnavailable

if TYPE_CHECKING:
    from reference_system.common.service import Service

CHUNK_ROWS = 1000
WITH_STORE = "store"
READY_TO_ANSWER = f"/ready?{WITH_STORE}"  # beyond having started: whether it gets at its data now
STORE_WAIT_S = 0.2
_encode = msgspec.json.Encoder().encode
_reset = msgspec.json.Decoder(Reset).decode


def plain(body: Any, status: int = 200) -> Response:
    return Response(_encode(body), status, media_type="application/json")


def routes(service: Service) -> list[Route]:
    """Routes bound to `service`."""

    async def health(_: Request) -> Response:
        return plain({"service": service.name, "status": "alive"})

    async def ready(request: Request) -> Response:
        waiting_for = service.waiting_for
        if not waiting_for and WITH_STORE in request.query_params:
            waiting_for = await _store_waits(service)
        body = {"service": service.name, "ready": not waiting_for, "waiting_for": waiting_for}
        return plain(body, 503 if waiting_for else 200)

    async def metrics(request: Request) -> Response:
        return metrics_of(service, request)

    async def backlog(_: Request) -> Response:
        return plain(await _waiting(service))

    async def records(_: Request) -> Response:
        return StreamingResponse(ndjson(await _kept(service)), media_type="application/x-ndjson")

    async def design(_: Request) -> Response:
        return plain(shown(await service.obeyed()))

    async def reset(request: Request) -> Response:
        started = time.perf_counter()
        body = await request.body()
        order = fhir.read(lambda raw: service.check(_reset(raw)), body, "{run, seed, design?, clock_scale?}")
        if not service.ready:
            raise StoreUnavailable(f"not ready: {service.waiting_for}", sent=False)
        await service.reset(order)
        took_ms = (time.perf_counter() - started) * 1000
        return plain({"service": service.name, "run": service.run, "ms": took_ms})

    async def behaviour(request: Request) -> Response:
        return await _behaviour(service, request)

    return [
        Route("/health", health),
        Route("/ready", ready),
        Route("/metrics", metrics),
        Route("/backlog", backlog),
        Route("/records", records),
        Route("/design", design),
        Route("/admin/reset", reset, methods=["POST"]),
        Route("/admin/behaviour/{name}", behaviour, methods=["GET", "PUT", "DELETE"]),
    ]


async def _store_waits(service: Service) -> str:
    """What is amiss with the store; empty when it answers."""
    store.unhurried.set(False)
    deadline.current.set(time.monotonic() + STORE_WAIT_S)
    try:
        await service.store.row("SELECT 1 AS one")
    except StoreUnavailable as error:
        return f"store: {error}"
    return ""


async def _behaviour(service: Service, request: Request) -> Response:
    """One of the behaviours or planned changes: switched on, ended, or only looked at."""
    name = request.path_params["name"]
    if name in service.CHANGES:
        return await _change(service, name, request.method)
    if name not in behaviours.KINDS:
        known = ", ".join([*behaviours.KINDS, *service.CHANGES])
        raise fhir.Refused(404, f"behaviour {name!r}; expected one of {known}")
    if request.method == "PUT":
        body = await request.body()
        fhir.read(lambda found: service.behaviours.put(name, found), body, f"what {name} takes")
    elif request.method == "DELETE":
        service.behaviours.delete(name)
    return plain(service.behaviours.describe(name))


async def _change(service: Service, name: str, method: str) -> Response:
    """One of the service's planned changes: begun, taken back, or only looked at."""
    if method != "GET":
        service.spawn(service.make_change(name, made=method == "PUT"))
    active, done = await service.change_state(name)
    return plain({"active": active, "done": done})


def metrics_of(service: Service, request: Request) -> Response:
    """The counters as JSON, or in Prometheus' text format."""
    as_text = "text/plain" in request.headers.get("accept", "")
    return scraped(service) if as_text else plain(counted(service))


def counted(service: Service) -> dict[str, Any]:
    """The counters of a service since the last reset."""
    body = {"service": service.name, "design": service.design.name, "run": service.run}
    found = {**body, **service.metrics.snapshot(), "spans_dropped": service.tracer.dropped}
    if service.exporter is not None:
        found["spans_exported"] = service.exporter.exported
        found["spans_dropped"] += service.exporter.dropped
    return found


def scraped(service: Service) -> Response:
    """The same in Prometheus' text format, for whoever asks for text."""
    # Imported here: only a scraper needs it.
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    for name, value in counted(service).items():
        if isinstance(value, (int, float)):
            Gauge(f"service_{name}", f"{name} of this service", registry=registry).set(value)
        elif name == "links":
            for counter in next(iter(value.values()), {}):
                if counter != "breaker_state":
                    gauge = Gauge(f"link_{counter}", f"{counter} of a link", ["callee"], registry=registry)
                    for callee, counters in value.items():
                        gauge.labels(callee).set(counters[counter])
        elif isinstance(value, Mapping):
            gauge = Gauge(f"service_{name}", f"{name} of this service", ["about"], registry=registry)
            for about, count in value.items():
                gauge.labels(about).set(count)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _waiting(service: Service) -> dict[str, int]:
    """What the service has not finished, its own work and that of its parts."""
    counts = await service.backlog()
    if service.DISCLOSES:
        counts |= service.disclosure.backlog()
    if service.bus is not None:
        counts["outbox"] = await service.outbox.waiting()
    if service.consumer is not None:
        counts["consumer_lag"] = await service.consumer.lag()
    if service.exporter is not None:
        counts["spans"] = service.exporter.untold
    return counts


async def _kept(service: Service) -> list[dict[str, Any]]:
    """The system of record; of a service that shows patient data with its grants, and how it was asked."""
    rows = await service.records()
    if not service.DISCLOSES:
        return rows
    given = records_of("grant", await service.disclosure.records())
    return [*rows, *given, *records_of("transport", service.metrics.transports(service.name))]


def shown(obeys: Mapping[str, Any]) -> dict[str, Any]:
    """What is obeyed, and its digest: of JSON with sorted keys and no blanks, whole numbers without a
    fraction."""
    text = json.dumps(_whole(obeys), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {"digest": hashlib.sha256(text.encode()).hexdigest(), "obeys": obeys}


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _whole(one) for name, one in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def ndjson(rows: list[dict[str, Any]]) -> AsyncIterator[bytes]:
    """One row a line, in chunks."""
    for start in range(0, len(rows), CHUNK_ROWS):
        yield b"".join(_encode(row) + b"\n" for row in rows[start : start + CHUNK_ROWS])
