"""What was acknowledged is on record, once, and its own API finds it.

An indeterminate operation may or may not have happened; the final records settle which, and both are right.
Two records under one key are a violation whatever the client was told.
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
from experiment.verdict import Violation
from measurement.properties.selection import acknowledged, ids_of, invisible, performed, recorded


@dataclass(frozen=True, slots=True)
class ExactlyOnce:
    """Each acknowledged operation left one record: no order is lost, none is stored twice."""

    kind: ClassVar[str] = "exactly_once"
    safety: ClassVar[bool] = True

    things: Noun
    """What was asked for, such as order."""
    operations: tuple[JourneyName, ...]  # the journeys that ask for it
    effect: Records  # the one record that each of them leaves

    def __post_init__(self) -> None:
        require_some(self, "operations")

    @property
    def sentence(self) -> str:
        return f"Every acknowledged {self.things.singular} is in {self.effect.place}, once."

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the keys that were acknowledged and the keys that have a record."""
        by_key = (
            performed(history, self.operations)
            .group_by("key")
            .agg(
                acknowledged=acknowledged().any(),
                indeterminate=(pl.col("outcome") == "indeterminate").any(),
                ended=pl.col("ended").filter(acknowledged()).min(),
            )
            .collect()
        )
        promised = by_key.filter("acknowledged")
        if missing := unread(history, self.effect.store):
            return not_exercised(f"{missing}, {self.things.count(promised.height)} acknowledged")
        stored = (
            recorded(history, self.effect)
            .group_by("key")
            .agg(pl.len().alias("copies"), pl.col("t").max())
            .collect()
        )
        exposed = pl.concat([promised["key"], stored["key"]]).n_unique()
        things, place = self.things, self.effect.place
        if exposed == 0:
            nothing = f"no {things.singular} was acknowledged and no {self.effect.noun.singular} recorded"
            return not_exercised(nothing)
        visible = stored.join(invisible(history), on="key", how="anti")
        lost = promised.join(visible, on="key", how="anti").sort("ended")
        doubled = stored.filter(pl.col("copies") > 1).sort("t")
        unsettled = by_key.filter(pl.col("indeterminate") & ~pl.col("acknowledged"))
        measures = {
            "acknowledged": promised.height,
            "lost": lost.height,
            "stored_twice": doubled.height,
            "indeterminate": unsettled.height,
            "indeterminate_that_happened": unsettled.join(stored, on="key", how="semi").height,
        }
        told = Noun(f"acknowledged {things.singular}", f"acknowledged {things.plural}")
        return conclude(
            exposed,
            self._violations(history, lost, doubled),
            lost.height + doubled.height,
            f"all {told.count(promised.height)} are in {place} once",
            f"{told.count(lost.height)} lost and {things.count(doubled.height)} stored more than once, "
            f"of {exposed:,}",
            measures,
            ids_of(history, self.operations, pl.concat([lost["key"], doubled["key"]]).unique()),
        )

    def _violations(self, history: History, lost: pl.DataFrame, doubled: pl.DataFrame) -> list[Violation]:
        first_lost, first_doubled = lost.head(SHOWN), doubled.head(SHOWN)
        keys = [*first_lost["key"], *first_doubled["key"]]
        journeys = [*self.operations, FINAL_READ]
        proof = evidence(history, keys, [self.effect.kind], journeys) if keys else {}
        thing, place = self.things.singular, self.effect.place
        found = [
            Violation(f"{thing} {key} was acknowledged and is not in {place}", key, ended, proof[key])
            for key, ended in first_lost.select("key", "ended").iter_rows()
        ]
        found += [
            Violation(f"{thing} {key} is in {place} {copies} times", key, t, proof[key])
            for key, copies, t in first_doubled.select("key", "copies", "t").iter_rows()
        ]
        return found
