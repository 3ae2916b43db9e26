"""The rows of a history as plain mappings, and the few ways to change them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

RowMap = dict[str, Any]
Rows = list[RowMap]


class Answer(StrEnum):
    """What a change must get."""

    STOP = "refused or invalid"
    NOT_BETTER = "not better than the run"
    SAME = "the same verdict"


@dataclass(frozen=True, slots=True)
class Source:
    """A run to change, and another one to mix it with: the lines of their histories and the run's parts by
    the names of their files."""

    name: str
    lines: tuple[bytes, ...]
    other: tuple[bytes, ...]
    parts: Mapping[str, bytes]
    other_parts: Mapping[str, bytes]

    def rows(self) -> Rows:
        """A copy of the run's rows."""
        return [json.loads(line) for line in self.lines]

    def other_rows(self) -> Rows:
        """The same of the other run."""
        return [json.loads(line) for line in self.other]


class Unfit(Exception):
    """This run has nothing that such a change could act on."""


Change = Callable[[Rows, Random, Source], str]  # changes the rows; says what it did


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of change. `counted`: the last line's counts are made anew, as by a writer that counts what it
    wrote."""

    name: str
    change: Change
    answer: Answer = Answer.STOP
    counted: bool = True


def written(rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """One line a row, as the recorder writes them."""
    return [line_of(row) + b"\n" for row in rows]


def line_of(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()


def counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many rows of each type there are, the end left out."""
    found: dict[str, int] = {}
    for row in rows:
        if row.get("type") != "end":
            kind = str(row.get("type"))
            found[kind] = found.get(kind, 0) + 1
    return found


def count_again(rows: Rows) -> None:
    """The last line says how many rows there are now."""
    for row in rows:
        if row.get("type") == "end":
            row["tally"] = counts(rows)


def of(kind: str, **wanted: Any) -> Callable[[RowMap], bool]:
    """Rows of a type with these values."""
    return lambda row: row["type"] == kind and all(row.get(name) == value for name, value in wanted.items())


def some(rows: Rows, chance: Random, which: Callable[[RowMap], bool]) -> RowMap:
    """One of the rows that fit. Raises Unfit."""
    found = [row for row in rows if which(row)]
    if not found:
        raise Unfit
    return chance.choice(found)


def remove(rows: Rows, unwanted: Callable[[RowMap], bool]) -> int:
    """Take away all that fit; how many. Raises Unfit for none."""
    kept = [row for row in rows if not unwanted(row)]
    gone = len(rows) - len(kept)
    if not gone:
        raise Unfit
    rows[:] = kept
    return gone


def told(row: Mapping[str, Any]) -> str:
    """`op id 7`, `sample records_read of orders`, `fault f1 heal`."""
    names = ("id", "name", "event", "store", "kind", "source", "service", "key", "fault", "level")
    shown = [f"{name} {row[name]}" for name in names if row.get(name) not in (None, "")]
    return " ".join([str(row["type"]), *shown[:3]])


def planned(row: RowMap) -> bool:
    """Operations of the load, not those that read in the end."""
    return bool(row["type"] == "op" and row["journey"] != "final_read")


def answered(row: RowMap) -> bool:
    return planned(row) and row["outcome"] == "acknowledged"


def kinds_of(table: Mapping[str, tuple[Change, Answer]], prefix: str) -> Iterator[Kind]:
    """Kinds by name, from a table."""
    for name, (change, answer) in table.items():
        yield Kind(f"{prefix}: {name}", change, answer)
