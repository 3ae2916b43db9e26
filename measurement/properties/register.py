"""What is used is current: nothing that a newer version, or an end, had superseded before the use began.

A thing is a register: writes set its version, a use reads it. Versions order the writes, so the check is
exact and needs no search: an event may not begin after another ended and show a lower version. Where a use
overlaps a write, the general register check is made too, which trusts no version numbers. Without versions
(`by: value`) that check is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from experiment.findings import (
    SHOWN,
    Finding,
    conclude,
    evidence,
    not_exercised,
    only_if_read,
    unread,
)
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records, require_some
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Violation
from measurement.linearizability import Function, RegisterOperation, RegisterVerdict, check_register
from measurement.properties.selection import acknowledged, article, performed, slug
from measurement.properties.uses import uses
from measurement.properties.versions import acknowledged_writes, committed_versions, newest_before

INFINITE = float("inf")
SEARCHED = 200  # registers given to the search in one run, those with most overlaps first
SEARCH_DEADLINE_S = 2.0
VALUES_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Versions that end a thing: they are the newest, and using them is wrong all the same."""

    status: tuple[str, ...]
    """The states of their records."""
    called: str = "end"
    """What one of them is called, such as stop."""


@dataclass(frozen=True, slots=True)
class Register:
    """Each thing is a register that reads and uses must find current: no price is used that was changed
    before."""

    kind: ClassVar[str] = "register"
    safety: ClassVar[bool] = True

    things: Noun
    """What has versions, such as price."""
    writes: tuple[JourneyName, ...]  # journeys that write a version
    reads: tuple[JourneyName, ...]  # journeys that read or use it, and answer with the version
    versions: Records | None = None  # the record of every version that was committed
    used: Records | None = None  # the record that a use leaves, with its version
    ended: Ended | None = None
    """How a record shows that its thing was ended."""
    held: str = ""  # label of an answer that put the use off: it begins after that answer
    verb: str = ""
    """What a use did with the version, such as sold."""
    by: Literal["version", "value"] = "version"
    """What tells one write from another."""

    def __post_init__(self) -> None:
        require_some(self, "writes", "reads")
        if self.ended is not None and self.versions is None:
            raise ValueError("ended without the records that show it; expected versions beside it")

    @property
    def sentence(self) -> str:
        use = self.use.singular
        return f"No {use} of {self.things.plural} shows what a newer version had superseded before it began."

    @property
    def use(self) -> Noun:
        return self.used.noun if self.used is not None else Noun.of("read")

    @property
    def _past(self) -> str:
        return self.used.past if self.used is not None else "read"

    @property
    def _verb(self) -> str:
        return self.verb or (self._past if self.used is not None else "showed")

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the uses of a known version, or of a known value."""
        if self.by == "value":
            return self._by_value(history)
        seen = uses(history, self.reads, self.used, self.held)
        if seen.height == 0:
            return not_exercised(f"nothing was {self._past}")
        writes = acknowledged_writes(history, self.writes)
        committed = committed_versions(history, self.versions) if self.versions is not None else _none()
        superseded = self._superseded(seen, writes, committed)
        search = self._search(seen, writes, committed)
        broken = {
            key.key: f"is not linearizable: {key.why}" for key in search.keys if key.linearizable is False
        }
        unrecorded = self._unrecorded(history)
        known = set(superseded["key"])
        unexplained = {key: text for key, text in broken.items() if key is not None and key not in known}
        unexplained |= {key: text for key, text in unrecorded.items() if key not in known}
        count = superseded.height + len(unexplained)
        ended = f" or {self.ended.status[0]}" if self.ended is not None and self.ended.status else ""
        finding = conclude(
            seen.height,
            self._violations(history, superseded, unexplained),
            count,
            f"none of {self.use.count(seen.height)} {self._verb} a superseded version",
            f"{self.use.count(count)} of {seen.height:,} {self._verb} a superseded{ended} version"
            + (f", or left no record ({len(unrecorded)})" if unrecorded else ""),
            self._measures(history, seen, superseded, search),
            superseded["operation"].drop_nulls(),
        )
        bound = [records.store for records in (self.versions, self.used) if records is not None]
        return only_if_read(finding, history, *bound)

    def _measures(
        self, history: History, seen: pl.DataFrame, superseded: pl.DataFrame, search: RegisterVerdict
    ) -> dict[str, float | int | str | None]:
        uses = slug(self.use.plural)
        measures: dict[str, float | int | str | None] = {
            uses: seen.height,
            "superseded": superseded.height,
            f"{uses}_without_operation": int(seen["operation"].null_count()),
        }
        if self.held:
            put_off = performed(history, self.reads).filter((pl.col("label") == self.held).fill_null(False))
            measures[slug(self.held)] = put_off.collect().height
        return measures | {
            "registers_searched": len(search.keys),
            "registers_not_linearizable": sum(key.linearizable is False for key in search.keys),
            "registers_not_decided": sum(key.linearizable is None for key in search.keys),
        }

    def _unrecorded(self, history: History) -> dict[str, str]:
        """Things of which a use was acknowledged and no record shows any, though the store was read: whoever
        looks there does not know what became of them."""
        if self.used is None or unread(history, self.used.store):
            return {}
        told = performed(history, self.reads).filter(acknowledged())
        if self.held:
            told = told.filter((pl.col("label") != self.held).fill_null(True))
        of_kind = (pl.col("store") == self.used.store) & (pl.col("kind") == self.used.kind)
        records = history.lazy_records.filter(of_kind).select("key")
        missing = told.join(records, on="key", how="anti").select("key").unique().sort("key").collect()
        said = f"was {self._past} by an acknowledged answer, and no {self.use.singular} is on record for it"
        return dict.fromkeys(missing["key"], said)

    def _superseded(self, seen: pl.DataFrame, writes: pl.DataFrame, committed: pl.DataFrame) -> pl.DataFrame:
        """Uses with `why` and `newest`: a newer write was acknowledged before they began, an earlier use had
        shown a newer version, or the version itself is an end."""
        as_writes = seen.select("key", "version", ended="done")
        # Only what is not the highest version of its thing can be superseded.
        top = pl.concat([writes.select("key", "version"), as_writes.select("key", "version")])
        highest = top.group_by("key").agg(top=pl.col("version").max())
        suspects = seen.join(highest, on="key").filter(pl.col("version") < pl.col("top")).drop("top")
        after_write = newest_before(suspects, "began", writes).filter(pl.col("newest") > pl.col("version"))
        after_read = newest_before(suspects, "began", as_writes).filter(pl.col("newest") > pl.col("version"))
        states = list(self.ended.status) if self.ended is not None else []
        end = self.ended.called if self.ended is not None else "end"
        ends = committed.filter(pl.col("status").cast(pl.String).is_in(states))
        used_ends = seen.join(ends.select("key", "version", newest="version"), on=["key", "version"])
        columns = [*seen.columns, "newest", "why"]
        found = [
            after_write.with_columns(why=pl.lit("a newer version had been acknowledged")).select(columns),
            after_read.with_columns(why=pl.lit(f"a newer version had been {self._past}")).select(columns),
            used_ends.with_columns(why=pl.lit(f"this version is {article(end)}")).select(columns),
        ]
        return pl.concat(found).unique("id", keep="first", maintain_order=True).sort("done")

    def _search(self, seen: pl.DataFrame, writes: pl.DataFrame, committed: pl.DataFrame) -> RegisterVerdict:
        """The register search, on things where a use overlaps a write: elsewhere order decides."""
        uncertain = committed.join(writes, on=["key", "version"], how="anti").select("key", "version")
        overlapping = (
            seen.join(writes.select("key", "sent", "ended"), on="key")
            .filter((pl.col("sent") < pl.col("done")) & (pl.col("began") < pl.col("ended")))
            .group_by("key")
            .len()
            .sort("len", "key", descending=[True, False])
            .head(SEARCHED)["key"]
            .implode()
        )
        chosen = pl.col("key").is_in(overlapping)
        operations = [
            RegisterOperation(f"write {label}", "write", version, sent, ended, key, f"operation {label}")
            for label, key, version, sent, ended in writes.filter(chosen)
            .select("id", "key", "version", "sent", "ended")
            .iter_rows()
        ]
        # A version that no client was told of may have been written at any time, or be another's write.
        operations += [
            RegisterOperation(
                f"unknown {version}", "write", version, float("-inf"), None, key, "recorded only"
            )
            for key, version in uncertain.filter(chosen).iter_rows()
        ]
        use = self.use.singular
        operations += [
            RegisterOperation(f"{use} {label}", "read", version, began, done, key, f"{use} {label}")
            for label, key, version, began, done in seen.filter(chosen)
            .select("id", "key", "version", "began", "done")
            .iter_rows()
        ]
        return check_register(operations, initial=None, deadline_s=SEARCH_DEADLINE_S)

    def _proof(self, history: History, keys: list[str]) -> dict[str, tuple[dict[str, object], ...]]:
        kinds = [records.kind for records in (self.versions, self.used) if records is not None]
        return evidence(history, keys, kinds, [*self.writes, *self.reads]) if keys else {}

    def _violations(
        self, history: History, superseded: pl.DataFrame, unexplained: dict[str, str]
    ) -> list[Violation]:
        first = superseded.head(SHOWN)
        keys = list(dict.fromkeys([*first["key"], *list(unexplained)[:SHOWN]]))
        proof, thing = self._proof(history, keys), self.things.singular
        found = [
            Violation(
                f"{thing} {key}: version {version} was {self._past}, {why}"
                + (f" (version {newest})" if newest != version else ""),
                key,
                t if t is not None or done == INFINITE else done,
                proof[key],
            )
            for key, version, newest, why, t, done in first.select(
                "key", "version", "newest", "why", "t", "done"
            ).iter_rows()
        ]
        found += [
            Violation(f"{thing} {key} {text}", key, None, proof[key])
            for key, text in list(unexplained.items())[:SHOWN]
        ]
        return found

    def _by_value(self, history: History) -> Finding:
        """Linearizable by the values that were written and read; a write that timed out may take effect at
        any later time, or never."""
        known = pl.col("value").is_not_null() & pl.col("sent").is_not_null()
        happened = pl.col("outcome") != "rejected"
        writes = performed(history, self.writes).filter(known & happened).collect()
        reads = performed(history, self.reads).filter(known & (pl.col("outcome") == "acknowledged")).collect()
        if reads.height == 0:
            return not_exercised(f"nothing was {self._past}")
        operations = [*_as_operations("write", writes), *_as_operations("read", reads)]
        verdict = check_register(operations, initial=None, deadline_s=VALUES_DEADLINE_S)
        broken = [key for key in verdict.keys if key.linearizable is False and key.key is not None]
        undecided = sum(key.linearizable is None for key in verdict.keys)
        measures = {"reads": reads.height, "registers": len(verdict.keys), "not_decided": undecided}
        if undecided and not broken:
            return not_exercised(f"{self.things.count(undecided)} not decided in the time allowed", measures)
        proof = self._proof(history, [key.key for key in broken[:SHOWN] if key.key is not None])
        violations = [
            Violation(
                f"{self.things.singular} {key.key} is not linearizable: {key.why}",
                str(key.key),
                None,
                proof[str(key.key)],
            )
            for key in broken[:SHOWN]
        ]
        all_things = self.things.count(len(verdict.keys))
        return conclude(
            reads.height,
            violations,
            len(broken),
            f"{all_things} linearizable in {Noun.of('read').count(reads.height)}",
            f"{len(broken):,} of {all_things} not linearizable",
            measures,
        )


def _as_operations(function: Function, frame: pl.DataFrame) -> list[RegisterOperation]:
    columns = ("id", "key", "journey", "value", "sent", "ended", pl.col("outcome") == "acknowledged")
    return [
        RegisterOperation(number, function, value, sent, ended if certain else None, key, journey)
        for number, key, journey, value, sent, ended, certain in frame.select(columns).iter_rows()
    ]


def _none() -> pl.DataFrame:
    """No committed versions."""
    texts = dict.fromkeys(("key", "status", "value"), pl.String)
    return pl.DataFrame(schema={**texts, "version": pl.Int32, "t": pl.Float64})
