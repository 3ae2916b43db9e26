"""Which operations were good: the one definition from which goodput, Q, recovery and the score follow.

Good is: acknowledged (refused, where a journey must be), within the journey's p95 objective counted from
the *intended* start, semantically right and fresh (no property found it wrong), and unlabelled. A scenario
may allow a degraded profile in a phase: answers with labels, refusals, a later answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from experiment.history import History
from experiment.libraries import pl
from experiment.scenario import PHASES, Expectation, Scenario
from experiment.topology import System
from experiment.units import Bound
from measurement.windows import fault_span, phase_spans

SECTION_OF_PHASE = {
    "warm_up": "baseline",
    "baseline": "baseline",
    "fault": "fault",
    "recovery": "after",
    "settle": "after",
}


def grade(
    history: History, scenario: Scenario, system: System, wrong: pl.Series, *, lag_off: float = 0.0
) -> pl.DataFrame:
    """Every operation of a known journey, by intended start. `lag_off`: up to so many seconds by which
    an operation was sent late are no part of its latency.

    Columns: journey, phase, bucket (whole seconds since zero), latency (s, from the intended start),
    is_sent, outcome, kind (of error; null when acknowledged), waited (its latency counts in percentiles),
    label (of the answer, or `refused 503` of a refusal that the scenario allows), succeeded, good,
    into_fault (under way when the first fault was injected).
    Operations never sent are kept, since what stopped them is already counted where it happened; they are
    never offered, good or bad.
    """
    objectives = {name: journey.p95 for name, journey in system.journeys.items()}
    bounds = {name: min(limit, *latency_bounds(scenario, name)) for name, limit in objectives.items()}
    sent = pl.col("sent").is_not_null()
    span = fault_span(history)
    injected = span[0] if span is not None else float("inf")
    refused = sent & _refusal_allowed(scenario)
    right = (sent & _answered_right(system)) | refused
    if wrong.len():
        right &= ~pl.col("id").is_in(wrong.implode())
    return (
        history.lazy_operations.filter(pl.col("journey").is_in(list(objectives)))
        .with_columns(
            phase=_phase(phase_spans(history, scenario)),
            journey=pl.col("journey").cast(pl.Enum(list(objectives))),
            outcome=pl.col("outcome").cast(pl.Enum(["acknowledged", "rejected", "indeterminate"])),
        )
        .with_columns(
            bucket=pl.col("intended").floor().cast(pl.Int32),
            latency=pl.col("ended") - pl.col("intended") - _late(lag_off),
            is_sent=sent,
            kind=pl.when(~right).then(_error_kind()),
            into_fault=(pl.col("intended") < injected) & (pl.col("ended") > injected),
            succeeded=right & (refused | pl.col("label").is_null() | _degraded_allowed(scenario)),
            label=pl.when(refused)
            .then(pl.format("refused {}", pl.col("status")))
            .otherwise(pl.col("label").cast(pl.String)),
        )
        .with_columns(
            good=pl.col("succeeded") & (pl.col("latency") <= _good_within(scenario, objectives)),
            # Failing fast must not flatter a percentile, failing slowly must not be hidden from it.
            waited=pl.col("is_sent")
            & (
                (pl.col("outcome") == "acknowledged")
                | pl.col("succeeded")
                | (pl.col("latency") > _of_journey(bounds))
            ),
        )
        .select(
            *("journey", "phase", "bucket", "latency", "is_sent", "outcome", "kind", "waited", "label"),
            *("succeeded", "good", "into_fault"),
        )
        .collect()
    )


def _answered_right(system: System) -> pl.Expr:
    """Acknowledged; of a journey that must be refused, rejected with one of its statuses."""
    found = pl.col("outcome") == "acknowledged"
    for name, journey in system.journeys.items():
        if journey.refused:
            refused = (pl.col("outcome") == "rejected") & pl.col("status").is_in(list(journey.refused))
            found = pl.when(pl.col("journey") == name).then(refused.fill_null(False)).otherwise(found)
    return found


def _late(at_most: float) -> pl.Expr:
    return (pl.col("sent") - pl.col("intended")).clip(0.0, at_most).fill_null(0.0) if at_most else pl.lit(0.0)


def latency_bounds(scenario: Scenario, journey: str | None = None) -> tuple[float, ...]:
    """The scenario's bounds on percentiles of a journey (None: of all), in seconds; none is infinite. One
    that is relative to the baseline is left out: it is not a time of its own."""
    expectations = (*scenario.expect.baseline, *scenario.expect.fault, *scenario.expect.after)
    limits = [
        bound.limit
        for expectation in expectations
        if journey in (None, expectation.journey)
        for bound in (expectation.p50, expectation.p95, expectation.p99)
        if isinstance(bound, Bound)
    ]
    return (float("inf"), *limits)


def _of_journey(values: dict[str, float]) -> pl.Expr:
    return pl.col("journey").replace_strict(values, return_dtype=pl.Float64)


def _phase(spans: dict[str, tuple[float, float]]) -> pl.Expr:
    """The phase whose start is the last one at or before the intended start."""
    expression = pl.lit(None, pl.String)
    for name, (start, _) in sorted(spans.items(), key=lambda item: item[1][0]):
        # Clocks of the load and of the phases differ by microseconds at the run's zero.
        begin = start if start > 0.05 else float("-inf")
        expression = pl.when(pl.col("intended") >= begin).then(pl.lit(name)).otherwise(expression)
    return expression.cast(pl.Enum(list(PHASES)))


def _error_kind() -> pl.Expr:
    status = pl.format("status {}", pl.col("status"))
    named = pl.coalesce(pl.col("error"), status, pl.lit("unknown"))
    return pl.when(pl.col("outcome") != "acknowledged").then(named)


def _asked(scenario: Scenario) -> Iterator[tuple[pl.Expr, Expectation]]:
    """Each expectation, with the operations that it speaks of: those of its journey in its phases."""
    for phase, section in SECTION_OF_PHASE.items():
        for one in getattr(scenario.expect, section):
            yield (pl.col("phase") == phase) & (pl.col("journey").cast(pl.String) == one.journey), one


def _degraded_allowed(scenario: Scenario) -> pl.Expr:
    """Where the scenario allows labelled or pending answers, all or those with these labels. An answer may
    have several labels, of which all must be allowed."""
    allowed = pl.lit(False)
    labels = pl.col("label").cast(pl.String).str.split(", ")
    for here, one in _asked(scenario):
        if one.degraded is True:
            allowed |= here
        elif one.degraded:
            allowed |= here & (labels.list.set_difference(list(one.degraded)).list.len() == 0)
    return allowed


def _refusal_allowed(scenario: Scenario) -> pl.Expr:
    """Where a refusal with one of these statuses is what the scenario asks for."""
    allowed = pl.lit(False)
    for here, one in _asked(scenario):
        if one.refused:
            stated = pl.col("status").is_in(list(one.refused)).fill_null(False)
            allowed |= here & (pl.col("outcome").cast(pl.String) == "rejected") & stated
    return allowed


def _good_within(scenario: Scenario, objectives: dict[str, float]) -> pl.Expr:
    """The journey's own objective, or the time that the scenario allows in that phase."""
    limit = _of_journey(objectives)
    for here, one in _asked(scenario):
        if one.good_within is not None:
            limit = pl.when(here).then(pl.lit(one.good_within)).otherwise(limit)
    return limit
