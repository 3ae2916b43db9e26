"""Calibration: the sizes of the twin's parts, fitted to a live run without faults.

Delays come straight from the traces: half of what a client's span is longer than its server's. What a service
takes for an operation is fitted so that the twin, playing the same plan, shows the same durations inside the
service: the difference of the two at every percentile is what the operation takes beyond the parts that the
model already has. Callers contain their callees, so the callees come first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import isotonic_regression
from scipy.stats import kstest

from experiment.errors import HistoryError
from experiment.history import History
from experiment.plan import Plan
from experiment.topology import System
from simulation.call_trees import behind, learned_calls, named_by_journey
from simulation.engine.randomness import (
    Array,
    Constant,
    Distribution,
    Exponential,
    Gamma,
    LogNormal,
    Quantiles,
)
from simulation.model.general import calls_of_uses
from simulation.model.magnitudes import RESTART, Call, Fit, Magnitudes
from simulation.model.models import FROM_USES, models_of
from simulation.model.run import play

LEAST_S = 1e-6
ROUNDS = 3  # a level
LEAST_LIKELY = 0.05  # a family less likely than this to have made the sample is not believed
# Spans of one operation; with fewer it takes nothing beyond its parts. A few are better than none: on runs of
# the smoke suite an operation left out was up to 44% too fast, one fitted to six or more at most 15% off.
ENOUGH = 6
CRASH = "crash"  # the kind of fault that ends a process
TABLE = 41  # points of a quantile table
PERCENTILES = np.linspace(0.005, 0.995, 199)
CERTAINTY = PERCENTILES * (1 - PERCENTILES)  # the ends of a small sample say least
NOTHING = np.zeros(len(PERCENTILES))
LEAST_PERCENTILE = 10  # the place of 5.5% in PERCENTILES: the first ones are a matter of luck


@dataclass(frozen=True, slots=True)
class Spans:
    """Durations in seconds: inside services by (service, operation), one way of links by name."""

    inside: Mapping[tuple[str, str], Array]
    one_way: Mapping[str, Array]


def levels(system: System) -> list[set[str]]:
    """The services from those that call nobody to those that nobody calls, then the users.

    What a caller takes contains what its callees take.
    """
    callees = {
        name: {link.callee for link in system.links if link.caller == name and link.callee != name}
        for name in system.services
    }
    made: list[set[str]] = []
    left = set(system.services)
    while left:
        # Services that call one another in a circle come together.
        ready = {name for name in left if not callees[name] & left} or left
        made.append(ready)
        left = left - ready
    return [*made, {"users"}]


def undisturbed(plan: Plan, history: History) -> tuple[float, float]:
    """Seconds from zero of a run's baseline and what follows it, up to the first fault or the load's end.

    Raises HistoryError for a run that never had a whole baseline.
    """
    start = history.phase("baseline")
    if start is None or start.end is None:
        raise HistoryError(f"{plan.run_id}: found no finished baseline, which calibration needs")
    return start.start, min([plan.load_end_s, *(acting.start_s for acting in plan.activations)])


def read_spans(
    spans: Iterable[Mapping[str, Any]],
    history: History,
    entries: Mapping[str, str],
    operations: Mapping[str, Mapping[str, str]] | None,
    window: tuple[float, float],
) -> Spans:
    """Sort the spans of a run that began and ended within `window`; `entries` names each journey's service,
    `operations` by service what a server span's name stands for (None: every one for itself).

    Raises HistoryError without spans.
    """
    servers: dict[str, Mapping[str, Any]] = {}
    clients: list[Mapping[str, Any]] = []
    inside: dict[tuple[str, str], list[float]] = {}
    roots: dict[str, float] = {}
    since, until = (history.header.zero_wall + t for t in window)
    for span in spans:
        if not since <= span["start"] <= span["end"] <= until:  # a cold start or a fault is no size of a part
            continue
        if span["kind"] == "client" and "link" in (span["attributes"] or {}):
            clients.append(span)
        named = {span["name"]: span["name"]} if operations is None else operations.get(span["service"], {})
        operation = named.get(span["name"])
        if span["kind"] == "server" and operation is not None:
            seconds = span["end"] - span["start"]
            inside.setdefault((span["service"], operation), []).append(seconds)
            servers[span["parent"] or ""] = span
            roots[f"{span['trace']}/{span['service']}"] = seconds
    if not inside:
        raise HistoryError("the run has no spans; calibration needs a live run with its traces")
    one_way: dict[str, list[float]] = {}
    for span in clients:
        served = servers.get(span["span"])
        if served is not None:
            between = (span["end"] - span["start"]) - (served["end"] - served["start"])
            one_way.setdefault(span["attributes"]["link"], []).append(max(LEAST_S, between / 2))
    one_way["client"] = _client_delays(history, roots, entries)
    return Spans(
        {key: np.asarray(values) for key, values in inside.items()} | _at_users(history, window),
        {key: np.asarray(values) for key, values in one_way.items() if values},
    )


def _at_users(history: History, window: tuple[float, float]) -> dict[tuple[str, str], Array]:
    """What each journey's users waited for an answer."""
    found: dict[tuple[str, str], Array] = {}
    for (journey,), rows in history.operations.filter(pl.col("sent").is_not_null()).group_by("journey"):
        inside_window = (pl.col("intended") >= window[0]) & (pl.col("ended") <= window[1])
        answered = rows.filter(pl.col("status").is_not_null() & inside_window)
        if str(journey) != "final_read":
            found["users", str(journey)] = np.asarray((answered["ended"] - answered["intended"]).to_list())
    return found


