"""Messages from files: each is sent as it lies there but for MSH-10, since a message that is played again is
a new one."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from reference_system.common.mllp import END, START, framed
from reference_system.services.hl7_sender.generator import Sending

FRAMED = ".mllp"  # the end of the name of a file that holds blocks and what is wrong with them


class Feed:
    """The messages of a folder, in the order of their names, by where they lie there."""

    def __init__(self, entries: Sequence[dict[str, Any]]) -> None:
        self._by_place: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            self._by_place.setdefault(str(entry["where"]), []).append(entry)

    def __len__(self) -> int:
        return sum(map(len, self._by_place.values()))

    def sending(self, where: str, number: int, control: str) -> Sending | None:
        """The message with this number, again from the first after the last; None where there are none."""
        entries = self._by_place.get(where)
        if not entries:
            return None
        entry = entries[number % len(entries)]
        raw = stamped(b64decode(entry["raw"]), control)
        first = stamped(b64decode(entry["first"]), control) if entry.get("first") else None
        listed, name = tuple(entry.get("listed", ())), str(entry["name"])
        contents = tuple(one for one in (first, raw) if one is not None)
        if not name.endswith(FRAMED):
            before = framed(first) if first is not None else None
            return Sending(framed(raw), listed, 1, before, contents, name)
        blocks = tuple(part.lstrip(START) for part in raw.split(START) if part.strip())
        contents = tuple(part.partition(END)[0].rstrip(b"\x1c") for part in blocks)
        return Sending(raw, listed, max(1, raw.count(END)), first, contents, name)


def stamped(raw: bytes, control: str) -> bytes:
    """With `control` as MSH-10 of every message in it; one that has none stays without."""
    pieces, at = [], 0
    while (start := raw.find(b"MSH", at)) >= 0:
        if start + 4 > len(raw):
            break
        separator = raw[start + 3 : start + 4]
        begin = start
        for _ in range(9):  # MSH-1 is the separator itself: the ninth one stands before MSH-10
            begin = raw.find(separator, begin + 1)
            if begin < 0:
                break
        end = raw.find(separator, begin + 1) if begin >= 0 else -1
        if begin < 0 or end < 0:
            break
        own = raw[begin + 1 : end]
        pieces += [raw[at : begin + 1], control.encode() if own else b""]
        at = end
    return b"".join(pieces) + raw[at:]
