"""Whether the evidence of a finished run is whole, possible, and that of what was planned.

A judgement that rests on half of the evidence, on rows that cannot be, or on rows of another run is worth
nothing. So every loss and every contradiction makes the run invalid: what was lost makes no verdict better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from experiment.asked import Asked, AskedFault, operations_digest
from experiment.final_reads import JOURNEY as FINAL_READ
from experiment.findings import counted_records
from experiment.history import History
from experiment.rows import GENERAL_MODELS, FaultEvent
from experiment.scenario import PHASES
from experiment.topology import System
from experiment.units import format_duration, noun
from measurement.analysis import ValidityCheck
from measurement.obedience import design_is_obeyed

EARLY_S = 0.1  # that a request may be sent ahead of its time: the clocks of two processes are one clock
ENDED_S = 60.0  # nothing ends so long after the last line of its history
LONGEST_S = 1e7  # of a run: a hundred days
SLACK_S = 0.001  # rounding of times
AT_HEAL = frozenset({"heal", "healed", "not_healed"})  # planned for the end; all else for the start, or both
AT_START = frozenset({"inject", "active", "no_effect"})
NAMES = {
    "op": "operation",
    "load": "load report",
    "design": "reading of a design",
    "phase": "phase line",
    "fault": "fault event",
}


def judge_evidence(history: History, system: System, asked: Asked | None) -> list[ValidityCheck]:
    """Of a run that was completed; of any other nothing is claimed anyway. `asked`: what was planned, where
    that is known."""
    if history.end is None or history.end.reason != "completed":
        return []
    checks = [_check("rows_are_possible", _impossible(history), "every row of the history is possible")]
    if asked is None:
        return checks
    rows = noun(sum(history.tally.values()), "line")
    return [
        _check(
            "evidence_is_complete", _missing(history, system, asked), f"all {rows} of the history are there"
        ),
        *checks,
        _check(
            "run_is_the_planned_one",
            _unplanned(history, asked),
            "operations, phases and faults are the planned ones",
        ),
        design_is_obeyed(history, system, asked),
    ]


def _check(name: str, problems: Iterator[str], good: str) -> ValidityCheck:
    found = list(problems)
    return ValidityCheck(name, not found, "; ".join(found) or good)


# What is missing.


def _missing(history: History, system: System, asked: Asked) -> Iterator[str]:
    assert history.end is not None
    if history.torn:
        yield f"{noun(history.torn, 'line')} of the history cannot be read"
    if history.ends > 1:
        yield f"the history has {history.ends} ends"
    counted = history.end.tally
    if not counted:
        yield "the last line does not say how many lines there are"
    for kind in sorted({*counted, *history.tally}):
        wanted, found = counted.get(kind, 0), history.tally.get(kind, 0)
        if counted and wanted != found:
            yield f"{found:,} of {noun(wanted, NAMES.get(kind, kind))} are there"
    planned = history.operations.filter(pl.col("journey") != FINAL_READ).height
    if planned != asked.operations:
        yield f"{planned:,} of {noun(asked.operations, 'planned operation')} have a row"
    yield from _load_account(history, asked)
    yield from _stores(history, system)


def _load_account(history: History, asked: Asked) -> Iterator[str]:
    """The generator's own account, beside the plan and the rows."""
    offered = sum(report.offered for report in history.load)
    if offered != asked.operations:
        counted = noun(offered, "operation")
        yield f"the load generator counted {counted} as due, {asked.operations:,} were planned"
    late = history.operations.filter(pl.col("error").cast(pl.String) == "generator_late").height
    achieved = sum(report.achieved for report in history.load)
    if achieved != asked.operations - late:
        counted, due = noun(achieved, "operation"), asked.operations - late
        yield f"the load generator counted {counted} as started, by their rows it started {due:,}"


def _stores(history: History, system: System) -> Iterator[str]:
    """Every system of record was read, and all that it gave is here."""
    counts = counted_records(history)
    named = {sample.name for sample in history.samples}
    # The twin's own models give what they model; general models have no records at all.
    owed = {
        store
        for store, kinds in system.record_kinds().items()
        if history.header.source != "simulation" or (kinds and GENERAL_MODELS not in named)
    }
    present: Mapping[str, int] = dict(
        history.records.group_by(pl.col("store").cast(pl.String)).len().iter_rows()
    )
    for store in sorted({*present, *counts, *owed}):
        if store not in counts:
            yield f"the records of {store} were not read"
        elif present.get(store, 0) != counts[store]:
            yield f"{present.get(store, 0):,} of {noun(counts[store], 'record')} of {store} are there"


# What cannot be.


def possible(history: History) -> History:
    """The history without operations at times that cannot be: what is computed from them may not even be a
    number."""
    times = [
        pl.col(name).fill_null(0.0).is_between(-LONGEST_S, LONGEST_S)
        for name in ("intended", "sent", "ended")
    ]
    kept = history.operations.filter(pl.all_horizontal(times))
    return history if kept.height == history.operations.height else replace(history, operations=kept)


