"""Journeys from an OpenAPI description (3.x): its operations with their examples, as far as it gives them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from discovery.first_files import FILL_IN
from experiment.templates import FIXED

METHODS = ("get", "post", "put", "patch", "delete")
CHANGES = ("post", "put", "patch", "delete")
MOST = 40  # operations; more are left out by name
DEEPEST = 6  # of a value that is made from a schema
SECRET = "{env.API_TOKEN}"
_BY_TYPE: dict[str, Any] = {"integer": 1, "number": 1, "boolean": True, "string": "text"}


@dataclass(frozen=True, slots=True)
class FoundOperation:
    """One operation as a journey. `arguments` are the parameters of its path and query; `guessed` says what
    of it has no example in the description."""

    name: str
    method: str
    path: str
    arguments: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Any
    guessed: tuple[str, ...]

    @property
    def writes(self) -> bool:
        return self.method in CHANGES

    @property
    def request(self) -> dict[str, Any]:
        """As a system's file says it."""
        found: dict[str, Any] = {"method": self.method.upper(), "path": self.path}
        if self.headers:
            found["headers"] = dict(self.headers)
        if self.body is not None:
            found["json"] = self.body
        return found


def operations_of(document: Any) -> tuple[FoundOperation, ...]:
    """Every operation of a description, in its order. Raises ValueError for what is not one."""
    paths = document.get("paths") if isinstance(document, Mapping) else None
    if not isinstance(paths, Mapping) or not str(document.get("openapi", "")).startswith("3"):
        raise ValueError("a document that is not OpenAPI; expected one of version 3 with paths")
    return tuple(_operations(document, paths))


def _operations(document: Mapping[str, Any], paths: Mapping[str, Any]) -> Iterator[FoundOperation]:
    reader, taken = _Reader(document), set[str]()
    for path, item in paths.items():
        item = reader.followed(item)
        for method in METHODS:
            operation = item.get(method)
            if isinstance(operation, Mapping):
                found = reader.operation(path, method, item, operation, taken)
                taken.add(found.name)
                yield found


