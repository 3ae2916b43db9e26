"""What system.yaml says of requests, answers and arguments: plain data, checked in itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from experiment.answers import place_of
from experiment.decoding import FAILED, Decoder, describe, plain
from experiment.errors import nearest
from experiment.kept_values import ENVIRONMENT, KEPT, is_elsewhere
from experiment.templates import FIXED, pieces, placeholders
from experiment.yaml_source import Mapping, Node, Scalar

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Path = tuple[str | int, ...]
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# The load writes these itself.
OWN_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "traceparent", "x-caller")
)
PREFIX = re.compile(r"[A-Za-z0-9_.]{1,40}")


@dataclass(frozen=True, slots=True)
class RequestForm:
    """One HTTP request with placeholders of the plan's values: {key}, {token}, {visit}, {operation}, {day},
    {version}, every argument by its name, {kept.NAME} and {env.NAME}. At most one of json, form and text is
    the body."""

    path: str
    """The path from the root of the entry service, with its query."""
    method: Method = "GET"
    """The HTTP method."""
    headers: dict[str, str] = field(default_factory=dict)
    """Its headers. One with `{version}` is left out before a version is known."""
    json: Any = None
    """The body, as JSON."""
    form: dict[str, str] | None = None
    """The body, as fields of a form."""
    text: str | None = None
    """The body, as plain text."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or re.search(r"[\s\x00-\x1f]", self.path):
            raise ValueError(f'the path "{self.path}"; expected a path without spaces that begins with /')
        _require_headers(self.headers)
        bodies = [name for name in ("json", "form", "text") if getattr(self, name) is not None]
        if len(bodies) > 1:
            raise ValueError(f"the keys {' and '.join(bodies)}; expected one body")
        for part in ("path", "text"):
            value = getattr(self, part)
            _require_template(part, value)
            if value is not None and any(name == "version" for _, name in placeholders(value)):
                raise ValueError(
                    f"{{version}} in the {part}; expected it in headers, or as a value of json: "
                    "it is not known before a first answer"
                )
        for part in ("headers", "json", "form"):
            _require_template(part, getattr(self, part))

    @property
    def template(self) -> list[Any]:
        """All that may hold placeholders."""
        return [self.path, self.headers, self.json, self.form, self.text]

    def placeholders(self) -> Iterator[tuple[Path, str]]:
        """Every placeholder, with where it stands below the request."""
        for part in ("path", "headers", "json", "form", "text"):
            yield from placeholders(getattr(self, part), (part,))


def _require_headers(headers: dict[str, str]) -> None:
    for name in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f'the name "{name}" in headers; expected the name of a header')
        if name.lower() in OWN_HEADERS:
            raise ValueError(f'the header "{name}" in headers; expected another: the load writes this one')


def _require_template(part: str, value: Any) -> None:
    try:
        list(placeholders(value))
    except ValueError as error:
        raise ValueError(str(error).replace("the text", f"the {part}", 1)) from None


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """Where a success says what it says; a path is status, header.<name> or body with keys and positions
    (`body.order.lines[0].price`), and ends with ? when it may be missing."""

    version: str | None = None
    """Where the version stands: a whole number, or an entity tag such as W/"3"."""
    value: str | None = None
    """Where the value or state stands that was read or written."""
    label: str | dict[int, str] | None = None
    """Where the label stands, or what a status means, such as {202: pending}."""
    age: str | None = None
    """Where the answer says how old the value is."""
    age_in: Literal["s", "ms"] = "s"
    """The unit of the age."""
    keep: dict[str, str] = field(default_factory=dict)
    """What later steps of the visit use as `{kept.NAME}`: where each stands, such as {login: body.token}."""

    def __post_init__(self) -> None:
        for name in ("version", "value", "label", "age"):
            path = getattr(self, name)
            if isinstance(path, str):
                try:
                    place_of(path)
                except ValueError as error:
                    raise ValueError(f"the {name} {error}") from None
        for name, path in self.keep.items():
            if not is_elsewhere(f"{KEPT}{name}"):
                raise ValueError(f'the name "{name}" in keep; expected letters, digits and "_"')
            try:
                place_of(path)
            except ValueError as error:
                raise ValueError(f"{name} in keep: {error}") from None
        if isinstance(self.label, dict):
            for status in self.label:
                if not 200 <= status < 300:
                    raise ValueError(
                        f"the label of status {status}; expected statuses of successes, 200 to 299"
                    )


