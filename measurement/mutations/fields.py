"""Every field of every type of row altered: gone, of another type, unknown, below zero, immense."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from random import Random
from typing import Any, get_args

from experiment.rows import Row
from measurement.mutations.rows import Answer, Kind, RowMap, Rows, Source, Unfit, answered, some, told

TYPES: dict[str, type] = {kind.TAG: kind for kind in get_args(Row)}
STOP, NOT_BETTER, SAME = Answer.STOP, Answer.NOT_BETTER, Answer.SAME
GONE = object()
# The ways to alter a field, and the values that they put in its place.
WAYS: dict[str, Any] = {
    "gone": GONE,
    "null": None,
    "a list": [1],
    "an unknown word": "zzz",
    "empty": "",
    "below zero": -1e6,
    "immense": 1e300,
    "a negative count": -3,
}
DEFAULTS: tuple[Any, ...] = ("", {}, 1.0, 0.0)  # what a field that is gone stands for, where it may be
NUMBERS = ("below zero", "immense", "a negative count")
# Fields whose content no other evidence can contradict: a text for people, a trace, what a property judges.
FREE: dict[tuple[str, str], Answer] = {
    ("op", "trace"): SAME,
    ("op", "value"): NOT_BETTER,
    ("op", "label"): NOT_BETTER,
    ("op", "error"): NOT_BETTER,
    ("record", "key"): NOT_BETTER,
    ("record", "id"): NOT_BETTER,
    ("record", "status"): NOT_BETTER,
    ("record", "value"): NOT_BETTER,
    ("record", "caller"): NOT_BETTER,
    ("record", "amount"): NOT_BETTER,
    ("record", "kind"): NOT_BETTER,
    ("fault", "statement"): SAME,
    ("fault", "existing_connections"): SAME,
    ("fault", "measured"): NOT_BETTER,
    ("sample", "source"): NOT_BETTER,
    ("sample", "name"): NOT_BETTER,
    ("sample", "about"): NOT_BETTER,
    ("sample", "value"): NOT_BETTER,
    ("load", "worker"): NOT_BETTER,
    ("note", "text"): SAME,
    ("note", "about"): NOT_BETTER,
    ("design", "image"): NOT_BETTER,
    ("end", "statement"): SAME,
    ("end", "clean"): STOP,
}
# Optional fields that may just be missing, or null.
OPTIONAL: dict[tuple[str, str], Answer] = {
    ("op", "version"): NOT_BETTER,
    ("op", "expected_version"): NOT_BETTER,
    ("op", "age"): NOT_BETTER,
    ("record", "t"): NOT_BETTER,
    ("record", "version"): NOT_BETTER,
    ("op", "sent"): STOP,
    ("op", "status"): STOP,
    ("design", "trouble"): SAME,
    ("design", "image"): SAME,
    ("phase", "end"): STOP,
}


def field_kinds() -> Iterator[Kind]:
    """One kind for each field and each way to alter it."""
    for tag, kind in TYPES.items():
        for field in fields(kind):
            for way, value in WAYS.items():
                answer = _answer(tag, field.name, way, str(field.type))
                if answer is not None:
                    name = f"alter: {tag}.{field.name} {way}"
                    yield Kind(name, _altered(tag, field.name, value), answer, counted=tag != "end")


def _answer(tag: str, name: str, way: str, hint: str) -> Answer | None:
    """What it must get; None where the value is one that the field may have, or means nothing new."""
    number = any(word in hint for word in ("int", "float"))
    texts = "str" in hint or "Literal" in hint or "Outcome" in hint
    if way in NUMBERS and not number and not texts:
        return None
    if way in ("gone", "null") and (tag, name) in OPTIONAL:
        plain = way == "null" and "None" not in hint
        return NOT_BETTER if plain else OPTIONAL[tag, name]
    if (tag, name) == ("design", "trouble"):
        return STOP if way == "an unknown word" else None if way == "empty" else NOT_BETTER
    free = FREE.get((tag, name))
    if free is not None:
        # A value of the wrong type may be refused: no pass is lost by that.
        plain = texts and way in ("an unknown word", "empty")
        return free if plain else NOT_BETTER
    if number and way == "a negative count" and "float" in hint:
        return None  # as below zero
    if way == "null" and "None" in hint:
        return NOT_BETTER
    if tag == "record" and name == "t" and way in NUMBERS:
        return NOT_BETTER if way == "below zero" else STOP
    if tag == "note" and name == "t":
        return STOP
    return STOP


def _altered(tag: str, name: str, value: Any) -> Any:
    def change(rows: Rows, chance: Random, _source: Source) -> str:
        row = some(rows, chance, _chosen(tag, name))
        if value is GONE:
            if name not in row or row[name] in DEFAULTS:
                raise Unfit
            del row[name]
            return f"{told(row)}: {name} gone"
        if row.get(name) == value:
            raise Unfit
        before, row[name] = row.get(name), value
        return f"{told(row)}: {name} {before!r} -> {value!r}"

    return change


def _chosen(tag: str, name: str) -> Any:
    """Rows in which the field says something that matters."""
    if tag == "op":
        return answered
    if tag == "sample" and name in ("source", "name"):
        return lambda row: row["type"] == "sample" and row["name"] in ("attempts", "backlog", "up")
    if tag == "phase":
        return lambda row: row["type"] == "phase" and row["name"] != "settle"
    if tag == "fault":
        return lambda row: row["type"] == "fault" and row["event"] in ("inject", "active", "heal", "healed")

    def of_type(row: RowMap) -> bool:
        return bool(row["type"] == tag)

    return of_type
