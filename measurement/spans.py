"""The spans of a run, from the records of the service that collects them.

A record of the kind `request` is work that a service was asked for, `call` a call on the wire, `delivery` an
event that arrived. Its `key` is the trace, its `id` the span, its `value` the parent span; `caller` is whose
it is: a service, or the link of a call or delivery. `t` is when it began, `amount` how many seconds it took,
`status` is ok or error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from experiment.history import History
from experiment.libraries import pl

KINDS = ("request", "call", "delivery")
COLUMNS = ("kind", "key", "id", "value", "caller", "t", "amount", "status")


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Times are seconds since the run's zero; `whose` is a service, or a link."""

    trace: str
    span: str
    parent: str | None
    whose: str
    began: float
    took: float
    ok: bool

    @property
    def ended(self) -> float:
        return self.began + self.took


@dataclass(frozen=True, slots=True)
class Spans:
    """All spans of a run by kind, each list in the order of their begin."""

    requests: list[Span] = field(default_factory=list)
    calls: list[Span] = field(default_factory=list)
    deliveries: list[Span] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.requests) + len(self.calls) + len(self.deliveries)

    def all(self) -> chain[Span]:
        return chain(self.requests, self.calls, self.deliveries)


def spans_of(history: History, store: str) -> Spans:
    """What the collector kept; records without a time or a length are left out."""
    found = Spans()
    lists = dict(zip(KINDS, (found.requests, found.calls, found.deliveries), strict=True))
    rows = (
        history.lazy_records.filter(
            (pl.col("store") == store) & pl.col("kind").cast(pl.String).is_in(list(KINDS))
        )
        .filter(pl.col("t").is_not_null() & pl.col("amount").is_not_null() & pl.col("id").is_not_null())
        .select(pl.col(name).cast(pl.String) if name not in ("t", "amount") else name for name in COLUMNS)
        .sort("t", "id")
        .collect()
    )
    for kind, trace, name, parent, whose, began, took, status in rows.iter_rows():
        lists[kind].append(Span(trace, name, parent, whose or "", began, took, status != "error"))
    return found
