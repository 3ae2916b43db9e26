"""Numbers that a source gives to its records follow one another: none is missing, none is given twice.

The number stands in a record's `version`, the source in its `key`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from experiment.findings import SHOWN, Finding, conclude, evidence, not_exercised, unread
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Violation
from measurement.properties.selection import recorded, slug
from measurement.properties.versions import chain_breaks

NAMED = 3  # numbers that a violation names


@dataclass(frozen=True, slots=True)
class GaplessSequence:
    """The records of each source are numbered without a gap: no line of a journal is missing."""

    kind: ClassVar[str] = "gapless_sequence"
    safety: ClassVar[bool] = True

    things: Noun  # what numbers its records: journal
    record: Records  # the numbered records: key is the source, version the number
    first: int | None = 1  # the number of the first record; none: any
    operations: tuple[JourneyName, ...] = ()  # journeys that write such records: part of the evidence

    @property
    def sentence(self) -> str:
        return f"The {self.record.noun.plural} of each {self.things.singular} are numbered without a gap."

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the numbered records."""
        numbered = recorded(history, self.record).select("key", "version", "t").collect()
        if missing := unread(history, self.record.store):
            return not_exercised(missing)
        if numbered.height == 0:
            return not_exercised(f"{self.record.place} holds no {self.record.noun.singular}")
        unnumbered = numbered.filter(pl.col("version").is_null()).group_by("key").agg(pl.col("t").max())
        broken = (
            pl.concat([chain_breaks(numbered, self.first).select("key", "t"), unnumbered])
            .unique("key", keep="first")
            .sort("t", "key", nulls_last=True)
        )
        sources = numbered["key"].n_unique()
        count = self.record.noun.count(numbered.height)
        return conclude(
            numbered.height,
            self._violations(history, broken, numbered),
            broken.height,
            f"{count} of {self.things.count(sources)} are numbered without a gap",
            f"{self.things.count(broken.height)} of {sources:,} with missing or doubled numbers, in {count}",
            {slug(self.record.noun.plural): numbered.height, slug(self.things.plural): sources},
        )

    def _violations(self, history: History, broken: pl.DataFrame, numbered: pl.DataFrame) -> list[Violation]:
        first = broken.head(SHOWN)
        keys = first["key"].to_list()
        proof = evidence(history, keys, [self.record.kind], self.operations) if keys else {}
        own = numbered.filter(pl.col("key").is_in(keys)).partition_by("key", as_dict=True) if keys else {}
        return [
            Violation(
                f"{self.things.singular} {key}: {_why(own[(key,)]['version'], self.first)}",
                key,
                t,
                proof[key][:SHOWN],
            )
            for key, t in first.select("key", "t").iter_rows()
        ]


def _why(numbers: pl.Series, first: int | None) -> str:
    """What is wrong with the numbers of one source."""
    known = numbers.drop_nulls()
    ordered = sorted(set(known.to_list()))
    start = first if first is not None or not ordered else ordered[0]
    early = [number for number in ordered if start is not None and number < start]
    rest = ordered[len(early) :]
    missing = 0
    named: list[int] = []
    for before, number in pairwise([(start or 0) - 1, *rest]):
        missing += number - before - 1
        named += range(before + 1, min(number, before + 1 + NAMED - len(named)))
    doubled = sorted(known.filter(known.is_duplicated()).unique().to_list())
    parts = [
        (missing, named, "missing"),
        (len(doubled), doubled, "given twice or more"),
        (len(early), early, f"before the first, {start}"),
    ]
    told = [f"{_few(found, count)} {what}" for count, found, what in parts if count]
    if numbers.null_count():
        told.append(f"{numbers.null_count()} without a number")
    return "; ".join(told)


def _few(numbers: list[int], count: int) -> str:
    shown = ", ".join(str(number) for number in numbers[:NAMED])
    return shown if count <= NAMED else f"{shown} and {count - NAMED:,} more"
