"""One planned operation, and the HTTP request that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from experiment.forms import RequestForm
from experiment.kept_values import KEPT, from_environment
from experiment.templates import Fill, Values, escaped, filler, json_filler, placeholders, text_of

CONTENT_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
}
UNSENDABLE = frozenset("\r\n\0")


@dataclass(frozen=True, slots=True)
class PlannedOperation:
    """One operation at its intended start. `key` is the business key that the client makes up: the journey's
    prefix, the run's token and the visit. `needs` is the id of the operation whose success this one builds
    on; `arguments` are JSON values drawn from the seed; `value` is what a write means to leave behind."""

    id: int
    journey: str
    at_s: float
    key: str
    visit: int
    needs: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    value: str | None = None


@dataclass(frozen=True, slots=True)
class RequestTraits:
    """What the requests of a journey have in common: an Idempotency-Key, and the version that a write
    expects."""

    keyed: bool
    conditional: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What a request may build on: the version that the visit last saw acknowledged, the day (ISO date), and
    what earlier answers of the visit gave to keep."""

    version: int | None = None
    day: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)

    def values(self, op: PlannedOperation) -> dict[str, Any]:
        """What the placeholders of a request stand for."""
        _, token, visit = op.key.split("-")
        return {
            **op.arguments,
            **{f"{KEPT}{name}": value for name, value in self.kept.items()},
            "key": op.key,
            "token": token,
            "visit": visit,
            "operation": op.id,
            "day": self.day,
            "version": self.version,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to the entry service of its journey; `headers` without host and content-length."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    expected_version: int | None = None  # what If-Match or its like names

    @property
    def keyed(self) -> bool:
        return "idempotency-key" in self.headers

    def in_lower_case(self) -> Request:
        """The same with header names in lower case."""
        if all(map(str.islower, self.headers)):
            return self
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.method, self.path, headers, self.body, self.expected_version)


def request_problem(request: Any) -> str:
    """Why something cannot be sent as a request; empty when it can."""
    if not isinstance(request, Request):
        return f"{request!r:.80} instead of a Request"
    try:
        line = "".join([request.method, request.path, *request.headers, *request.headers.values()])
        if not line.isascii():
            line.encode("latin-1")
    except TypeError:
        return "a method, a path or a header that is not text"
    except UnicodeEncodeError as error:
        return f"{error.object[error.start : error.end]!r} in the path or a header; expected Latin-1"
    odd = not line.isprintable() and not UNSENDABLE.isdisjoint(line)
    if odd or " " in request.path or not request.path.startswith("/"):
        return f"the path {request.path!r} or a header of another form"
    return "" if isinstance(request.body, bytes) else f"a body of {type(request.body).__name__}"


def builder(form: RequestForm) -> Callable[[PlannedOperation, Known], Request]:
    """A function that makes the request of an operation; it raises Unfilled. What does not change from one
    operation to the next is encoded once."""
    path = filler(form.path, escaped)
    body, content_type = _body(form)
    headers: list[tuple[str, Fill, bool]] = []
    if content_type and not any(name.lower() == "content-type" for name in form.headers):
        headers.append(("content-type", filler(content_type), False))
    for name, text in form.headers.items():
        headers.append((name.lower(), filler(text), _names_version(text)))
    expects = any(conditional for _, _, conditional in headers) or _names_version(form.json)
    outside = from_environment(form.template)

    def build(op: PlannedOperation, known: Known) -> Request:
        values = known.values(op) | outside
        if not expects:
            filled = {name: fill(values) for name, fill, _ in headers}
            return Request(form.method, path(values), filled, body(values))
        version = known.version
        filled = {
            name: fill(values)
            for name, fill, conditional in headers
            if version is not None or not conditional
        }
        return Request(form.method, path(values), filled, body(values), version)

    return build


def _names_version(template: Any) -> bool:
    return any(name == "version" for _, name in placeholders(template))


def _body(form: RequestForm) -> tuple[Callable[[Values], bytes], str]:
    """A function that fills the body, and its content type."""
    if form.json is not None:
        return json_filler(form.json), CONTENT_TYPES["json"]
    if form.form is not None:
        fields = [(quote_plus(name), filler(text)) for name, text in form.form.items()]
        return (
            lambda values: "&".join(f"{name}={quote_plus(fill(values))}" for name, fill in fields).encode(),
            CONTENT_TYPES["form"],
        )
    if form.text is not None:
        text = filler(form.text, text_of)
        return lambda values: text(values).encode(), CONTENT_TYPES["text"]
    return lambda _values: b"", ""
