"""What a property finds, and how its figure becomes a sentence: the rules that all properties share.

A property that a system writes in Python uses these too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from experiment.history import History
from experiment.libraries import pl
from experiment.rows import RECORDS_READ
from experiment.verdict import Verdict, Violation

SHOWN = 20  # violations kept with their evidence; the rest is counted
SIMULATION = "simulation"  # source of a history that a twin played

Measures = Mapping[str, float | int | str | None]


def no_operations() -> pl.Series:
    """The ids of none."""
    return pl.Series("id", [], dtype=pl.Int64)


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement before it carries its property's name. `wrong` holds the ids of the operations that were
    acknowledged and yet semantically wrong or stale: they are not good, however fast they were."""

    verdict: Verdict
    statement: str
    exposed: int
    violations: tuple[Violation, ...] = ()
    violation_count: int = 0
    measures: Measures = field(default_factory=dict)
    wrong: pl.Series = field(default_factory=no_operations)
    modelled: bool = True  # off: the twin knows nothing that it could be judged by


def rule_of_three(exposed: int) -> str:
    """What no violation in n can show: with 95% confidence the true share is below 3/n (Hanley and
    Lippman-Hand 1983); below 4 exposed the bound says nothing."""
    if exposed <= 3:
        return f"({exposed} exposed: too few to bound the true share)"
    return f"(95% bound on the true share: 3/{exposed} = {3 / exposed:.2g})"


def not_exercised(what: str, measures: Measures | None = None) -> Finding:
    """Without data nothing has passed."""
    return Finding(Verdict.INCONCLUSIVE, f"not exercised: {what}", 0, measures=measures or {})


def conclude(
    exposed: int,
    violations: Iterable[Violation],
    count: int,
    good: str,
    bad: str,
    measures: Measures,
    wrong: pl.Series | None = None,
) -> Finding:
    """Pass or fail of a property that saw `exposed` > 0; the first violations in time order are kept."""
    late = float("inf")
    shown = sorted(violations, key=lambda v: (v.t if v.t is not None else late, v.key))[:SHOWN]
    verdict = Verdict.FAIL if count else Verdict.PASS
    statement = bad if count else good
    ids = no_operations() if wrong is None else wrong
    return Finding(verdict, statement, exposed, tuple(shown), count, measures, ids)


def rows(kind: str, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of a history as evidence: plain mappings without what is empty."""
    return [
        {"type": kind, **{name: value for name, value in row.items() if value is not None}}
        for row in frame.iter_rows(named=True)
    ]


def evidence(
    history: History, keys: Sequence[str], kinds: Sequence[str], journeys: Sequence[str]
) -> dict[str, tuple[dict[str, Any], ...]]:
    """Per key the records of `kinds` and the operations of `journeys`, in time order. Keep `keys` few."""
    wanted = list(keys)
    of_kinds = pl.col("key").is_in(wanted) & pl.col("kind").is_in(list(kinds))
    of_journeys = pl.col("key").is_in(wanted) & pl.col("journey").is_in(list(journeys))
    records = history.lazy_records.filter(of_kinds).collect()
    operations = history.lazy_operations.filter(of_journeys).collect()
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in wanted}
    for row in rows("record", records.sort("t")) + rows("operation", operations):
        found[row["key"]].append(row)
    return {key: tuple(own) for key, own in found.items()}


def counted_records(history: History) -> dict[str, int]:
    """How many records each system of record gave when it was read at the end; none of what was not read."""
    return {sample.source: int(sample.value) for sample in history.samples if sample.name == RECORDS_READ}


def unread(history: History, *stores: str) -> str:
    """Which of the stores was not read at the end, or not modelled by the twin, in words; empty when all that
    they gave is here: a store without a record has then lost what it acknowledged.

    Histories from before the counts were kept have none: there all stores of a run were read or the run
    failed, so a completed run with any record read them all.
    """
    counts = counted_records(history)
    completed = history.end is not None and history.end.reason == "completed"
    for store in dict.fromkeys(stores):
        present = history.stores.get(store, 0)
        if counts:
            read = store in counts and present >= counts[store]
        else:
            read = present > 0 or (completed and bool(history.stores))
        if not read:
            modelled = history.header.source != SIMULATION or store in counts
            return f"the records of {store} {'were not read' if modelled else 'are not modelled'}"
    return ""


def only_if_read(finding: Finding, history: History, *stores: str) -> Finding:
    """A violation stands whatever else was not seen; a pass needs every store that the property is bound
    to."""
    missing = unread(history, *stores) if finding.verdict is Verdict.PASS else ""
    if not missing:
        return finding
    told = f"not exercised in full: {missing}; of what was seen, {finding.statement}"
    return replace(finding, verdict=Verdict.INCONCLUSIVE, statement=told)
