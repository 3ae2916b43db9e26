"""A table of texts: what a command found, before a terminal, a file or a pipeline shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as long as the head, or without one. `verdicts`: the word of each row that gives the cell at
    `painted` its colour on a terminal."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdicts: tuple[str, ...] = ()
    painted: int = 0

    def lines(self) -> Sequence[str]:
        """For a file or a pipeline: columns as wide as they have to be, one line a row."""
        rows = [*([self.head] if self.head else []), *(tuple(map(one_line, row)) for row in self.rows)]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        indent = "  " if self.title and not self.head else ""
        told = ["  ".join(f"{v:<{w}}" for v, w in zip(row, wide, strict=True)) for row in rows]
        return [*([self.title] if self.title else []), *(f"{indent}{text}".rstrip() for text in told)]


def flat(told: Iterable[str | Table]) -> list[str]:
    """Sentences and tables as lines."""
    found: list[str] = []
    for each in told:
        found += [each] if isinstance(each, str) else each.lines()
    return found


def one_line(text: str) -> str:
    """Without line feeds and tabs, which would break a row."""
    return text.replace("\n", " ").replace("\t", " ")