class _Reader:
    """Follows references inside one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        servers = document.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else {}
        url = first.get("url", "") if isinstance(first, Mapping) else ""
        self._base = urlsplit(str(url)).path.rstrip("/") if "{" not in str(url) else ""

    def followed(self, value: Any) -> dict[str, Any]:
        """A mapping; of a reference what it leads to. A reference to elsewhere leads nowhere."""
        for _ in range(DEEPEST):
            if not isinstance(value, Mapping):
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return dict(value)
            value = self._document if reference.startswith("#/") else None
            for step in reference.removeprefix("#/").split("/"):
                name = step.replace("~1", "/").replace("~0", "~")
                value = value.get(name) if isinstance(value, Mapping) else None
        return {}

    def operation(
        self, path: str, method: str, item: Mapping[str, Any], found: Mapping[str, Any], taken: set[str]
    ) -> FoundOperation:
        guessed: list[str] = []
        arguments, queries, headers = {}, [], {}
        parameters = [
            self.followed(one) for one in (*item.get("parameters", ()), *found.get("parameters", ()))
        ]
        for one in {(each.get("name"), each.get("in")): each for each in parameters}.values():
            name, where = str(one.get("name", "")), one.get("in")
            if where == "path" or (where in ("query", "header") and one.get("required")):
                value = self._example(one, self.followed(one.get("schema")), name, guessed)
                argument = _argument(name)
                if where == "header":
                    headers[name] = _literal(str(value))
                    continue
                arguments[argument] = value
                if where == "path":
                    path = path.replace(f"{{{name}}}", f"{{{argument}}}")
                else:
                    queries.append(f"{name}={{{argument}}}")
        for name in set(re.findall(r"\{([^{}]*)\}", path)) - arguments.keys():  # one that nothing declares
            arguments[_argument(name)], path = "text", path.replace(f"{{{name}}}", f"{{{_argument(name)}}}")
            guessed.append(name)
        headers |= self._secured(found)
        full = self._base + path + ("?" + "&".join(queries) if queries else "")
        named = _named(str(found.get("operationId") or f"{method}{path}"))
        while named in taken:
            named += "_"
        return FoundOperation(
            named, method, full, arguments, headers, self._body(found, guessed), tuple(guessed)
        )

    def _secured(self, operation: Mapping[str, Any]) -> dict[str, str]:
        """The header in which the first way to authenticate is shown, with a secret of the environment."""
        asked = operation.get("security", self._document.get("security")) or []
        names = [name for one in asked if isinstance(one, Mapping) for name in one]
        known = self.followed(self.followed(self._document.get("components")).get("securitySchemes"))
        for name in names:
            scheme = self.followed(known.get(name))
            if scheme.get("type") == "apiKey" and scheme.get("in") == "header":
                return {str(scheme.get("name")): SECRET}
            if scheme:
                kind = "Basic" if str(scheme.get("scheme", "")).lower() == "basic" else "Bearer"
                return {"authorization": f"{kind} {SECRET}"}
        return {}

    def _body(self, operation: Mapping[str, Any], guessed: list[str]) -> Any:
        content = self.followed(operation.get("requestBody")).get("content")
        media = next(
            (self.followed(one) for kind, one in (content or {}).items() if "json" in kind.lower()), None
        )
        if media is None:
            if content:
                guessed.append("a body that is not JSON")
            return None
        return _escaped(self._example(media, self.followed(media.get("schema")), "body", guessed))

    def _example(
        self, of: Mapping[str, Any], schema: Mapping[str, Any], name: str, guessed: list[str]
    ) -> Any:
        examples = of.get("examples")
        if isinstance(examples, Mapping) and examples:
            given = self.followed(next(iter(examples.values())))
            if "value" in given:
                return given["value"]
        return of["example"] if "example" in of else self._made(schema, name, guessed, 0)

    def _made(self, schema: Mapping[str, Any], name: str, guessed: list[str], depth: int) -> Any:
        """A value of a schema: its example, default or first choice, else one of its type: a guess."""
        for key in ("example", "default", "const"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if isinstance(schema.get(key), list) and schema[key]:
                return schema[key][0]
        for key in ("allOf", "oneOf", "anyOf"):
            if isinstance(schema.get(key), list) and schema[key] and depth < DEEPEST:
                parts = [self._made(self.followed(one), name, guessed, depth + 1) for one in schema[key]]
                if key == "allOf" and all(isinstance(part, dict) for part in parts):
                    return {inner: value for part in parts for inner, value in part.items()}
                return parts[0]
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and depth < DEEPEST:
            required = schema.get("required") or list(properties)
            return {
                inner: self._made(self.followed(one), inner, guessed, depth + 1)
                for inner, one in properties.items()
                if inner in required
            }
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "array":
            return [self._made(self.followed(schema.get("items")), name, guessed, depth + 1)][
                : DEEPEST - depth
            ]
        if kind == "object":
            return {}
        guessed.append(name)
        return _BY_TYPE.get(str(kind), "text")


def _escaped(value: Any) -> Any:
    """A value of others in which a brace is a brace, not a placeholder."""
    if isinstance(value, str):
        return _literal(value)
    if isinstance(value, Mapping):
        return {str(key): _escaped(child) for key, child in value.items()}
    return [_escaped(child) for child in value] if isinstance(value, list) else value


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _named(text: str) -> str:
    """A name as journeys and arguments have it."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:60] or "operation"


def _argument(name: str) -> str:
    """The same of an argument, which no placeholder of the plan may be called."""
    return f"{_named(name)}_" if _named(name) in FIXED else _named(name)


def journeys_text(
    operations: tuple[FoundOperation, ...], entry: str, uses: list[str]
) -> tuple[str, list[str]]:
    """(the sections journeys and mixes of a system's file, the journeys that are played). Deletions are
    written down and not played: what they delete, others may need."""
    kept, left = operations[:MOST], operations[MOST:]
    lines = [
        f"journeys:                       # of the API's description; {FILL_IN}: keep what your users do"
    ]
    for one in kept:
        lines += [f"  {one.name}:", f"    entry: {entry}"]
        if uses:
            lines.append(f"    uses: {json.dumps(uses)}")
        if one.arguments:
            lines.append(f"    arguments: {json.dumps({n: _drawn(v) for n, v in one.arguments.items()})}")
        if one.guessed:
            names = ", ".join(dict.fromkeys(one.guessed))
            lines.append(f"    # {FILL_IN}: the description has no example of {names}")
        if one.writes and one.body is not None:
            lines.append(f'    # {FILL_IN}: "{{key}}" where the caller numbers the thing, to find it again')
        lines.append(f"    request: {json.dumps(one.request)}")
        lines += [] if one.writes else ["    writes: off"]
    played = [one.name for one in kept if one.method != "delete"] or [one.name for one in kept]
    lines += ["mixes:", "  visit:"]
    lines += [f"    - {{journey: {name}, at: {number * 100}ms}}" for number, name in enumerate(played)]
    lines += [f"# left out, more than {MOST}: {', '.join(one.name for one in left)}"] if left else []
    return "\n".join(lines), played


def _drawn(value: Any) -> Any:
    """A constant, as an argument is written."""
    return value if value is None or isinstance(value, (str, int, float, bool)) else {"constant": value}
