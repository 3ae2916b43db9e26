"""Whoever follows a trace misses nothing: every step between two services that happened is in a trace.

What happened is known from elsewhere: the users' own log says which operations began at which service, the
callees count by whom they were asked, and what a journey leaves to a worker behind the bus is in its `uses`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import Finding, conclude, not_exercised, unread
from experiment.history import History
from experiment.libraries import pl
from experiment.names import StoreName
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import Share
from experiment.verdict import Violation
from measurement.counters import group, increase
from measurement.properties.selection import acknowledged
from measurement.spans import Span, Spans, spans_of

RECEIVED = frozenset({"received"})


@dataclass(frozen=True, slots=True)
class Edges:
    """One kind of step: where, how many happened, and how many of them stand in a trace."""

    where: str
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class TracesComplete:
    """Steps between services that happened stand in the traces: who follows one misses nothing."""

    kind: ClassVar[str] = "traces_complete"
    safety: ClassVar[bool] = False

    spans: StoreName
    """The service that keeps the spans as records: request, call and delivery."""
    at_least: Share = 0.99
    """The share of steps that must stand in a trace."""

    @property
    def sentence(self) -> str:
        return f"At least {self.at_least:.0%} of the steps between services stand in a trace."

    def find(self, history: History, _scenario: Scenario, system: System) -> Finding:
        """Exposed are the steps that happened: operations that began, requests that were received, and events
        that a journey leaves to a worker."""
        if missing := unread(history, self.spans):
            return not_exercised(missing)
        spans = spans_of(history, self.spans)
        edges = [*_entries(history, system, spans), *_requests(history, system, spans, self.spans)]
        edges += _deliveries(history, system, spans)
        expected, found = sum(one.expected for one in edges), sum(one.found for one in edges)
        if not expected:
            return not_exercised("no operation was acknowledged, and no service counted a request")
        share = found / expected
        dropped = _dropped(history)
        said = f"{found:,} of {expected:,} steps between services ({share:.1%}) stand in a trace"
        if dropped:
            said += f"; services dropped {dropped:,} spans"
        bad = [] if share >= self.at_least else [one for one in edges if one.found < one.expected]
        return conclude(
            expected,
            [Violation(_missing(one), one.where, None) for one in bad],
            sum(one.expected - one.found for one in bad),
            said,
            f"{said}, fewer than {self.at_least:.0%}",
            {"expected_edges": expected, "found_edges": found, "spans_dropped": dropped},
        )


def _missing(edges: Edges) -> str:
    return f"{edges.where}: {edges.expected - edges.found:,} of {edges.expected:,} steps stand in no trace"


def _entries(history: History, system: System, spans: Spans) -> Iterator[Edges]:
    """Operations that were acknowledged began at their journey's entry."""
    entries = [(name, journey.entry) for name, journey in system.journeys.items()]
    for entry, expected, found in _acknowledged(history, entries, spans.requests):
        yield Edges(f"users -> {entry}", expected, found)


def _acknowledged(
    history: History, places: Sequence[tuple[str, str]], spans: Sequence[Span]
) -> Iterator[tuple[str, int, int]]:
    """Of each place that a journey reaches: how many operations of such journeys were acknowledged, and of
    how many a span of the place has the trace."""
    reached = pl.LazyFrame(places, {"journey": pl.String, "place": pl.String}, orient="row")
    seen = list({(span.trace, span.whose) for span in spans})
    traced = pl.LazyFrame(seen, {"trace": pl.String, "place": pl.String}, orient="row")
    journey = pl.col("journey").cast(pl.String)
    told = history.lazy_operations.filter(acknowledged())
    steps = told.group_by("journey").len().with_columns(journey).join(reached, on="journey")
    expected = dict(steps.group_by("place").agg(pl.col("len").sum()).sort("place").collect().iter_rows())
    found: dict[str, int] = {}
    if seen:
        joined = told.select(journey, pl.col("trace").fill_null("")).join(traced, on="trace")
        both = joined.join(reached, on=["journey", "place"]).group_by("place").len()
        found = dict(both.collect().iter_rows())
    yield from ((place, count, found.get(place, 0)) for place, count in expected.items())


def _requests(history: History, system: System, spans: Spans, store: str) -> Iterator[Edges]:
    """What a callee counted of a caller, against its spans that name the call that they answer."""
    calls = {span.span: span.whose for span in spans.calls}
    joined = Counter(
        calls[span.parent]
        for span in spans.requests
        if span.parent in calls and calls[span.parent].endswith(f" -> {span.whose}")
    )
    for (callee, _, caller), readings in sorted(group(history.samples, RECEIVED).items()):
        link = f"{caller} -> {callee}"
        if callee == store or link not in system.link_names:
            continue
        grown = increase([(readings[0][0] - 1.0, 0.0), *readings], readings[0][0] - 1.0, readings[-1][0])
        if grown is not None and grown.value:
            count = int(grown.value)
            yield Edges(link, count, min(count, joined[link]))


def _deliveries(history: History, system: System, spans: Spans) -> Iterator[Edges]:
    """A service that a journey uses and does not call, works behind the bus: an event reached it."""
    workers = [(name, link) for name in system.journeys for link in _workers(system, name)]
    for link, expected, found in _acknowledged(history, workers, spans.deliveries):
        yield Edges(link, expected, found)


def _workers(system: System, journey: str) -> Iterator[str]:
    spec = system.journeys[journey]
    called = {spec.entry, *(name.split(" -> ")[1] for name in spec.uses)}
    for name in spec.uses:
        caller, callee = name.split(" -> ")
        known = callee in system.services and name in system.link_names
        if known and system.services[callee].role == "bus" and caller not in called:
            yield name


def _dropped(history: History) -> int:
    last: dict[str, float] = {}
    for sample in history.samples:
        if sample.name == "spans_dropped":
            last[sample.source] = sample.value
    return int(sum(last.values()))