def _client_delays(history: History, roots: Mapping[str, float], entries: Mapping[str, str]) -> list[float]:
    rows = history.operations.filter(pl.col("outcome") == "acknowledged")
    return [
        max(LEAST_S, (ended - sent - roots[f"{trace}/{entries[journey]}"]) / 2)
        for journey, trace, sent, ended in rows.select("journey", "trace", "sent", "ended").iter_rows()
        if f"{trace}/{entries.get(journey)}" in roots
    ]


def fit(sample: Array) -> tuple[Distribution, Fit]:
    """The family that lies nearest to the sample, if a Kolmogorov-Smirnov test believes it; else the sample's
    own quantiles."""
    values = np.sort(np.maximum(sample, LEAST_S))
    if values.max() <= 2 * LEAST_S:
        return Constant(0.0), Fit(len(values), 0.0, "constant")
    logs = np.log(values)
    mean, spread = float(values.mean()), float(values.std())
    families: dict[str, Distribution] = {
        "lognormal": LogNormal(float(np.exp(np.median(logs))), max(float(logs.std()), 1e-3)),
        "gamma": Gamma(mean, max((spread / mean) ** 2, 1e-4)),
        "exponential": Exponential(mean),
    }
    tests = {
        name: kstest(values, lambda x, one=one: 1 - one.tail(np.asarray(x))) for name, one in families.items()
    }
    best = min(tests, key=lambda name: float(tests[name].statistic))
    if tests[best].pvalue >= LEAST_LIKELY:
        return families[best], Fit(len(values), float(tests[best].statistic), best)
    levels = np.linspace(0, 1, TABLE)
    table = Quantiles(tuple(float(value) for value in np.quantile(values, levels)))
    distance = float(kstest(values, lambda x: 1 - table.tail(np.asarray(x))).statistic)
    return table, Fit(len(values), distance, "quantiles")


def beyond(live: Array, twin: Array, given: Array) -> Array:
    """What an operation takes beyond the model's parts, in seconds at each of PERCENTILES, when the twin that
    was `given` so much took `twin` and the live system `live`.

    A percentile function never falls. Where the two differ in shape, as when the twin's fastest requests
    shared a group and no live one did, the plain difference would hand that gap out as work to any request.
    """
    missing = np.quantile(live, PERCENTILES) - np.quantile(twin, PERCENTILES)
    rising = isotonic_regression(given + missing, weights=CERTAINTY).x
    return np.asarray(np.maximum(rising, 0.0))


def fewer_statements(magnitudes: Magnitudes, system: System, name: str, too_slow_s: float) -> Magnitudes:
    """Statements are counted for a service, not for each of its operations: one that the twin makes too slow
    has fewer of them than the others, though one at least."""
    service, rng = name.partition("/")[0], np.random.default_rng(0)
    left_s = max(0.0, too_slow_s)
    calls: list[Call] = []
    for call in magnitudes.calls.get(name, ()):
        if system.services[call.callee].role == "store" and left_s > 0 and call.count > 1:
            link = system.link(f"{service} -> {call.callee}")
            way = magnitudes.of_link(link.name, link.protocol).draw(rng, 201)
            store = magnitudes.of_service(call.callee, "store").draw(rng, 201)
            each_s = 2 * float(np.median(way)) + float(np.median(store))
            fewer = min(call.count - 1, left_s / each_s)
            left_s -= fewer * each_s
            call = replace(call, count=round(call.count - fewer, 3))
        calls.append(call)
    return replace(magnitudes, calls={**magnitudes.calls, name: tuple(calls)})


def restarts(history: History) -> dict[str, float]:
    """By service that crashed, the seconds from its start until it was ready (the median over crashes)."""
    began: dict[str, float] = {}
    took: dict[str, list[float]] = {}
    for event in history.faults:
        if event.kind == CRASH and event.event == "heal":
            began[event.fault] = event.t
        elif event.kind == CRASH and event.event == "healed" and event.fault in began:
            took.setdefault(event.target, []).append(event.t - began[event.fault])
    return {service: float(np.median(seconds)) for service, seconds in took.items()}


