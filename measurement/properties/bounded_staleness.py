"""What a projection shows is current, or recent enough, or says of itself that it is not.

A read is stale when a higher version had been acknowledged before the read was sent; "not found" shows
version 0. An unlabelled stale read is allowed while it lags by no more than the scenario's `staleness.age`,
or by no more than `staleness.versions`. A label must tell the truth: one that says less than the lag it
covers misleads its reader, whatever the bound. After settling the copies themselves must agree with the
system of record: what is still behind then was lost, not late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import (
    SHOWN,
    Finding,
    conclude,
    counted_records,
    evidence,
    not_exercised,
    only_if_read,
)
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records, require_some
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import Duration, format_duration, noun
from experiment.verdict import Violation
from measurement.properties.selection import acknowledged, performed, recorded, was_sent
from measurement.properties.versions import acknowledged_writes, newest_before, superseded_since

LABEL_SLACK_S = 0.1  # a label's age is taken by the service a little before the client's clock
NOT_FOUND = 404
BEHIND = "copies_behind_after_settling"  # the measure that convergence looks at
LARGEST_LAG = "unlabelled_lag_s_max"  # the measure that comparisons show


@dataclass(frozen=True, slots=True)
class BoundedStaleness:
    """Reads of a copy show the newest version, one within the bound, or say that they are old."""

    kind: ClassVar[str] = "bounded_staleness"
    safety: ClassVar[bool] = False

    writes: tuple[JourneyName, ...]  # journeys that write a version
    reads: tuple[JourneyName, ...]  # journeys that read the copy, and answer with the version
    versions: Records | None = None  # the record of every version that was committed
    copies: Records | None = None  # what the copy holds in the end, with its version
    age: Duration = 0.0  # how old an unlabelled read may be, where a scenario allows no more

    def __post_init__(self) -> None:
        require_some(self, "writes", "reads")
        if (self.versions is None) != (self.copies is None):
            raise ValueError("one of versions and copies; expected both, or neither")

    @property
    def sentence(self) -> str:
        subject = self._copy.singular
        return f"A {subject} shows what is current or within its bound, or says of itself that it is not."

    @property
    def _copy(self) -> Noun:
        return self.copies.noun if self.copies is not None else Noun.of("copy")

    def find(self, history: History, scenario: Scenario, _system: System) -> Finding:
        """Exposed are the reads that followed an acknowledged write of the same thing, and the copies after
        settling."""
        reads = self._seen(history)
        copies = self._final_copies(history)
        lost = copies.filter(pl.col("shown") < pl.col("newest"))
        if reads.height == 0 and copies.height == 0:
            return not_exercised(f"no {self._copy.singular} was read after an acknowledged write")
        age, versions = max(self.age, scenario.staleness.age), scenario.staleness.versions
        stale = reads.filter(pl.col("version_lag") > 0)
        unlabelled = stale.filter(pl.col("label").is_null())
        beyond = unlabelled.filter((pl.col("lag_s") > age) & (pl.col("version_lag") > versions)).sort("sent")
        understated = stale.filter(pl.col("age") + LABEL_SLACK_S < pl.col("lag_s")).sort("sent")
        measures = {
            "reads": reads.height,
            "stale_reads": stale.height,
            "unlabelled_stale_reads": unlabelled.height,
            LARGEST_LAG: _top(unlabelled["lag_s"]),
            "beyond_bound": beyond.height,
            "labels_that_understate": understated.height,
            "copies_after_settling": copies.height,
            BEHIND: lost.height,
            **_percentiles(reads, "lag_s", "time_lag"),
            **_percentiles(reads, "version_lag", "version_lag"),
        }
        worst = format_duration(_top(stale["lag_s"]))
        read = f"{self._copy.singular} read"
        good = (
            f"none of {noun(reads.height, read)} was stale without a label beyond the bound "
            f"({format_duration(age)}); {noun(stale.height, 'labelled or allowed stale read')}, "
            f"worst lag {worst}"
        )
        bad = (
            f"{noun(beyond.height, 'unlabelled stale read')} of {reads.height:,} beyond the bound "
            f"({format_duration(age)}), worst lag {worst}"
        )
        if understated.height:
            bad = f"{noun(understated.height, 'label')} that made a stale read look younger; {bad}"
        if lost.height:
            bad = f"copies behind after settling: {lost.height:,} of {copies.height:,}; {bad}"
        finding = conclude(
            reads.height + copies.height,
            [*self._lost(history, lost), *self._violations(history, pl.concat([beyond, understated]))],
            beyond.height + understated.height + lost.height,
            good,
            bad,
            measures,
            pl.concat([beyond["id"], understated["id"]]),
        )
        bound = [records.store for records in (self.versions, self.copies) if records is not None]
        return only_if_read(finding, history, *bound)

    def _seen(self, history: History) -> pl.DataFrame:
        """Reads of the copy after a write of the same thing was acknowledged. The answer that there is no
        such thing shows version 0.

        Columns: id, key, version, sent, ended, label, age, newest (version), version_lag, since, lag_s: for
        how long the version read had been superseded by an acknowledged write when the read was sent; 0 for
        a current read.
        """
        shown = pl.when(acknowledged()).then("version")
        reads = (
            performed(history, self.reads)
            .filter(was_sent())
            .with_columns(version=shown.when(pl.col("status") == NOT_FOUND).then(0))
            .filter(pl.col("version").is_not_null())
            .select("id", "key", "version", "sent", "ended", "label", "age")
            .collect()
        )
        writes = acknowledged_writes(history, self.writes)
        seen = newest_before(reads, "sent", writes).filter(pl.col("newest").is_not_null())
        seen = seen.with_columns(version_lag=(pl.col("newest") - pl.col("version")).clip(lower_bound=0))
        lagging = seen.filter(pl.col("version_lag") > 0)
        if not lagging.height:
            return seen.with_columns(since=pl.lit(None, pl.Float64), lag_s=pl.lit(0.0))
        stale = superseded_since(lagging, writes)
        current = seen.filter(pl.col("version_lag") == 0).with_columns(since=pl.lit(None, pl.Float64))
        both = pl.concat([current, stale.select(current.columns)])
        return both.with_columns(lag_s=(pl.col("sent") - pl.col("since")).fill_null(0.0))

    def _final_copies(self, history: History) -> pl.DataFrame:
        """After settling: key, the newest version of record, and the version shown by the copy (0: there is
        none). Empty where the store that keeps the copies is not known to have been read."""
        if self.versions is None or self.copies is None:
            return pl.DataFrame(schema={"key": pl.String, "newest": pl.Int32, "shown": pl.Int32})
        copied = recorded(history, self.copies)
        copies = copied.group_by("key").agg(shown=pl.col("version").max()).collect()
        written = recorded(history, self.versions)
        newest = written.group_by("key").agg(newest=pl.col("version").max()).collect()
        if copies.height == 0 and self.copies.store not in counted_records(history):
            return newest.clear().with_columns(shown=pl.lit(None, pl.Int32))
        joined = newest.join(copies, on="key", how="left")
        return joined.with_columns(pl.col("shown").fill_null(0)).sort("key")

    def _evidence_kinds(self) -> list[str]:
        return [records.kind for records in (self.versions, self.copies) if records is not None]

    def _lost(self, history: History, lost: pl.DataFrame) -> list[Violation]:
        first = lost.head(SHOWN)
        keys = first["key"].to_list()
        proof = evidence(history, keys, self._evidence_kinds(), self.writes) if keys else {}
        return [
            Violation(
                f"after settling the copy of {key} shows {_shown(shown)}, "
                f"the system of record version {newest}",
                key,
                None,
                proof[key],
            )
            for key, newest, shown in first.select("key", "newest", "shown").iter_rows()
        ]

    def _violations(self, history: History, broken: pl.DataFrame) -> list[Violation]:
        first = broken.head(SHOWN)
        keys = first["key"].unique().to_list()
        journeys = [*self.writes, *self.reads]
        proof = evidence(history, keys, self._evidence_kinds(), journeys) if keys else {}
        return [
            Violation(
                f"a read of {key} showed {_shown(version)} while version {newest} had been acknowledged; "
                f"{_shown(version)} had been superseded for {format_duration(lag)}"
                + (f", its label said {format_duration(age)}" if age is not None else ""),
                key,
                sent,
                proof[key],
            )
            for key, version, newest, lag, age, sent in first.select(
                "key", "version", "newest", "lag_s", "age", "sent"
            ).iter_rows()
        ]


def _top(values: pl.Series) -> float:
    """The largest; 0 of none."""
    largest = values.max()
    return float(largest) if isinstance(largest, int | float) else 0.0


def _percentiles(reads: pl.DataFrame, column: str, name: str) -> dict[str, float | None]:
    """p50, p99 and max over all exposed reads; p99 only when at least 100 were seen."""
    values = reads[column].cast(pl.Float64)
    p99 = values.quantile(0.99, "higher") if reads.height >= 100 else None
    unit = "_s" if name == "time_lag" else ""
    return {
        f"{name}{unit}_p50": values.quantile(0.5, "higher"),
        f"{name}{unit}_p99": p99,
        f"{name}{unit}_max": _top(values),
    }


def _shown(version: int) -> str:
    return f"version {version}" if version else "nothing"
