"""The JSON that reports are written as, and its schemas, generated from the dataclasses that are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, get_args

import msgspec

from experiment.decoding import hints_of
from experiment.plain_text import json_text
from experiment.schema import DRAFT, field_texts, text_of


def document_text(document: Any) -> str:
    """A file of JSON, indented, in which no character acts on what shows it."""
    return json_text(msgspec.json.format(msgspec.json.encode(document), indent=1).decode()) + "\n"


def document_schema(cls: type) -> dict[str, Any]:
    """JSON Schema (2020-12) of what is written of this dataclass, with what is said of its fields."""
    schema = msgspec.json.schema(cls)
    for one in _dataclasses(cls, {}):
        part = schema["$defs"].get(one.__name__, {})
        part["description"] = text_of(one) or f"{one.__name__}."
        for name, text in field_texts(one).items():
            if name in part.get("properties", {}):
                part["properties"][name]["description"] = text
    return {"$schema": DRAFT, **schema}


def _dataclasses(annotation: Any, found: dict[type, None]) -> Iterable[type]:
    """The dataclasses that an annotation leads to, each once."""
    if isinstance(annotation, type) and is_dataclass(annotation):
        if annotation not in found:
            found[annotation] = None
            for hint in hints_of(annotation).values():
                _dataclasses(hint, found)
    else:
        for part in get_args(annotation):
            _dataclasses(part, found)
    return found
