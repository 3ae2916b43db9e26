"""Telemetry: an OTLP collector. It keeps the spans of all services, each once, for whoever looks for a
fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reference_system.common import fhir
from reference_system.common.service import Service, records_of

PROTOBUF = "application/x-protobuf"
PEER = (
    "peer.service",
    "service.peer.name",
)  # OpenTelemetry's name for the other end of a call, and its new name
# What a span is here: work that was asked for, a call to another service, an event that arrived.
KINDS = {
    Span.SPAN_KIND_SERVER: "request",
    Span.SPAN_KIND_CLIENT: "call",
    Span.SPAN_KIND_PRODUCER: "call",
    Span.SPAN_KIND_CONSUMER: "delivery",
}
COLUMNS = ("id", "kind", "trace", "parent", "whose", "at", "took", "ok")
Row = tuple[str, str, str, str | None, str, float, float, bool]


class Telemetry(Service):
    """Takes spans in OTLP over HTTP. A batch that comes again changes nothing."""

    DDL: ClassVar[str] = """
        CREATE TABLE IF NOT EXISTS span (
            id text PRIMARY KEY, kind text NOT NULL, trace text NOT NULL, parent text, whose text NOT NULL,
            at float8 NOT NULL, took float8 NOT NULL, ok boolean NOT NULL)
    """
    TABLES: ClassVar[tuple[str, ...]] = ("span",)

    def routes(self) -> list[Route]:
        return [Route("/v1/traces", self.take, methods=["POST"])]

    async def take(self, request: Request) -> Response:
        if request.headers.get("content-type") != PROTOBUF:
            raise fhir.Refused(415, f"a body that is not {PROTOBUF}; expected OTLP over HTTP in protobuf")
        try:
            batch = ExportTraceServiceRequest.FromString(await request.body())
        except DecodeError:
            raise fhir.Refused(400, "a body that is not an ExportTraceServiceRequest") from None
        rows = rows_of(batch)
        if rows:
            await self.store.run(
                f"INSERT INTO span ({', '.join(COLUMNS)}) SELECT * FROM unnest($1::text[], $2::text[], "
                "$3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[], $8::bool[]) "
                "ON CONFLICT (id) DO NOTHING",
                *map(list, zip(*rows, strict=True)),
            )
            self.metrics.count("spans", len(rows))
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)

    async def records(self) -> list[dict[str, Any]]:
        """One a span: `key` is the trace, `value` the parent span, `caller` whose work it is: a service, or
        the link of a call; `amount` is how long it took."""
        requests, calls, deliveries = [await self._kept(kind) for kind in ("request", "call", "delivery")]
        return [
            *records_of("request", requests),
            *records_of("call", calls),
            *records_of("delivery", deliveries),
        ]

    async def _kept(self, kind: str) -> Sequence[Any]:
        return await self.store.rows(
            "SELECT trace AS key, id, at, CASE WHEN ok THEN 'ok' ELSE 'error' END AS status, took AS amount, "
            "parent AS value, whose AS caller FROM span WHERE kind = $1 ORDER BY at, id",
            kind,
        )


def rows_of(batch: ExportTraceServiceRequest) -> list[Row]:
    """The spans of a request that tell of something between services; what goes on inside one is left out."""
    rows: list[Row] = []
    for resource in batch.resource_spans:
        service = _text(resource.resource.attributes, "service.name")
        for scope in resource.scope_spans:
            rows += [_row(service, span) for span in scope.spans if span.kind in KINDS]
    return rows


def _row(service: str, span: Span) -> Row:
    kind, peer = KINDS[span.kind], _text(span.attributes, *PEER)
    whose = f"{service} -> {peer}" if peer and kind != "request" else service
    began, age = span.start_time_unix_nano / 1e9, _number(span.attributes, "messaging.age_s")
    took = max(0.0, (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9)
    return (
        span.span_id.hex(),
        kind,
        span.trace_id.hex(),
        span.parent_span_id.hex() or None,
        whose,
        began - age,  # an event has been on its way since it was made
        took + age,
        span.status.code != Status.STATUS_CODE_ERROR,
    )


def _text(attributes: Any, *names: str) -> str:
    return next((one.value.string_value for one in attributes if one.key in names), "")


def _number(attributes: Any, name: str) -> float:
    return next((one.value.double_value for one in attributes if one.key == name), 0.0)