@dataclass(frozen=True, slots=True)
class FinalReadForm:
    """How things of one key prefix are read in the end, with GET at the entry service of the journey that
    writes them. Without an answer here the client reads it; 404 and 410 say that the thing does not exist."""

    written_by: str
    """The journey that writes these things; they are read at its entry service."""
    path: str
    """The path of one thing, with `{key}`."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of the request, such as who reads; `{env.NAME}` is a variable of the environment."""
    answer: AnswerForm | None = None
    """Where the answer says what it says; without it, the client reads it."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or re.search(r"[\s\x00-\x1f]", self.path):
            raise ValueError(f'the path "{self.path}"; expected a path without spaces that begins with /')
        _require_template("path", self.path)
        _require_template("headers", self.headers)
        _require_headers(self.headers)
        for _, name in placeholders(self.headers):
            if not (name.startswith(ENVIRONMENT) and is_elsewhere(name)):
                raise ValueError(f"the headers with {{{name}}}; expected {{env.NAME}} or no placeholder")
        for _, name in placeholders(self.path):
            if name not in ("key", "token", "visit"):
                raise ValueError(f"the path with {{{name}}}; expected {{key}}, {{token}} or {{visit}}")


DrawKind = Literal["uniform", "integer", "one_of", "constant", "sequence", "unique"]
_SHAPES = {
    "uniform": "two numbers, the lower one first: [5, 80]",
    "integer": "two whole numbers, the lower one first: [1, 10]",
    "one_of": "a list of at least one value",
    "constant": "a value that is always the same",
    "sequence": "the whole number that it begins with: 1",
    "unique": "the first word of a text that no other operation or run has: sku",
}
_EXTRA = {"uniform": "decimals", "one_of": "weights"}


@dataclass(frozen=True, slots=True)
class Draw:
    """How an argument gets its value from the seed. `of` is what the kind takes, see `draw` of
    experiment/draws.py."""

    kind: DrawKind
    of: Any
    decimals: int | None = None
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not _fits(self.kind, self.of):
            raise ValueError(f"{self.kind} with another value; expected {_SHAPES[self.kind]}")
        if self.decimals is not None and not 0 <= self.decimals <= 12:
            raise ValueError(f"decimals {self.decimals}; expected 0 to 12")
        if self.weights and (len(self.weights) != len(self.of) or not sum(self.weights) > 0):
            raise ValueError("the weights; expected one for each value of one_of, above 0 together")
        if any(weight < 0 for weight in self.weights):
            raise ValueError("the weights; expected none below 0")


def _fits(kind: str, of: Any) -> bool:
    if kind in ("uniform", "integer"):
        types = (int,) if kind == "integer" else (int, float)
        numbers = isinstance(of, list) and all(type(each) in types for each in of)
        return numbers and len(of) == 2 and of[0] <= of[1]
    if kind == "one_of":
        return isinstance(of, list) and bool(of)
    if kind == "sequence":
        return type(of) is int
    return kind == "constant" or (isinstance(of, str) and PREFIX.fullmatch(of) is not None)


def decode_draw(decoder: Decoder, node: Node) -> Any:
    """A hook for the decoder: a plain value is a constant, a mapping names one kind of draw."""
    if isinstance(node, Scalar):
        return Draw("constant", plain(node))
    if not isinstance(node, Mapping):
        hint = "write {one_of: [...]} to draw one, or {constant: [...]} for the whole list"
        return decoder.fail(node.where, describe(node), "a value, or a mapping with one kind of draw", hint)
    kinds = [key for key, _ in node.items if key.text in _SHAPES]
    if len(kinds) != 1:
        wrong = next((key.text for key, _ in node.items), "")
        hint = decoder.nearest(wrong, _SHAPES) if not kinds else ""
        found = f"{len(kinds)} kinds of draw" if kinds else f'"{wrong}"' if wrong else describe(node)
        return decoder.fail(node.where, found, f"one of {', '.join(_SHAPES)}", hint)
    kind = kinds[0].text
    decimals: Any = None
    weights: Any = ()
    for key, child in node.items:
        if key.text == kind:
            continue
        if key.text != _EXTRA.get(kind):
            known = [kind, *filter(None, [_EXTRA.get(kind)])]
            return decoder.fail(key.where, f'the unknown key "{key.text}"', f"{' and '.join(known)} alone")
        if kind == "uniform":
            decimals = decoder.value(child, int)
        else:
            weights = decoder.value(child, tuple[float, ...])
    if decimals is FAILED or weights is FAILED:
        return FAILED
    given = node.get(kind)
    assert given is not None
    try:
        return Draw(kind, plain(given), decimals, weights)  # type: ignore[arg-type]  # one of _SHAPES
    except ValueError as error:
        where = given.where if str(error).startswith(kind) else node.where
        return decoder.refuse(where, error)


def draw_schema() -> dict[str, Any]:
    """What an argument looks like in a file, as JSON Schema."""
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    kinds: dict[str, dict[str, Any]] = {
        "uniform": numbers,
        "integer": {**numbers, "items": {"type": "integer"}},
        "one_of": {"type": "array", "minItems": 1},
        "constant": {},
        "sequence": {"type": "integer"},
        "unique": {"type": "string"},
    }
    extra = {
        "decimals": {
            "type": "integer",
            "minimum": 0,
            "maximum": 12,
            "description": "How many decimals the number has.",
        },
        "weights": {
            "type": "array",
            "items": {"type": "number", "minimum": 0},
            "description": "How often each value is drawn, beside the others.",
        },
    }
    drawn = [
        {
            "type": "object",
            "properties": {
                kind: {**kinds[kind], "description": f"{shape[0].upper()}{shape[1:]}."},
                **{name: extra[name] for name in filter(None, [_EXTRA.get(kind)])},
            },
            "required": [kind],
            "additionalProperties": False,
        }
        for kind, shape in _SHAPES.items()
    ]
    return {"anyOf": [{"type": ["string", "number", "boolean", "null"]}, *drawn]}


def require_intended(text: str | None) -> None:
    """Raises ValueError for a text with braces that are not placeholders."""
    if text is not None:
        pieces(text)


def unknown_placeholders(
    form: RequestForm | None, intended: str | None, arguments: Collection[str]
) -> Iterator[tuple[Path, str, str]]:
    """(where below the journey, name, hint) of every placeholder that stands for nothing."""
    known = (*FIXED, *arguments)
    for path, name in form.placeholders() if form is not None else ():
        if name not in known and not is_elsewhere(name):
            yield ("request", *path), name, nearest(name, known)
    for _, name in placeholders(intended):
        if name not in known:
            yield ("intended_value",), name, nearest(name, known)
