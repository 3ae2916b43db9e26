"""Operations and records as columns: from lines of a file, or from rows in memory.

A line that is not JSON was torn by a crash or a full disk: it is left out and counted. A line that is JSON
and does not say what it must is an error: it was written so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, get_args

import msgspec

from experiment.errors import HistoryError
from experiment.libraries import pl
from experiment.rows import Outcome

CATEGORIES = ("journey", "outcome", "error", "label", "store", "kind", "status", "caller")
OUTCOMES: tuple[str, ...] = get_args(Outcome)
SHOWN_BYTES = 80  # of a line, in messages


@dataclass(frozen=True, slots=True)
class Table:
    """One type of line: what one is called, its columns, and those that no line may lack."""

    name: str
    columns: Mapping[str, str]  # each with the name of its type in Polars
    required: tuple[str, ...]

    @property
    def schema(self) -> dict[str, Any]:
        return {name: getattr(pl, kind) for name, kind in self.columns.items()}


OPERATIONS = Table(
    "an operation",
    {
        "id": "Int64",
        "journey": "String",
        "key": "String",
        "intended": "Float64",
        "sent": "Float64",
        "ended": "Float64",
        "outcome": "String",
        "status": "Int32",
        "error": "String",
        "trace": "String",
        "version": "Int32",
        "expected_version": "Int32",
        "value": "String",
        "label": "String",
        "age": "Float64",
    },
    ("id", "journey", "key", "intended", "ended", "outcome"),
)
RECORDS = Table(
    "a record",
    {
        "store": "String",
        "kind": "String",
        "key": "String",
        "id": "String",
        "t": "Float64",
        "version": "Int32",
        "status": "String",
        "amount": "Float64",
        "value": "String",
        "caller": "String",
    },
    ("store", "kind", "key"),
)
EXPECTED: dict[str, tuple[tuple[type, ...], str]] = {
    "Int64": ((int,), "a whole number"),
    "Int32": ((int,), "a whole number below 2,147,483,648"),
    "Float64": ((int, float), "a number"),
}  # anything is a text


def frame_of_rows(rows: Sequence[Any], table: Table) -> pl.DataFrame:
    """The columns of rows in memory."""
    cells = map(attrgetter(*table.columns), rows)
    columns = map(list, zip(*cells, strict=True)) if rows else [[] for _ in table.columns]
    return _narrow(pl.DataFrame(dict(zip(table.columns, columns, strict=True)), schema=table.schema))


def frame_of_lines(text: bytes, table: Table, where: str) -> tuple[pl.DataFrame, int]:
    """The columns of NDJSON, and how many lines of it were torn. Raises HistoryError, naming the value."""
    torn = 0
    try:
        frame = pl.read_ndjson(text, schema=table.schema)
    except pl.exceptions.ComputeError:
        lines = text.splitlines(True)
        whole = [line for line in lines if is_json(line)]
        torn = len(lines) - len(whole)
        try:
            frame = pl.read_ndjson(b"".join(whole), schema=table.schema)
        except pl.exceptions.ComputeError as error:
            raise HistoryError(f"{where}: {_misfit(whole, table) or error}") from None
    for name in table.required:
        if frame[name].null_count():
            raise HistoryError(f"{where}: found {table.name} without {name}, expected one in each")
    return _narrow(frame), torn


def require_outcomes(outcomes: pl.Series, where: str) -> None:
    """Raises HistoryError for a word that is not an outcome."""
    for found in sorted(outcomes.cast(pl.String).to_list()):
        if found not in OUTCOMES:
            raise HistoryError(f'{where}: found the outcome "{found}", expected {", ".join(OUTCOMES)}')


def is_json(line: bytes) -> bool:
    """Whether a line is whole; what a crash tore is not, nor what nobody wrote: nested without an end."""
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _misfit(lines: Sequence[bytes], table: Table) -> str:
    """What the first value that fits no column is, and what was expected."""
    for line in lines:
        for name, value in msgspec.json.decode(line).items():
            column = table.columns.get(name, "")
            if column not in EXPECTED or value is None:
                continue
            kinds, expected = EXPECTED[column]
            limit = 2**31 if column == "Int32" else 2**63
            too_large = isinstance(value, int) and not -limit <= value < limit
            if not isinstance(value, kinds) or isinstance(value, bool) or too_large:
                shown = line[:SHOWN_BYTES].decode("utf-8", "replace")
                return f"found {name} {value!r} in {shown}, expected {expected}"
    return ""


def _narrow(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of few distinct texts as categories: a fourth of the memory, and faster to group."""
    texts = [name for name in CATEGORIES if frame.schema.get(name) == pl.String]
    return frame.with_columns(pl.col(name).cast(pl.Categorical) for name in texts)
