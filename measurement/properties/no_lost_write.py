"""Every acknowledged write is on record, and where records have versions these form a chain, also those that
no client was told of.

A write that was made on version n and acknowledged as anything but n + 1 has overwritten one it had not
seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import SHOWN, Finding, conclude, evidence, not_exercised, unread
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records, require_some
from experiment.rows import FINAL_READ
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.properties.register import Ended
from measurement.properties.selection import acknowledged, invisible, performed, slug
from measurement.properties.versions import (
    acknowledged_writes,
    chain_breaks,
    committed_versions,
    unversioned_writes,
)


@dataclass(frozen=True, slots=True)
class NoLostWrite:
    """Each acknowledged write is in the store: no order, and no change of one, is lost."""

    kind: ClassVar[str] = "no_lost_write"
    safety: ClassVar[bool] = True

    things: Noun
    """What is written, such as order."""
    operations: tuple[JourneyName, ...]  # the journeys that write
    record: Records  # what a write leaves
    versioned: bool = False
    """On where each write makes the next version of its thing: 1, 2, 3 and so on."""
    creates: tuple[JourneyName, ...] = ()  # those that make a new thing; the others change one
    value: str = ""
    """What a written value is called, such as price; without it, values are not compared."""
    ended: Ended | None = None  # how a record shows that its thing was ended
    ends: tuple[JourneyName, ...] = ()  # the journeys that end a thing

    def __post_init__(self) -> None:
        require_some(self, "operations")

    @property
    def sentence(self) -> str:
        said = f"Every acknowledged write of {self.things.plural} is in {self.record.place}"
        return f"{said}, and versions form a chain." if self.versioned else f"{said}."

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the acknowledged writes, and with versions the things that only the store knows."""
        writes = acknowledged_writes(history, self.operations)
        unversioned = unversioned_writes(history, self.operations)
        acknowledged = writes.height + unversioned.height
        if missing := unread(history, self.record.store):
            return not_exercised(f"{missing}, {noun(acknowledged, 'write')} acknowledged")
        committed = committed_versions(history, self.record)
        told = pl.concat([writes["key"], unversioned["key"]])
        untold = 0
        if self.versioned:
            untold = committed.filter(~pl.col("key").is_in(told.implode()))["key"].n_unique()
        exposed = acknowledged + untold
        if exposed == 0:
            return not_exercised(f"no {self.things.singular} was written")
        broken = self._broken(history, writes, unversioned, committed).sort("t", nulls_last=True)
        kinds = dict(broken["kind"].value_counts().iter_rows())
        changed = writes.filter(pl.col("version") > 1).height
        changed += unversioned.filter(~pl.col("journey").is_in(list(self.creates))).height
        measures = {"acknowledged_writes": acknowledged, **kinds}
        if self.versioned:
            nobody = slug(self.things.plural, "nobody was told of")
            measures |= {"acknowledged_changes": changed, nobody: untold}
        return conclude(
            exposed,
            self._violations(history, broken),
            broken.height,
            self._good(acknowledged, changed),
            self._bad(kinds, acknowledged, untold),
            measures,
            broken["operation"].drop_nulls().unique(),
        )

    def _good(self, acknowledged: int, changed: int) -> str:
        written = f"all {noun(acknowledged, 'acknowledged write')}"
        if not self.versioned:
            return f"{written} are in {self.record.place}"
        return f"{written} ({noun(changed, 'change')}) are in {self.record.place}, versions form chains"

    def _bad(self, kinds: dict[str, int], acknowledged: int, untold: int) -> str:
        spelled = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(kinds.items()))
        told = f"{spelled}, of {noun(acknowledged, 'acknowledged write')}"
        return f"{told} and {self.things.count(untold)} that nobody was told of" if untold else told

    def _broken(
        self, history: History, writes: pl.DataFrame, unversioned: pl.DataFrame, committed: pl.DataFrame
    ) -> pl.DataFrame:
        if not self.versioned:
            every = pl.concat([writes.select("id", "key", "value", "ended"),
                               unversioned.select("id", "key", "value", "ended")])  # fmt: skip
            journeys = performed(history, self.operations).select("id", "journey").collect()
            return pl.concat(
                [
                    self._without_trace(every.join(journeys, on="id", how="left"), committed),
                    self._not_shown(history, every),
                ]
            )
        return pl.concat(
            [
                self._unrecorded(writes, committed),
                self._without_trace(unversioned, committed),
                self._same_version(writes),
                self._overwritten(writes),
                self._chain_breaks(committed),
                self._shown_too_old(history, writes),
            ]
        )

    def _told(self, value: pl.Expr) -> pl.Expr:
        """` (price 30)` where values are compared."""
        if not self.value:
            return pl.lit("")
        return pl.format(" ({} {})", pl.lit(self.value), value.fill_null("unknown"))

    def _differs(self, value: str, stored: str) -> pl.Expr:
        """Numbers are compared as such: 20, 20.0 and `20 mg` are the same; where one has none, the texts."""
        if not self.value:
            return pl.lit(False)
        one, other = _number(value), _number(stored)
        texts = (one.is_null() | other.is_null()) & (pl.col(value) != pl.col(stored))
        return (((one - other).abs() > 1e-9) | texts).fill_null(False)

    def _unrecorded(self, writes: pl.DataFrame, committed: pl.DataFrame) -> pl.DataFrame:
        """Acknowledged, and the store has no such version, or has it with another value."""
        recorded = committed.unique(["key", "version"], keep="first").select("key", "version", stored="value")
        joined = writes.with_columns(t=pl.col("ended")).join(
            recorded.with_columns(found=pl.lit(True)), on=["key", "version"], how="left"
        )
        lost = joined.filter(pl.col("found").is_null() | self._differs("value", "stored"))
        called = self.record.noun.singular
        statement = pl.format(
            "version {} of {}{} was acknowledged; {} has {}",
            "version",
            "key",
            self._told(pl.col("value")),
            pl.lit(self.record.place),
            pl.when(pl.col("found").is_null())
            .then(pl.lit(f"no such {called}"))
            .otherwise(pl.format("{} {} there", pl.lit(self.value), pl.col("stored").fill_null("unknown"))),
        )
        return _broken(lost, "lost_changes", statement, pl.col("id"))

    def _without_trace(self, unversioned: pl.DataFrame, committed: pl.DataFrame) -> pl.DataFrame:
        """Acknowledged without a version, and no record can be it: none has its value, or shows the end."""
        states = list(self.ended.status) if self.ended is not None else []
        is_end = pl.col("state").cast(pl.String).is_in(states)
        ends = pl.col("journey").cast(pl.String).is_in(list(self.ends))
        could_be = pl.when(ends).then(is_end).otherwise(~self._differs("value", "stored"))
        rows = committed.select("key", stored="value", state="status")
        found = unversioned.join(rows, on="key").filter(could_be)
        lost = unversioned.join(found, on="id", how="anti").with_columns(t=pl.col("ended"))
        word = pl.col("journey").cast(pl.String).str.replace("_", " ")
        vowel = word.str.contains("^[aeiou]")
        statement = pl.format(
            "{} {} of {}{} was acknowledged; {} has no {} that could be it",
            pl.when(vowel).then(pl.lit("an")).otherwise(pl.lit("a")),
            word,
            "key",
            self._told(pl.col("value")),
            pl.lit(self.record.place),
            pl.lit(self.record.noun.singular),
        )
        return _broken(lost, "lost_changes" if self.versioned else "lost", statement, pl.col("id"))

    def _not_shown(self, history: History, writes: pl.DataFrame) -> pl.DataFrame:
        """The last read through the API does not find what had been acknowledged."""
        gone = invisible(history).select("key", t="ended")
        lost = gone.join(writes.group_by("key").agg(pl.col("id").max()), on="key")
        statement = pl.format("in the end the API does not show {}, which had been acknowledged", "key")
        return _broken(lost, "not_shown", statement, pl.col("id"))

    def _same_version(self, writes: pl.DataFrame) -> pl.DataFrame:
        """Two writers were told that they wrote one version."""
        twice = (
            writes.group_by("key", "version")
            .agg(pl.len().alias("writers"), t=pl.col("ended").max(), id=pl.col("id").max())
            .filter(pl.col("writers") > 1)
        )
        statement = pl.format("version {} of {} was acknowledged to {} writers", "version", "key", "writers")
        return _broken(twice, "versions_given_twice", statement, pl.col("id"))

    def _overwritten(self, writes: pl.DataFrame) -> pl.DataFrame:
        blind = writes.with_columns(t=pl.col("ended")).filter(
            pl.col("expected_version").is_not_null() & (pl.col("version") != pl.col("expected_version") + 1)
        )
        statement = pl.format(
            "a change of {} made on version {} became version {}: it overwrote a change it had not seen",
            "key",
            "expected_version",
            "version",
        )
        return _broken(blind, "overwritten_unseen", statement, pl.col("id"))

    def _chain_breaks(self, committed: pl.DataFrame) -> pl.DataFrame:
        """Versions of one thing must be 1, 2, 3 ... each once."""
        breaks = chain_breaks(committed, first=1)
        statement = pl.format(
            "versions of {} do not form a chain: {} rows, versions {} to {}", "key", "count", "low", "top"
        )
        return _broken(breaks, "broken_chains", statement, pl.lit(None))

    def _shown_too_old(self, history: History, writes: pl.DataFrame) -> pl.DataFrame:
        """The last read through the API is older than what had been acknowledged."""
        newest = writes.group_by("key").agg(newest=pl.col("version").max(), id=pl.col("id").max())
        last = (
            performed(history, [FINAL_READ])
            .filter(acknowledged())
            .select("key", "version", t="ended")
            .collect()
        )
        old = last.join(newest, on="key").filter(pl.col("version").fill_null(0) < pl.col("newest"))
        statement = pl.format(
            "in the end the API shows version {} of {}, version {} had been acknowledged",
            pl.col("version").cast(pl.String).fill_null("none"),
            "key",
            "newest",
        )
        return _broken(old, "shown_too_old", statement, pl.col("id"))

    def _violations(self, history: History, broken: pl.DataFrame) -> list[Violation]:
        first = broken.head(SHOWN)
        keys = first["key"].unique().to_list()
        journeys = [*self.operations, FINAL_READ]
        proof = evidence(history, keys, [self.record.kind], journeys) if keys else {}
        return [
            Violation(statement, key, t, proof[key])
            for statement, key, t in first.select("statement", "key", "t").iter_rows()
        ]


BROKEN = {"key": "String", "t": "Float64", "kind": "String", "statement": "String", "operation": "Int64"}


def _broken(frame: pl.DataFrame, kind: str, statement: pl.Expr, operation: pl.Expr) -> pl.DataFrame:
    if not frame.height:  # nearly always
        return pl.DataFrame(schema={name: getattr(pl, of) for name, of in BROKEN.items()})
    return frame.select(
        "key",
        pl.col("t").cast(pl.Float64),
        kind=pl.lit(kind),
        # A sentence about a record that lacks its version would be null.
        statement=pl.coalesce(statement, pl.format("{}: {}", "key", pl.lit(kind.replace("_", " ")))),
        operation=operation.cast(pl.Int64),
    )


def _number(column: str) -> pl.Expr:
    """The first number in a text."""
    return pl.col(column).str.extract(r"(-?\d+(?:\.\d+)?)").cast(pl.Float64)
