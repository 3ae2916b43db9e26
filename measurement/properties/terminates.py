"""Everything that was begun ends, and where money is bound to it none is made or lost on the way.

Judged for each thing from up to three systems of record: its state, the process that works on it, and the
ledger of what was taken and given back. While a process runs its money is in flight; that it runs after
settling is itself a violation.
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
from measurement.properties.accounts import Process, accounts
from measurement.properties.selection import CENT, acknowledged, ids_of, performed, slug, was_sent

Rule = tuple["pl.Expr", "pl.Expr"]  # a condition and what is wrong where it holds


@dataclass(frozen=True, slots=True)
class Terminates:
    """Each thing that was begun is in an end state after settling: no order hangs half done."""

    kind: ClassVar[str] = "terminates"
    safety: ClassVar[bool] = True

    things: Noun
    """What is begun and ends, such as order."""
    state: Records
    """The one record with the state of each thing, and with its amount."""
    ends: tuple[str, ...]  # states that are an end
    idle: tuple[str, ...] = ()  # states in which nothing was begun yet
    operations: tuple[JourneyName, ...] = ()  # journeys that begin it
    created_by: tuple[JourneyName, ...] = ()  # journeys that made the thing: part of the evidence
    process: Process | None = None
    """The work on it until the end, such as a saga."""
    completed: str = ""
    """The end state that an answer without a label promises, such as paid."""
    undone: str = ""
    """The end state in which a completed one was taken back, such as refunded."""
    taken: Records | None = None  # records of what was taken for it, with amounts: a debit
    given_back: Records | None = None  # records of what was given back: a credit

    def __post_init__(self) -> None:
        require_some(self, "ends")
        for name in ("completed", "undone"):
            state = getattr(self, name)
            if state and state not in self.ends:
                raise ValueError(f'{name} "{state}"; expected one of ends: {", ".join(self.ends)}')
        if self.taken is not None and not self.completed:
            raise ValueError("taken without completed; expected the end state that keeps what was taken")
        if self.given_back is not None and self.taken is None:
            raise ValueError("given_back without what was taken; expected taken beside it")

    @property
    def sentence(self) -> str:
        money = ", and money is conserved" if self.taken is not None else ""
        return f"Every {self.things.singular} that was begun ends{money}."

    def find(self, history: History, _scenario: Scenario, _system: System) -> Finding:
        """Exposed are the things that were begun: a process, something taken, a state that is not idle, or
        an operation that was acknowledged or timed out."""
        if missing := unread(history, *self._stores()):
            return not_exercised(missing)
        known = accounts(history, self.state, self.taken, self.given_back, self.process)
        known = known.join(self._asked(history), on="key", how="full", coalesce=True).with_columns(
            pl.col("takings", "processes", "open_processes", "completed_processes", "promised", "told")
            .fill_null(0)
        )  # fmt: skip
        begun = known.filter(
            (pl.col("takings") > 0)
            | (pl.col("processes") > 0)
            | (~pl.col("state").is_in(list(self.idle))).fill_null(False)
            | pl.col("asked").is_not_null()
        ).with_columns(pl.col("net", "captured", "refunded").fill_null(0.0))
        if begun.height == 0:
            return not_exercised(f"no {self.things.singular} was begun")
        broken = self._broken(begun).sort(pl.coalesce("last_taken", "state_t"), nulls_last=True)
        difference = self._difference(begun)
        count = self.things.count(begun.height)
        good, bad = (
            f"all {count} ended",
            f"{self.things.count(broken.height)} of {begun.height:,} did not end",
        )
        if self.taken is not None:
            totals = f"ledger minus {self.completed} {self.state.noun.plural}: {difference:+.2f}"
            good += f" and money is conserved ({totals})"
            bad += f" or did not conserve money ({totals})"
        return conclude(
            begun.height,
            self._violations(history, broken),
            broken.height,
            good,
            bad,
            self._measures(begun, difference),
            ids_of(history, self.operations, broken["key"]),
        )

    def _stores(self) -> list[str]:
        bound = [self.state, self.taken, self.given_back]
        stores = [records.store for records in bound if records is not None]
        return [*stores, *([self.process.records.store] if self.process is not None else [])]

    def _paid(self, begun: pl.DataFrame) -> float:
        return float(begun.filter(pl.col("state") == self.completed)["amount"].sum())

    def _difference(self, begun: pl.DataFrame) -> float:
        # A sum of floats may end a hair below nothing: -0.00 would be a difference to a reader.
        return round(float(begun["net"].sum()) - self._paid(begun), 2) + 0.0

    def _measures(self, begun: pl.DataFrame, difference: float) -> dict[str, float | int | str | None]:
        measures: dict[str, float | int | str | None] = {slug(self.things.plural, "begun"): begun.height}
        if self.taken is not None:
            measures[slug(self.taken.past)] = round(float(begun["captured"].sum()), 2)
            if self.given_back is not None:
                measures[slug(self.given_back.past)] = round(float(begun["refunded"].sum()), 2)
            measures[slug(self.completed, self.state.noun.plural)] = round(self._paid(begun), 2)
            measures["difference"] = difference
        if self.process is not None:
            open_ones = slug("open", self.process.records.noun.plural)
            measures[open_ones] = int(begun["open_processes"].sum())
        return measures

    def _asked(self, history: History) -> pl.DataFrame:
        """Per thing: the operations that may have begun it, how many of them were acknowledged, and how often
        the client was told so without a label."""
        return (
            performed(history, self.operations)
            .filter((pl.col("outcome") != "rejected") & was_sent())
            .group_by("key")
            .agg(
                asked=pl.len().cast(pl.Int64),
                promised=acknowledged().sum().cast(pl.Int64),
                told=(acknowledged() & pl.col("label").is_null()).sum().cast(pl.Int64),
            )
            .collect()
        )

    def _rules(self) -> list[Rule]:
        """The first whose condition holds says what is wrong."""
        status = pl.col("state").fill_null(f"unknown to {self.state.store}")
        its = self.state.noun.singular
        ended = pl.col("state").is_in(list(self.ends)).fill_null(False)
        idle = pl.col("state").is_in(list(self.idle)).fill_null(False)
        completed = (pl.col("state") == self.completed).fill_null(False)
        told_in_vain = (pl.col("told") > 0) & (pl.col("state") != self.undone).fill_null(True)
        untouched = (pl.col("processes") == 0) & (pl.col("takings") == 0)
        process = self.process.records.noun.singular if self.process is not None else "process"
        without = f", without a {process} that could end it" if self.process is not None else ""
        vain = pl.format(f"the client was told {self.completed}, {its} is {{}}", status)
        said = self.process.completed[0] if self.process is not None and self.process.completed else ""
        still = pl.format(f"still {{}} after settling{without}", "state")
        never = f"its {self.things.singular} was acknowledged and never begun, {its} is {{}}"
        rules = [
            (pl.col("open_processes") > 0, pl.lit(f"its {process} still runs after settling")),
            (
                pl.col("strange_process").is_not_null(),
                pl.format(f"its {process} is {{}}, which it can never be", "strange_process"),
            ),
            *self._money(status, completed),
            (pl.col("state").is_not_null() & ~ended & ~idle, still),
            (pl.lit(bool(self.completed)) & ~completed & told_in_vain, vain),
            ((pl.col("promised") > 0) & untouched & ~ended, pl.format(never, status)),
            (
                ~completed & (pl.col("completed_processes") > 0),
                pl.format(f"its {process} says {said}, {its} is {{}}", status),
            ),
        ]
        return rules

    def _money(self, status: pl.Expr, completed: pl.Expr) -> list[Rule]:
        if self.taken is None:
            return []
        taken, past, its = self.taken.noun, self.taken.past, self.state.noun.singular
        net, amount = pl.col("net").round(2), pl.col("amount")
        due = (pl.col("net") - amount).abs() > CENT
        kept, over = f"{{}} {past}", f"given back {{}} more than was {past}"
        if self.given_back is not None:
            kept += f" and not {self.given_back.past}"
            over = f"{self.given_back.past} {{}} more than was {past}"
        said = self.completed
        return [
            (completed & (pl.col("takings") == 0), pl.lit(f"{said} without a {taken.singular}")),
            ((pl.col("net") > CENT) & ~completed, pl.format(f"{kept}, {its} is {{}}", net, status)),
            (completed & due, pl.format(f"{said} {{}} by {taken.plural} of net {{}}", amount, net)),
            (pl.col("net") < -CENT, pl.format(over, -net)),
        ]

    def _broken(self, begun: pl.DataFrame) -> pl.DataFrame:
        """The things with something wrong, and `why`. Sentences are made for these only."""
        rules = self._rules()
        wrong = begun.filter(pl.any_horizontal(condition.fill_null(False) for condition, _ in rules))
        return wrong.with_columns(
            why=pl.coalesce(pl.when(condition).then(sentence) for condition, sentence in rules)
        )

    def _violations(self, history: History, broken: pl.DataFrame) -> list[Violation]:
        first = broken.head(SHOWN)
        bound = [self.state, self.taken, self.given_back]
        kinds = [records.kind for records in bound if records is not None]
        kinds += [self.process.records.kind] if self.process is not None else []
        journeys = [*self.created_by, *self.operations]
        proof = evidence(history, first["key"].to_list(), kinds, journeys) if first.height else {}
        return [
            Violation(
                f"{self.state.noun.singular} {key}: {why}", key, taken if taken is not None else t, proof[key]
            )
            for key, why, taken, t in first.select("key", "why", "last_taken", "state_t").iter_rows()
        ]
