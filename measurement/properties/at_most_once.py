"""What an operation does to a thing is done once at most, judged from the records of what was done.

Giving back does not undo a duplicate: for a while it was taken without right. What is left after giving back
stands beside the count, so that what was given back is seen too.
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
from measurement.properties.selection import chosen, ids_of, recorded, slug


@dataclass(frozen=True, slots=True)
class AtMostOnce:
    """Each thing has one record of the effect at most: no order is shipped twice."""

    kind: ClassVar[str] = "at_most_once"
    safety: ClassVar[bool] = True

    things: Noun
    """What it is done to, such as order."""
    effect: Records
    """One record for each time that it was done, such as a shipment."""
    given_back: Records | None = None  # records that give an amount back: a return
    due: Records | None = None  # records with the right amount of each thing; else its first effect
    operations: tuple[JourneyName, ...] = ()  # journeys that do it: their operations are the evidence
    also: tuple[Records, ...] = ()  # other records of the same effect: shipments by another carrier

    @property
    def sentence(self) -> str:
        return f"No {self.things.singular} is {self._past} more than once."

    @property
    def _themselves(self) -> bool:
        """Whether each record is the whole thing once more, not something that was done to it."""
        return self.effect.kind.replace("_", " ") == self.things.singular

    @property
    def _priced(self) -> bool:
        """Whether what was taken too much is told, not only how often."""
        return self.given_back is not None or self.due is not None

    @property
    def _noun(self) -> Noun:
        if self._themselves and self.effect.called is None:
            return Noun.of("record")
        return self.effect.noun

    @property
    def _past(self) -> str:
        return "recorded" if self._themselves and not self.effect.done else self.effect.past

    @property
    def _effects(self) -> tuple[Records, ...]:
        return (self.effect, *self.also)

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the things that it was done to at least once."""
        done = (
            recorded(history, *self._effects)
            .group_by("key")
            .agg(pl.len().cast(pl.Int64).alias("times"), pl.col("amount").first(), pl.col("t").max())
            .collect()
        )
        missing = unread(history, *(records.store for records in self._effects))
        doubled = done.filter(pl.col("times") > 1).sort("t")
        if missing and not doubled.height:
            return not_exercised(missing)
        if done.height == 0:
            return not_exercised(self._nothing())
        extra = int((doubled["times"] - 1).sum()) if doubled.height else 0
        over = self._over(history, doubled)
        return conclude(
            done.height,
            self._violations(history, doubled),
            doubled.height,
            f"none of {self._counted(done.height)} was {self._past} more than once",
            self._bad(extra, doubled.height, done.height, over),
            self._measures(done, doubled.height, extra, over),
            ids_of(history, self.operations, doubled["key"]),
        )

    def _nothing(self) -> str:
        if self._themselves:
            return f"{self.effect.place} {self._past} no {self.things.singular}"
        return f"{self.effect.place} holds no {self._noun.singular}"

    def _counted(self, number: int) -> str:
        """`203 shipped orders`."""
        past, things = self._past, self.things
        return Noun(f"{past} {things.singular}", f"{past} {things.plural}").count(number)

    def _bad(self, extra: int, doubled: int, exposed: int, over: float) -> str:
        past, effect = self._past, self._noun
        if self._themselves:
            return (
                f"{self.things.count(doubled)} of {exposed:,} {past} more than once "
                f"({effect.count(extra)} too many)"
            )
        duplicate = Noun(f"duplicate {effect.singular}", f"duplicate {effect.plural}")
        told = f"{duplicate.count(extra)} on {self.things.count(doubled)} of {exposed:,} {past}"
        if not self._priced:
            return told
        after = f" after {self.given_back.noun.plural}" if self.given_back is not None else ""
        return f"{told}; net over{effect.singular}{after} {over:.2f}"

    def _measures(
        self, done: pl.DataFrame, doubled: int, extra: int, over: float
    ) -> dict[str, float | int | str | None]:
        past, effect, things = self._past, self._noun, self.things.plural
        measures: dict[str, float | int | str | None] = {
            slug(past, things): done.height,
            slug("duplicate", effect.plural): extra,
        }
        if not self._themselves:
            measures |= {
                slug(effect.plural): int(done["times"].sum()),
                slug(things, past, "twice"): doubled,
            }
        if self._priced:
            measures[slug(f"net_over{effect.singular}")] = over
        return measures

    def _over(self, history: History, doubled: pl.DataFrame) -> float:
        """What was taken beyond what was due from the doubled things, after what was given back."""
        if not self._priced or doubled.height == 0:
            return 0.0
        amount = pl.col("amount").fill_null(0.0)
        whole = (*self._effects, self.given_back, self.due)
        kinds = [records for records in whole if records is not None]
        back = amount.filter(chosen(self.given_back)).sum() if self.given_back is not None else pl.lit(0.0)
        due = pl.col("amount").filter(chosen(self.due)).last() if self.due is not None else pl.lit(None)
        money = (
            recorded(history, *kinds)
            .filter(pl.col("key").is_in(doubled["key"].implode()))
            .group_by("key")
            .agg(
                taken=amount.filter(pl.any_horizontal([chosen(one) for one in self._effects])).sum(),
                back=back,
                due=due,
            )
            .collect()
        )
        both = doubled.join(money, on="key", how="left")
        right = pl.coalesce(pl.col("due").cast(pl.Float64), "amount")
        over = both.select((pl.col("taken") - pl.col("back") - right).clip(lower_bound=0).alias("over"))
        return round(float(over["over"].sum()), 2)

    def _violations(self, history: History, doubled: pl.DataFrame) -> list[Violation]:
        first = doubled.head(SHOWN)
        effects = [records.kind for records in self._effects]
        kinds = [*effects, *([self.given_back.kind] if self.given_back is not None else [])]
        proof = evidence(history, first["key"].to_list(), kinds, self.operations) if first.height else {}
        return [
            Violation(self._told(key, times, proof[key]), key, t, proof[key])
            for key, times, t in first.select("key", "times", "t").iter_rows()
        ]

    def _told(self, key: str, times: int, proof: tuple[dict[str, object], ...]) -> str:
        if self._themselves:
            place = f" by {self.effect.at}" if self.effect.at else ""
            return f"{self.things.singular} {key} was {self._past} {times} times{place}"
        rows = [row for row in proof if row["type"] == "record" and self._is_effect(row)]
        amounts = [f"{row['amount']:.2f}" if "amount" in row else "unknown" for row in rows]
        known = f" ({' and '.join(amounts)})" if any(amount != "unknown" for amount in amounts) else ""
        often = "twice" if times == 2 else f"{times} times"
        return f"{self.things.singular} {key} was {self._past} {often}{known}"

    def _is_effect(self, row: dict[str, object]) -> bool:
        return any(_is(row, effect) for effect in self._effects)


def _is(row: dict[str, object], wanted: Records) -> bool:
    """The same as `chosen`, for one row of the evidence."""
    states = wanted.status
    right = not states or row.get("status") is None or row["status"] in states
    return row["store"] == wanted.store and row["kind"] == wanted.kind and right
