"""Files of stored results, damaged: as a whole, and at every value that they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

OTHERS: tuple[tuple[str, object], ...] = (
    ("list for a value", [[7]]),
    ("mapping for a value", {"zz": {"y": 7}}),
    ("null", None),
    ("words", "\u202e\u001b[2J no such thing"),
    ("a number", -7.5),
)
ENDLESS = '"1e999 is no number"'


def damaged_bytes(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """What a full disk, a crash, a copy of something else or a hand may leave of a file."""
    yield "empty", b""
    for tenth in range(1, 10):
        yield f"cut after {tenth} tenths", whole[: len(whole) * tenth // 10]
    half = len(whole) // 2
    yield "zeros in the middle", whole[:half] + bytes(16) + whole[half + 16 :]
    yield "bytes that are no text", whole[:half] + b"\xff\xfe\x80" + whole[half:]
    yield "a picture", b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    yield "a page", b"<!doctype html><p>not here</p>\n"
    yield "deep", b"[" * 200_000 + b"]" * 200_000 + b"\n"
    yield "an empty mapping", b"{}\n"
    yield "a list", b"[]\n"
    yield "a word", b'"x"\n'


def damaged_values(whole: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    """A JSON document with another thing in the place of one value, without it, or with it out of range; up
    to `most` places, spread over the document."""
    document = json.loads(whole)
    places = list(_places(document))
    for place in places[:: max(1, len(places) // most)]:
        name = ".".join(map(str, place))
        for kind, other in OTHERS:
            yield f"{kind}@{name}", json.dumps(_with(document, place, other)).encode() + b"\n"
        endless = json.dumps(_with(document, place, json.loads(ENDLESS)))
        yield f"endless@{name}", endless.replace(ENDLESS, "1e999").encode() + b"\n"
        if isinstance(place[-1], str):
            yield f"no value@{name}", json.dumps(_with(document, place, ...)).encode() + b"\n"


def _places(node: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _places(child, (*at, key))
    elif isinstance(node, list):
        for number, child in enumerate(node[:3]):
            yield from _places(child, (*at, number))


def _with(node: Any, place: tuple[str | int, ...], other: Any) -> Any:
    """A copy with `other` at the place; an ellipsis takes it away."""
    if not place:
        return other
    first, rest = place[0], place[1:]
    copy: Any = dict(node) if isinstance(node, dict) else list(node)
    if rest or other is not ...:
        copy[first] = _with(node[first], rest, other)
    else:
        del copy[first]
    return copy
