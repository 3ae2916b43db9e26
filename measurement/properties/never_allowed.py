"""Something must never be seen: a record in a state that is wrong, or an answer that should not be given.

Where another record makes it right (`unless`), only things without that record count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import SHOWN, Finding, conclude, evidence, not_exercised, unread
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Violation
from measurement.properties.answers import Answers
from measurement.properties.selection import chosen, ids_of, performed, recorded, slug, was_sent


@dataclass(frozen=True, slots=True)
class NeverAllowed:
    """Something that must not be is not there: no order is shipped that was never paid."""

    kind: ClassVar[str] = "never_allowed"
    safety: ClassVar[bool] = True

    things: Noun  # what it would be wrong of: order
    record: Records | None = None  # records that must not be, in these states
    answer: Answers | None = None  # answers that must not be given
    unless: Records | None = None  # a record of the same thing that allows it
    operations: tuple[JourneyName, ...] = ()  # journeys that could cause it: they are exposed, and evidence
    phrase: str = ""  # what is wrong, in words: shipped without a receipt

    def __post_init__(self) -> None:
        if (self.record is None) == (self.answer is None):
            found = "neither record nor answer" if self.record is None else "both record and answer"
            raise ValueError(f"{found}; expected one of them")
        if self.record is not None and not (self.record.status or self.unless or self.operations):
            raise ValueError(
                "a record that is never right, so that nothing is exposed; expected its status, unless, or "
                "the operations that could cause it"
            )

    @property
    def sentence(self) -> str:
        return f"Never seen of {self.things.plural}: {self._wrong}."

    @property
    def _wrong(self) -> str:
        if self.phrase:
            return self.phrase
        seen = self.answer.words if self.answer is not None else ""
        if self.record is not None:
            seen = f"{self.record.noun.singular} {' or '.join(self.record.status)}".strip()
        return f"{seen} without {self.unless.noun.singular}" if self.unless is not None else seen

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the things with such a record in any state, and those that an operation touched."""
        allowed = unread(history, self.unless.store) if self.unless is not None else ""
        if allowed:
            return not_exercised(allowed)
        exposed, seen = self._seen(history)
        if self.unless is not None:
            seen = seen.join(recorded(history, self.unless).collect(), on="key", how="anti")
        missing = unread(history, self.record.store) if self.record is not None else ""
        if missing and not seen.height:
            return not_exercised(missing)
        if not exposed and not seen.height:
            return not_exercised(f"no {self.things.singular} was seen that could show it")
        exposed = max(exposed, seen.height)
        broken = seen.sort("t", "key", nulls_last=True)
        return conclude(
            exposed,
            self._violations(history, broken),
            broken.height,
            f"none of {self.things.count(exposed)}: {self._wrong}",
            f"{self.things.count(broken.height)} of {exposed:,}: {self._wrong}",
            {slug(self.things.plural): exposed, "never_allowed": broken.height},
            ids_of(history, self._journeys, broken["key"]),
        )

    @property
    def _journeys(self) -> tuple[str, ...]:
        return (*self.operations, *(self.answer.operations if self.answer is not None else ()))

    def _seen(self, history: History) -> tuple[int, pl.DataFrame]:
        """How many things were exposed, and key and time of those on which it was seen."""
        touched = performed(history, self._journeys).filter(was_sent()).select("key")
        if self.answer is not None:
            found = self.answer.found(history).group_by("key").agg(t=pl.col("ended").min())
            return touched.collect()["key"].n_unique(), found.collect()
        assert self.record is not None
        any_state = Records(self.record.store, self.record.kind)
        known = recorded(history, any_state)
        exposed = pl.concat([touched, known.select("key")]).unique().collect().height
        wrong = known.filter(chosen(self.record)).group_by("key").agg(pl.col("t").max())
        return exposed, wrong.collect()

    def _violations(self, history: History, broken: pl.DataFrame) -> list[Violation]:
        first = broken.head(SHOWN)
        kinds = [records.kind for records in (self.record, self.unless) if records is not None]
        proof = evidence(history, first["key"].to_list(), kinds, self._journeys) if first.height else {}
        return [
            Violation(f"{self.things.singular} {key}: {self._wrong}", key, t, proof[key])
            for key, t in first.select("key", "t").iter_rows()
        ]
