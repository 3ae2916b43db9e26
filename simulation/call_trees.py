"""The calls that each operation of a live system makes, from its spans and its counters.

For a system without models of its own: a request of an operation makes so many calls over each link on
average, one after the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from experiment.history import History
from experiment.plan import Plan
from experiment.topology import System
from simulation.model.general import calls_of_uses
from simulation.model.magnitudes import Call

Span = Mapping[str, Any]
Window = tuple[float, float]
NEAR_S = 0.5  # counters are read this near to the borders of a phase
LEAST = 0.05  # calls a request; fewer are a matter of what runs behind the requests


@dataclass(slots=True)
class _Seen:
    """The requests of one operation: how many, and the place and number of the calls that each made."""

    requests: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))


def named_by_journey(spans: Sequence[Span], history: History) -> list[Span]:
    """The same spans; a server span that no other service asked for is called as the user's journey is.

    Those of no journey, such as a question after a service's health, are left out.
    """
    journeys = dict(history.operations.select("trace", "journey").drop_nulls().iter_rows())
    asked = {span["span"] for span in spans if span["kind"] == "client"}
    named: list[Span] = []
    for span in spans:
        if span["kind"] == "server" and span["parent"] not in asked:
            journey = journeys.get(span["trace"])
            if journey is None or str(journey) == "final_read":
                continue
            span = {**span, "name": str(journey)}
        named.append(span)
    return named


def learned_calls(
    plan: Plan, history: History, spans: Sequence[Span], window: Window
) -> dict[str, tuple[Call, ...]]:
    """By `SERVICE/OPERATION`, the calls that it makes, from the spans of `named_by_journey` within `window`.

    Where there are no spans the links of the journeys' `uses` are the calls, as often as the counters of
    the services say, where there are any.
    """
    zero = history.header.zero_wall
    since, until = zero + window[0], zero + window[1]
    inside = [span for span in spans if since <= span["start"] <= span["end"] <= until]
    if not any(span["kind"] == "server" for span in inside):
        return dict(_counted_uses(plan.system, history, window))
    return dict(_traced(plan.system, history, inside, window))


def _traced(
    system: System, history: History, spans: Sequence[Span], window: Window
) -> Iterator[tuple[str, tuple[Call, ...]]]:
    served = {span["parent"]: span for span in spans if span["kind"] == "server" and span["parent"]}
    children: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span["kind"] == "client" and "link" in (span["attributes"] or {}):
            children[span["parent"]].append(span)
    seen: defaultdict[tuple[str, str], _Seen] = defaultdict(_Seen)
    for span in spans:
        if span["kind"] == "server":
            _note(seen[span["service"], span["name"]], span, children[span["span"]], served)
    for (service, operation), one in seen.items():
        stored = list(_behind(system, history, service, window))
        quiet = {call.callee for call in stored}
        calls = sorted(one.calls, key=lambda call: one.places[call] / one.calls[call])
        traced = (Call(*call, one.calls[call] / one.requests) for call in calls if call[0] not in quiet)
        yield f"{service}/{operation}", (*(call for call in traced if call.count >= LEAST), *stored)


def _note(seen: _Seen, server: Span, children: Iterable[Span], served: Mapping[str, Span]) -> None:
    """One request: the calls that began and ended while it was worked on."""
    seen.requests += 1
    ordered = sorted(children, key=lambda span: float(span["start"]))
    for place, child in enumerate(one for one in ordered if one["end"] <= server["end"]):
        callee = child["attributes"]["link"].partition(" -> ")[2]
        answered = served.get(child["span"])
        call = (callee, answered["name"] if answered is not None else child["name"])
        seen.calls[call] += 1
        seen.places[call] += place


def _behind(system: System, history: History, service: str, window: Window) -> Iterator[Call]:
    """Calls to stores and buses: too many and too short for spans of their own, so that they are counted."""
    requests = _growth(history, "requests", service, "", window)
    for callee in system.callees(service):
        if system.services[callee].role not in ("store", "bus"):
            continue
        made = _growth(history, "logical", service, callee, window)
        if requests and made is not None and made / requests >= LEAST:
            yield Call(callee, "", round(made / requests, 3))


def _counted_uses(system: System, history: History, window: Window) -> Iterator[tuple[str, tuple[Call, ...]]]:
    """The calls of `uses`; a link that was counted is shared by all requests of the journeys that use it."""
    sent = history.operations.filter(pl.col("sent").is_not_null() & pl.col("intended").is_between(*window))
    users = dict(sent.group_by("journey").len().iter_rows())
    for name, calls in calls_of_uses(system).items():
        service = name.partition("/")[0]
        yield (
            name,
            tuple(
                replace(call, count=_share(system, history, service, call, users, window)) for call in calls
            ),
        )


def _share(
    system: System, history: History, service: str, call: Call, users: Mapping[str, int], window: Window
) -> float:
    link = f"{service} -> {call.callee}"
    made = _growth(history, "logical", service, call.callee, window)
    requests = sum(users.get(name, 0) for name, journey in system.journeys.items() if link in journey.uses)
    return round(made / requests, 3) if made is not None and requests else call.count


def _growth(history: History, name: str, source: str, about: str, window: Window) -> float | None:
    """By how much a counter grew within the window; None where it was not read at both ends."""
    values = [
        sample.value
        for sample in history.samples
        if (sample.name, sample.source, sample.about) == (name, source, about)
        and window[0] - NEAR_S <= sample.t <= window[1] + NEAR_S
    ]
    return values[-1] - values[0] if len(values) >= 2 else None


def behind(calls: Mapping[str, Sequence[Call]], name: str, system: System) -> list[str]:
    """The operations that a request of the operation `name` reaches, stores and buses left out."""
    found: list[str] = []
    for call in calls.get(name, ()):
        one = f"{call.callee}/{call.operation}"
        if system.services[call.callee].role not in ("store", "bus") and one not in (name, *found):
            found += [one, *(more for more in behind(calls, one, system) if more not in (one, name, *found))]
    return found
