"""What certainly did not happen left nothing behind: no record of an operation that was rejected.

An operation that was acknowledged or that timed out may have left its record; one that was rejected, or was
never sent, must not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import SHOWN, Finding, conclude, evidence, not_exercised, unread
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records, require_some
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Violation
from measurement.properties.selection import article, ids_of, performed, recorded, was_sent


@dataclass(frozen=True, slots=True)
class NoGhost:
    """No record is of something that was refused: no rejected order is shipped."""

    kind: ClassVar[str] = "no_ghost"
    safety: ClassVar[bool] = True

    things: Noun  # what was asked for: order
    operations: tuple[JourneyName, ...]  # the journeys that ask for it
    record: Records  # the record that only a successful one may leave
    unasked: bool = False  # records that nobody asked for are ghosts too

    def __post_init__(self) -> None:
        require_some(self, "operations")

    @property
    def sentence(self) -> str:
        return f"No {self.record.noun.singular} is there of a rejected {self.things.singular}."

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the things that were rejected; with `unasked` those that have a record too."""
        may = was_sent() & (pl.col("outcome") != "rejected")
        asked = performed(history, self.operations).group_by("key").agg(may=may.any()).collect()
        stored = recorded(history, self.record).group_by("key").agg(pl.col("t").max()).collect()
        rejected = asked.filter(~pl.col("may"))
        ghosts = stored.join(rejected, on="key", how="semi").with_columns(why=pl.lit("was rejected"))
        exposed = rejected.height
        if self.unasked:
            nobody = stored.join(asked, on="key", how="anti").with_columns(why=pl.lit("was never asked for"))
            ghosts = pl.concat([ghosts, nobody])
            exposed = pl.concat([rejected["key"], stored["key"]]).n_unique()
        missing = unread(history, self.record.store)
        if missing and not ghosts.height:
            return not_exercised(f"{missing}, {self.things.count(rejected.height)} rejected")
        if not exposed:
            return not_exercised(f"no {self.things.singular} was rejected")
        ghosts = ghosts.sort("t", "key", nulls_last=True)
        records = self.record.noun
        told = Noun(f"rejected {self.things.singular}", f"rejected {self.things.plural}")
        whose = told.count(rejected.height) + (" or of what nobody asked for" if self.unasked else "")
        return conclude(
            exposed,
            self._violations(history, ghosts),
            ghosts.height,
            f"no {records.singular} of {whose} is in {self.record.place}",
            f"{records.count(ghosts.height)} of {whose} in {self.record.place}",
            {"rejected": rejected.height, "ghosts": ghosts.height},
            ids_of(history, self.operations, ghosts["key"]),
        )

    def _violations(self, history: History, ghosts: pl.DataFrame) -> list[Violation]:
        first = ghosts.head(SHOWN)
        keys = first["key"].to_list()
        proof = evidence(history, keys, [self.record.kind], self.operations) if keys else {}
        thing, record = self.things.singular, article(self.record.noun.singular)
        return [
            Violation(f"{thing} {key} {why} and has {record} in {self.record.place}", key, t, proof[key])
            for key, why, t in first.select("key", "why", "t").iter_rows()
        ]
