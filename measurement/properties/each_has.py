"""What was acknowledged, or is kept to be passed on, has its record where it was to go.

What timed out and is kept nowhere may never have happened. What is still kept after settling and did not
arrive is a violation: nobody would notice the day on which it is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from experiment.findings import SHOWN, Finding, conclude, evidence, not_exercised, only_if_read, unread
from experiment.history import History
from experiment.names import JourneyName
from experiment.properties import Noun, Records
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Violation
from measurement.properties.selection import ACKNOWLEDGED, chosen, performed, recorded, slug


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

    def __post_init__(self) -> None:
        if not self.operations and self.kept is None:
            raise ValueError("nothing that promises a thing; expected operations, kept, or both")

    @property
    def sentence(self) -> str:
        return f"Every {self.things.singular} that was {self._promised} has its record in {self.has.place}."

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

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the things that were acknowledged or are kept."""
        acknowledged = self._acknowledged(history)
        if missing := unread(history, self.has.store):
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
        arrived = recorded(history, self.has).select(thing=self._thing).unique().collect()
        lost = promised.join(arrived, on="thing", how="anti")
        lost = (
            self._with_states(lost, held)
            .with_columns(t=pl.coalesce("ended", "t"))
            .sort("t", "thing", nulls_last=True)
        )
        told, place = self._promised, self.has.place
        finding = conclude(
            promised.height,
            self._violations(history, lost),
            lost.height,
            f"all {self.things.count(promised.height)} that were {told} reached {place}",
            f"{self.things.count(lost.height)} of {promised.height:,} that were {told} never reached {place}",
            self._measures(acknowledged, promised, lost),
            lost["id"].drop_nulls(),
        )
        return only_if_read(finding, history, self.kept.store) if self.kept is not None else finding

    def _acknowledged(self, history: History) -> pl.DataFrame:
        """Per thing: key and id of its first operation, and when one was first acknowledged."""
        return (
            performed(history, self.operations)
            .filter(ACKNOWLEDGED)
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
        self, acknowledged: pl.DataFrame, promised: pl.DataFrame, lost: pl.DataFrame
    ) -> dict[str, float | int | str | None]:
        things = self.things.plural
        measures: dict[str, float | int | str | None] = {
            slug("acknowledged", things): acknowledged.height,
            slug("promised", things): promised.height,
            slug("lost", things): lost.height,
        }
        if self.kept is not None and self.kept.status:
            state = self.kept.status[0]
            measures[slug("still", state)] = lost.filter(pl.col("state") == state).height
        return measures

    def _violations(self, history: History, lost: pl.DataFrame) -> list[Violation]:
        first = lost.head(SHOWN)
        keys = pl.concat([first["key"], first["kept_key"]]).drop_nulls().to_list()
        kinds = [self.has.kind, *([self.kept.kind] if self.kept is not None else [])]
        proof = evidence(history, keys, kinds, self.operations) if keys else {}
        found = []
        for key, kept_key, state, t in first.select("key", "kept_key", "state", "t").iter_rows():
            said = f"the {self.things.singular} of {key or kept_key} never reached {self.has.place}"
            if self.kept is not None:
                said += f"; at {self.kept.store} it is {state or 'unknown'}"
            # What is kept under the very key of the operation stands in the evidence once.
            own = {kept_key: proof.get(kept_key, ()), key: proof.get(key, ())}
            found.append(
                Violation(said, kept_key or key, t, tuple(row for rows in own.values() for row in rows))
            )
        return found
