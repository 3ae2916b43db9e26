"""What was acknowledged, or is kept to be passed on, has its record where it was to go.

What timed out and is kept nowhere may never have happened. What is still kept after settling and did not
arrive is a violation: nobody would notice the day on which it is forgotten. With a bound, what arrived too
late is one too; what did not arrive and was still in time when the records were read is not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import SHOWN, Finding, conclude, evidence, not_exercised, only_if_read, unread
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records
from experiment.rows import RECORDS_READ
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import Duration, format_duration
from experiment.verdict import Violation
from measurement.properties.selection import acknowledged, chosen, performed, recorded, slug
from measurement.properties.uses import CLOCK_SLACK_S


@dataclass(frozen=True, slots=True)
class EachHas:
    """Each thing that was acknowledged or kept has a record elsewhere: every paid order has its shipment."""

    kind: ClassVar[str] = "each_has"
    safety: ClassVar[bool] = True

    things: Noun
    """What must arrive, such as order."""
    has: Records  # the record that each of them must have: a shipment
    operations: tuple[JourneyName, ...] = ()  # journeys whose acknowledgement promises it
    kept: Records | None = None  # records that promise it too: an order that is paid
    prefixes: tuple[str, ...] = ()  # keys that differ by these beginnings only are of one thing
    also: tuple[Records, ...] = ()  # other records that will do: a shipment by another carrier
    within: Duration | None = None  # time for it, from the record that promises it, else from its answer
    scaled: bool = False  # the time is one of business hours, and is divided by the scenario's clock_scale

    def __post_init__(self) -> None:
        if not self.operations and self.kept is None:
            raise ValueError("nothing that promises a thing; expected operations, kept, or both")
        if self.scaled and self.within is None:
            raise ValueError("scaled without a time; expected within")

    @property
    def sentence(self) -> str:
        bound = "" if self.within is None else f" within {format_duration(self.within)}"
        promised = f"Every {self.things.singular} that was {self._promised}"
        return f"{promised} has its record in {self.has.place}{bound}."

    @property
    def _promised(self) -> str:
        parts = ["acknowledged"] if self.operations else []
        return " or ".join([*parts, *(["kept"] if self.kept is not None else [])])

    @property
    def _thing(self) -> pl.Expr:
        key = pl.col("key")
        for prefix in self.prefixes:
            key = key.str.strip_prefix(prefix)
        return key

    @property
    def _arrivals(self) -> tuple[Records, ...]:
        return (self.has, *self.also)

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the things that were acknowledged or are kept, and whose time is over."""
        acknowledged = self._acknowledged(history)
        if missing := unread(history, *(records.store for records in self._arrivals)):
            return not_exercised(f"{missing}, {self.things.count(acknowledged.height)} acknowledged")
        promised, held = acknowledged, None
        if self.kept is not None:
            held = self._kept(history, self.kept)
            standing = held.filter("standing").select("thing", "t")
            promised = acknowledged.join(standing, on="thing", how="full", coalesce=True)
        else:
            promised = acknowledged.with_columns(t=pl.lit(None, pl.Float64))
        if promised.height == 0:
            return not_exercised(f"no {self.things.singular} was {self._promised.partition(' or ')[0]}")
        bound = self._bound(history)
        promised = self._due(history, promised, bound)
        if promised.height == 0:
            return not_exercised(f"the time of no {self.things.singular} was over when the records were read")
        failed = (
            self._with_states(promised.filter(pl.col("after").is_null() | pl.col("late")), held)
            .with_columns(t=pl.coalesce("ended", "t"))
            .sort("t", "thing", nulls_last=True)
        )
        in_time = "" if bound is None else f" within {format_duration(bound)}"
        told, place = self._promised, self.has.place
        finding = conclude(
            promised.height,
            self._violations(history, failed),
            failed.height,
            f"all {self.things.count(promised.height)} that were {told} reached {place}{in_time}",
            self._bad(failed, promised.height, in_time),
            self._measures(acknowledged, promised, failed),
            failed["id"].drop_nulls(),
        )
        return only_if_read(finding, history, self.kept.store) if self.kept is not None else finding

    def _bad(self, failed: pl.DataFrame, promised: int, in_time: str) -> str:
        told, place = self._promised, self.has.place
        late, number = int(failed["late"].sum()), self.things.count(failed.height)
        if not in_time:
            return f"{number} of {promised:,} that were {told} never reached {place}"
        which = f"{late:,} later, {failed.height - late:,} never"
        return f"{number} of {promised:,} that were {told} did not reach {place}{in_time}: {which}"

    def _bound(self, history: History) -> float | None:
        """The time allowed, in seconds of the run."""
        if self.within is None or not self.scaled:
            return self.within
        return self.within / history.header.clock_scale

    def _due(self, history: History, promised: pl.DataFrame, bound: float | None) -> pl.DataFrame:
        """With after: seconds until the first arrival, null when there is none and 0 where no record says
        when; and late. What may still arrive in time is left out."""
        arrived = (
            recorded(history, *self._arrivals)
            .group_by(thing=self._thing)
            .agg(pl.col("t").min().alias("arrived"), there=pl.lit(True))
            .collect()
        )
        since = pl.coalesce("t", "ended")
        joined = promised.join(arrived, on="thing", how="left").with_columns(
            after=pl.when("there").then((pl.col("arrived") - since).fill_null(0.0))
        )
        if bound is None:
            return joined.with_columns(late=pl.lit(False))
        read = max((sample.t for sample in history.samples if sample.name == RECORDS_READ), default=None)
        over = pl.lit(True) if read is None else since.fill_null(0.0) + bound <= read
        return joined.filter(pl.col("after").is_not_null() | over).with_columns(
            late=(pl.col("after") > bound + CLOCK_SLACK_S).fill_null(False)
        )

    def _acknowledged(self, history: History) -> pl.DataFrame:
        """Per thing: key and id of its first operation, and when one was first acknowledged."""
        return (
            performed(history, self.operations)
            .filter(acknowledged())
            .group_by(thing=self._thing)
            .agg(pl.col("key", "id").first(), pl.col("ended").min())
            .collect()
        )

    def _kept(self, history: History, kept: Records) -> pl.DataFrame:
        """Per thing: key, state and time of its record where it is kept, whether that promises it or not."""
        whatever = Records(kept.store, kept.kind)
        return (
            recorded(history, whatever)
            .group_by(thing=self._thing)
            .agg(pl.col("key", "status", "t").first(), standing=chosen(kept).first())
            .collect()
        )

    def _with_states(self, lost: pl.DataFrame, held: pl.DataFrame | None) -> pl.DataFrame:
        """With kept_key and state: its record where it is kept."""
        if held is None or not lost.height:
            nothing = pl.lit(None, pl.String)
            return lost.with_columns(kept_key=nothing, state=nothing)
        states = held.select("thing", kept_key="key", state=pl.col("status").cast(pl.String))
        return lost.join(states, on="thing", how="left")

    def _measures(
        self, acknowledged: pl.DataFrame, promised: pl.DataFrame, failed: pl.DataFrame
    ) -> dict[str, float | int | str | None]:
        things, lost = self.things.plural, failed.filter(pl.col("after").is_null())
        measures: dict[str, float | int | str | None] = {
            slug("acknowledged", things): acknowledged.height,
            slug("promised", things): promised.height,
            slug("lost", things): lost.height,
        }
        if self.within is not None:
            measures[slug("late", things)] = failed.height - lost.height
            measures["longest_wait_s"] = _number(promised["after"].max())
        if self.kept is not None and self.kept.status:
            state = self.kept.status[0]
            measures[slug("still", state)] = lost.filter(pl.col("state") == state).height
        return measures

    def _violations(self, history: History, failed: pl.DataFrame) -> list[Violation]:
        first = failed.head(SHOWN)
        keys = pl.concat([first["key"], first["kept_key"]]).drop_nulls().to_list()
        kinds = [
            *(records.kind for records in self._arrivals),
            *([self.kept.kind] if self.kept is not None else []),
        ]
        proof = evidence(history, keys, kinds, self.operations) if keys else {}
        found = []
        columns = ("key", "kept_key", "state", "t", "after")
        for key, kept_key, state, t, after in first.select(columns).iter_rows():
            how = "never reached" if after is None else f"took {format_duration(after)} to reach"
            said = f"the {self.things.singular} of {key or kept_key} {how} {self.has.place}"
            if self.kept is not None:
                said += f"; at {self.kept.store} it is {state or 'unknown'}"
            # What is kept under the very key of the operation stands in the evidence once.
            own = {kept_key: proof.get(kept_key, ()), key: proof.get(key, ())}
            found.append(
                Violation(said, kept_key or key, t, tuple(row for rows in own.values() for row in rows))
            )
        return found


def _number(value: object) -> float | None:
    return round(value, 3) if isinstance(value, float) else None
