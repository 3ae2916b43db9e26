"""A page of documentation from a JSON Schema: one table of keys for each object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
REFERENCE = "#/$defs/"


def page_of(title: str, kind: str, schema: Schema) -> str:
    """Markdown: the keys of the file itself, then those of each object in it, each under its own heading."""
    lines = [
        f"# {title}",
        "",
        f"{schema['title']}. `codeblue validate FILE` checks one; `codeblue schema {kind}` prints the JSON",
        "Schema that this page is made from, for editors.",
        "",
        *_table(schema),
    ]
    for name, inner in schema["$defs"].items():
        if "properties" in inner:
            lines += ["", f"## {_words(name)}", "", *_described(inner), *_table(inner)]
    for name, inner in _kinds(schema):
        lines += ["", f"## {name}", "", *_described(inner), *_table(inner)]
    plain = {name: inner for name, inner in schema["$defs"].items() if "properties" not in inner}
    if plain:
        lines += ["", "## Values", "", "| value | is |", "|---|---|"]
        lines += [f"| {_words(name)} | {_cell(_told(inner))} |" for name, inner in plain.items()]
    return "\n".join(lines) + "\n"


def _described(schema: Schema) -> list[str]:
    return [schema["description"], ""] if schema.get("description") else []


def _table(schema: Schema) -> list[str]:
    rows = [
        f"| `{key}` | {_cell(_type(inner))} | {_default(key, inner, schema)} | {_cell(_says(inner))} |"
        for key, inner in schema["properties"].items()
    ]
    return ["| key | takes | when left out | what it says |", "|---|---|---|---|", *rows]


def _says(inner: Schema) -> str:
    return str(inner.get("description", ""))


def _default(key: str, inner: Schema, owner: Schema) -> str:
    if key in owner.get("required", ()) or "const" in inner:
        return "must be there"
    return f"`{_cell(json.dumps(inner['default'], ensure_ascii=False))}`" if "default" in inner else ""


def _kinds(schema: Any) -> Iterator[tuple[str, Schema]]:
    """Objects that are one of many kinds, such as faults, under the title that each has."""
    if isinstance(schema, dict):
        if isinstance(schema.get("oneOf"), list):
            yield from (
                (each["title"], each) for each in schema["oneOf"] if "title" in each and "properties" in each
            )
        for inner in schema.values():
            yield from _kinds(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _kinds(inner)


def _type(schema: Schema) -> str:
    """What a key takes, in words, with links to the objects of the page."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REFERENCE)
        return "`off`" if name == "nothing" else f"[{_words(name)}](#{_anchor(name)})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "title" in schema:
        return f"[{schema['title']}](#{schema['title']})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            told = dict.fromkeys(_type(each) for each in schema[choice])
            return " or ".join(told)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"name to {_type(schema['additionalProperties'])}"
    if "properties" in schema:
        return "an object with " + ", ".join(f"`{key}`" for key in schema["properties"])
    kinds = schema.get("type", "anything")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _told(schema: Schema) -> str:
    examples = ", ".join(f"`{example}`" for example in schema.get("examples", ()))
    words = schema.get("description") or _type(schema)
    return f"{words}{'; such as ' + examples if examples else ''}"


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()


def _anchor(name: str) -> str:
    """Objects have names with a capital and a heading of their own; plain values share one table."""
    return _words(name).replace(" ", "-") if name[:1].isupper() else "values"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
