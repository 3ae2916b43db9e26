"""Nothing is made and nothing vanishes: what some records hold together is what others hold together.

An equation of sums of amounts, or of counts, for each thing or for all of them: taken = given back + kept,
received = applied + refused. It is judged after settling: what was on its way has arrived by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from experiment.findings import SHOWN, Finding, conclude, evidence, not_exercised, unread
from experiment.history import History
from experiment.libraries import pl
from experiment.names import JourneyName
from experiment.properties import Noun, Records, require_some
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.verdict import Violation
from measurement.properties.selection import CENT, chosen, ids_of, recorded, slug


@dataclass(frozen=True, slots=True)
class Conservation:
    """The sum of some records is the sum of others: what was taken for an order is what it cost."""

    kind: ClassVar[str] = "conservation"
    safety: ClassVar[bool] = True

    things: Noun  # what the sums are made for: order
    sum_of: tuple[Records, ...]  # one side of the equation
    equals: tuple[Records, ...]  # the other side
    of: Literal["amount", "count"] = "amount"  # what is summed: the amounts of records, or how many there are
    per: Literal["thing", "all"] = "thing"  # one equation for each thing, or one for all together
    operations: tuple[JourneyName, ...] = ()  # journeys that move it: their operations are the evidence

    def __post_init__(self) -> None:
        require_some(self, "sum_of", "equals")

    @property
    def sentence(self) -> str:
        each = f"each {self.things.singular}" if self.per == "thing" else f"all {self.things.plural} together"
        return f"For {each}: {self._equation}."

    @property
    def _equation(self) -> str:
        return f"{_side(self.sum_of)} = {_side(self.equals)}"

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the things that any of the records knows."""
        both = (*self.sum_of, *self.equals)
        if missing := unread(history, *(records.store for records in both)):
            return not_exercised(missing)
        sums = (
            recorded(history, *both)
            .group_by("key")
            .agg(left=self._sum(self.sum_of), right=self._sum(self.equals), t=pl.col("t").max())
            .with_columns(difference=pl.col("left") - pl.col("right"))
            .collect()
        )
        if sums.height == 0:
            return not_exercised(f"no {self.things.singular} has a record of either side")
        broken = sums.filter(pl.col("difference").abs() > CENT).sort("t", "key", nulls_last=True)
        left, right = float(sums["left"].sum()), float(sums["right"].sum())
        totals = f"in all {self._told(left)} = {self._told(right)}"
        measures = {
            slug(self.things.plural): sums.height,
            "left": round(left, 2),
            "right": round(right, 2),
            "difference": round(left - right, 2) + 0.0,
        }
        if self.per == "all":
            count, violations = self._as_one(broken, left, right)
        else:
            count, violations = broken.height, self._violations(history, broken)
        return conclude(
            sums.height,
            violations,
            count,
            f"{self._equation} for {self.things.count(sums.height)} ({totals})",
            self._bad(broken.height, sums.height, totals),
            measures,
            ids_of(history, self.operations, broken["key"] if count else broken["key"].clear()),
        )

    def _bad(self, broken: int, exposed: int, totals: str) -> str:
        if self.per == "all":
            return f"{self._equation} does not hold for {self.things.count(exposed)} together ({totals})"
        return f"{self._equation} does not hold for {self.things.count(broken)} of {exposed:,} ({totals})"

    def _sum(self, side: Sequence[Records]) -> pl.Expr:
        wanted = pl.any_horizontal([chosen(records) for records in side])
        if self.of == "count":
            return wanted.sum().cast(pl.Float64)
        return pl.col("amount").fill_null(0.0).filter(wanted).sum()

    def _told(self, value: float) -> str:
        return f"{value:.2f}" if self.of == "amount" else f"{value:.0f}"

    def _as_one(self, broken: pl.DataFrame, left: float, right: float) -> tuple[int, list[Violation]]:
        if abs(left - right) <= CENT:
            return 0, []
        first = f"; the first {self.things.singular} that differs is {broken['key'][0]}"
        told = f"{self._equation}: {self._told(left)} is not {self._told(right)}{first}"
        return 1, [Violation(told, "", None)]

    def _violations(self, history: History, broken: pl.DataFrame) -> list[Violation]:
        first = broken.head(SHOWN)
        kinds = [records.kind for records in (*self.sum_of, *self.equals)]
        proof = evidence(history, first["key"].to_list(), kinds, self.operations) if first.height else {}
        return [
            Violation(
                f"{self.things.singular} {key}: {self._equation}, "
                f"but {self._told(left)} is not {self._told(right)}",
                key,
                t,
                proof[key],
            )
            for key, left, right, t in first.select("key", "left", "right", "t").iter_rows()
        ]


def _side(side: Sequence[Records]) -> str:
    """`refunds + paid orders`."""
    return " + ".join(" ".join(filter(None, (" or ".join(r.status), r.noun.plural))) for r in side)