def calibrate(
    plan: Plan,
    history: History,
    spans: Sequence[Mapping[str, Any]],
    base: Magnitudes,
    *,
    name: str,
    made_at: str,
) -> Magnitudes:
    """Magnitudes with which the twin plays `plan` as the live run `history` did.

    Of a run with faults only what was before the first of them counts, and how long a service that crashed
    took to be ready again. `made_at` is an ISO 8601 time. Raises HistoryError for a run without a baseline,
    or without spans where the system has models of its own.
    """
    entries = {name: journey.entry for name, journey in plan.system.journeys.items()}
    models, window = models_of(plan.system), undisturbed(plan, history)
    if models.general:
        spans = named_by_journey(spans, history)
        calls = learned_calls(plan, history, spans, window)
        base = replace(base, calls=calls, learned=bool(spans) or calls != calls_of_uses(plan.system))
    if models.general and not spans:
        live = Spans(_at_users(history, window), {})
    else:
        live = read_spans(spans, history, entries, None if models.general else models.operations, window)
    plan = replace(plan, activations=())
    fits: dict[str, Fit] = {}
    one_way = dict(base.one_way)
    for link, sample in live.one_way.items():
        if len(sample) >= ENOUGH:
            one_way[link], fits[f"one way {link}"] = fit(sample)
    source = f"live run {plan.run_id}"
    if models.general and not base.learned:
        source += f"; {FROM_USES}"
    constants = {**base.constants, **{f"{RESTART}/{one}": s for one, s in restarts(history).items()}}
    magnitudes = replace(
        base, name=name, made_at=made_at, source=source, one_way=one_way, work={}, constants=constants
    )
    fitting = _Fitting(magnitudes, plan.system, fits, entries if models.general else {}, bool(spans))
    for level in (level for level in levels(plan.system) for _ in range(ROUNDS)):
        fitting.round(level, live.inside, play(plan, fitting.magnitudes).spans)
    return replace(fitting.magnitudes, fits=fits)


@dataclass(slots=True)
class _Fitting:
    """What operations take beyond the model's parts, found level by level.

    `entries` are those of the journeys of a system without models, whose requests differ from the model's in
    more than their time; `traced` says whether spans told what happens inside its services.
    """

    magnitudes: Magnitudes
    system: System
    fits: dict[str, Fit]
    entries: Mapping[str, str]
    traced: bool
    extra: dict[str, Array] = field(default_factory=dict)
    placed: dict[tuple[str, str], str] = field(default_factory=dict)

    def round(
        self,
        level: Collection[str],
        live: Mapping[tuple[str, str], Array],
        shown: Mapping[tuple[str, str], Any],
    ) -> None:
        """Compare the operations of a level with what the twin showed, and correct their work."""
        for key, sample in live.items():
            twin = np.asarray(shown.get(key, []))
            if key[0] not in level or len(sample) < ENOUGH or not len(twin):
                continue
            too_slow_s = float(np.median(twin) - np.median(sample))
            if key not in self.placed:
                self._place(key, too_slow_s, live)
            name = self.placed[key]
            self.extra[name] = beyond(sample, twin, self.extra.get(name, NOTHING))
            self._set(name, self.extra[name])

    def _place(self, key: tuple[str, str], too_slow_s: float, live: Mapping[tuple[str, str], Array]) -> None:
        """Which operation's work it is that the users of a journey, or the spans of an operation, wait for.

        What users waited beyond the model's parts is their own side's where spans told of the services.
        Without spans, or where the parts alone are slower than the users saw (each is slow for itself, while
        on a busy machine they are slow together), it is that of the entry service.
        """
        name = "/".join(key)
        if self.entries and key[0] == "users":
            entry = (self.entries[key[1]], key[1])
            inside = live.get(entry)
            longer = inside is None or np.median(live[key]) >= np.median(inside)
            if not self.traced or (too_slow_s > 0 and longer):
                name = "/".join(entry)
        if self.entries:
            self.magnitudes = fewer_statements(self.magnitudes, self.system, name, too_slow_s)
        self.placed[key] = name

    def _set(self, name: str, extra: Array) -> None:
        work = dict(self.magnitudes.work)
        inner = [] if self.traced or not self.entries else behind(self.magnitudes.calls, name, self.system)
        if inner:
            # Which service takes how much nobody saw: what every request takes at least is shared evenly.
            share = float(extra[LEAST_PERCENTILE]) / (len(inner) + 1)
            work |= dict.fromkeys(inner, Constant(share))
            extra = extra - share * len(inner)
        work[name], self.fits[f"inside {name}"] = fit(np.maximum(extra, 0.0))
        self.magnitudes = replace(self.magnitudes, work=work)
