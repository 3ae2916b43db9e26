"""The mutants of one run: each kind of change in turn, at places drawn from the seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random

from measurement.mutations.fields import field_kinds
from measurement.mutations.files import FileKind, file_kinds
from measurement.mutations.losses import loss_kinds
from measurement.mutations.rows import Answer, Kind, Source, Unfit, count_again, written

__all__ = ["Answer", "Mutant", "Source", "kinds", "mutants"]
TRIES = 5  # rounds in a row in which nothing new was found


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed run. `seed` draws it again; `parts` are those that are others than the run's."""

    kind: str
    seed: str
    told: str
    answer: Answer
    lines: tuple[bytes, ...]
    parts: Mapping[str, bytes]


def kinds() -> tuple[Kind | FileKind, ...]:
    """Every kind of change."""
    return (*loss_kinds(), *file_kinds(), *field_kinds())


def mutants(source: Source, number: int, seed: int) -> Iterator[Mutant]:
    """At most `number` mutants, no two alike: a round over all kinds, in an order drawn from the seed, then
    the next round. Fewer where the run has no more to change."""
    every = list(kinds())
    Random(f"{seed}-{source.name}").shuffle(every)
    seen: set[tuple[tuple[bytes, ...], tuple[tuple[str, bytes], ...]]] = set()
    found = silent = 0
    for turn in count():
        before = found
        for kind in every:
            if found == number:
                return
            mutant = mutant_of(source, kind, f"{seed}-{source.name}-{kind.name}-{turn}")
            if mutant is None:
                continue
            key = (mutant.lines, tuple(sorted(mutant.parts.items())))
            if key not in seen:
                seen.add(key)
                found += 1
                yield mutant
        silent = silent + 1 if found == before else 0
        if silent == TRIES:
            return


def mutant_of(source: Source, kind: Kind | FileKind, seed: str) -> Mutant | None:
    """The mutant of a kind that this seed draws; None where the run has nothing to change so."""
    chance = Random(seed)
    parts = dict(source.parts)
    try:
        if isinstance(kind, Kind):
            rows = source.rows()
            said = kind.change(rows, chance, source)
            if kind.counted:
                count_again(rows)
            lines = written(rows)
        else:
            lines = list(source.lines)
            said = kind.change(lines, parts, chance, source)
    except Unfit:
        return None
    other = {name: content for name, content in parts.items() if content != source.parts[name]}
    if tuple(lines) == source.lines and not other:
        return None
    return Mutant(kind.name, seed, said, kind.answer, tuple(lines), other)