def _impossible(history: History) -> Iterator[str]:
    assert history.end is not None
    last = history.end.t + ENDED_S
    sent, ended, intended = pl.col("sent"), pl.col("ended"), pl.col("intended")
    wrong = {
        "with a time that is not a number": ~(
            intended.is_finite() & ended.is_finite() & sent.fill_null(0).is_finite()
        ),
        "ended before they were sent": ended < sent - SLACK_S,
        "sent before they were due": sent < intended - EARLY_S,
        "due before the run": intended < 0,
        "ended long after the run": ended > last,
        "answered without being sent": sent.is_null()
        & (pl.col("status").is_not_null() | (pl.col("outcome") != "rejected")),
        "with a status that HTTP does not have": ~pl.col("status").is_between(100, 599),
        "acknowledged by an answer that refuses": (pl.col("outcome") == "acknowledged")
        & (pl.col("journey") != FINAL_READ)
        & ~pl.col("status").is_between(200, 299),
        "with a negative version or age": (pl.col("version") < 0) | (pl.col("age") < 0),
    }
    counts = history.operations.select(
        pl.any_horizontal(condition.fill_null(False)).sum().alias(name) for name, condition in wrong.items()
    ).row(0, named=True)
    yield from (f"{noun(count, 'operation')} {name}" for name, count in counts.items() if count)
    twice = history.operations.height - history.operations["id"].n_unique()
    if twice:
        yield f"{noun(twice, 'operation')} with an id that another one has"
    yield from _impossible_records(history)
    yield from _impossible_phases(history)
    odd = [s.name for s in history.samples if not np.isfinite([s.t, s.value]).all()]
    if odd:
        yield f"{noun(len(odd), 'sample')} that are not numbers, {odd[0]} first"
    lags = [figure for r in history.load for figure in (r.t, r.lag_p50, r.lag_p99, r.lag_max)]
    if lags and not (np.isfinite(lags).all() and min(lags) >= 0):
        yield "an account of the load with a time that is not one"


def _impossible_records(history: History) -> Iterator[str]:
    figures = history.records.select(
        ((~pl.col("t").is_finite()) | (~pl.col("amount").is_finite())).fill_null(False).sum()
    ).item()
    if figures:
        yield f"{noun(figures, 'record')} with a figure that is not a number"


def _impossible_phases(history: History) -> Iterator[str]:
    names = [phase.name for phase in history.phases]
    strange = sorted({name for name in names if name not in PHASES})
    if strange:
        yield f"the unknown phase {strange[0]}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the phase {name} came {names.count(name)} times"
    for before, after in zip(history.phases, history.phases[1:], strict=False):
        if before.end is not None and before.end > after.start + SLACK_S:
            yield f"the phase {after.name} began before {before.name} had ended"


# What was not planned.


def _unplanned(history: History, asked: Asked) -> Iterator[str]:
    ordered = history.operations.filter(pl.col("journey") != FINAL_READ).sort("id")
    digest = operations_digest(
        ordered["id"].to_numpy(),
        ordered["intended"].to_numpy(),
        ordered["journey"].cast(pl.String).to_list(),
        ordered["key"].to_list(),
    )
    if digest != asked.digest:
        yield "ids, journeys, keys or intended starts of the operations are not those of the plan"
    yield from _other_phases(history, asked)
    known = {fault.id: fault for fault in asked.faults}
    for fault in asked.faults:
        events = [event for event in history.faults if event.fault == fault.id]
        yield from _other_fault(fault, events)
    for event in history.faults:
        if event.fault not in known:
            yield f"{event.kind} on {event.target} ({event.fault}) was never planned"


def _other_phases(history: History, asked: Asked) -> Iterator[str]:
    """Phases begin and end when they were to; settling may end sooner."""
    planned = {phase.name: phase for phase in asked.phases}
    for phase in history.phases:
        wanted = planned.get(phase.name)
        if wanted is None:
            continue
        ends = phase.end is None or abs(phase.end - wanted.end_s) <= SLACK_S or phase.name == "settle"
        if abs(phase.start - wanted.start_s) > SLACK_S or not ends:
            spans = f"{format_duration(wanted.start_s)} to {format_duration(wanted.end_s)}"
            yield f"the phase {phase.name} was not that of the plan, {spans}"


def _other_fault(fault: AskedFault, events: list[FaultEvent]) -> Iterator[str]:
    what = f"{fault.id} ({fault.kind} on {fault.target})"
    for event in events:
        if (event.kind, event.target) != (fault.kind, fault.target):
            yield f"{what} is told as {event.kind} on {event.target}"
        elif event.event == "inject" and fault.parameters and event.parameters != fault.parameters:
            yield f"{what} was injected with {_told(event.parameters)}, planned was {_told(fault.parameters)}"
        elif not _planned_then(event, fault):
            yield f"{what}: {event.event} is told as planned for {format_duration(event.planned)}"
    names = [event.event for event in events]
    for name in ("inject", "heal"):
        if names.count(name) != 1:
            yield f"{what} has {noun(names.count(name), f'{name} event')}, expected one"
    if not {"active", "no_effect", "failed"} & set(names):
        yield f"{what}: nobody says whether it acted"
    if not {"healed", "not_healed", "failed"} & set(names):
        yield f"{what}: nobody says whether it is gone"


def _told(parameters: Mapping[str, object] | None) -> str:
    """Parameters of a fault for people, in the order of their names."""
    return ", ".join(f"{name} {value}" for name, value in sorted((parameters or {}).items())) or "none"


def _planned_then(event: FaultEvent, fault: AskedFault) -> bool:
    times = [fault.start_s] if event.event not in AT_HEAL else []
    times += [fault.end_s] if event.event not in AT_START else []
    return any(abs(event.planned - time) <= SLACK_S for time in times)
