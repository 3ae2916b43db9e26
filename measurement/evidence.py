"""Whether the evidence of a finished run is whole, possible, and that of what was planned.

A judgement that rests on half of the evidence, on rows that cannot be, or on rows of another run is worth
nothing. So every loss and every contradiction makes the run invalid: what was lost makes no verdict better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from experiment.asked import Asked, AskedFault, operations_digest
from experiment.final_reads import JOURNEY as FINAL_READ
from experiment.final_reads import SAMPLE, keys_to_read
from experiment.findings import SIMULATION, counted_records
from experiment.history import History
from experiment.libraries import np, pl
from experiment.rows import GENERAL_MODELS, LEFT_OUT, RECORDS_READ, FaultEvent
from experiment.topology import System
from experiment.units import format_duration, noun
from experiment.verdict import Verdict
from measurement.analysis import ValidityCheck
from measurement.obedience import design_is_obeyed
from measurement.possible_rows import SLACK_S, impossible
from measurement.properties.selection import how_many

MADE = 0.9  # share of the final reads: a read is left out when the others took all the time that there is
AT_HEAL = frozenset({"heal", "healed", "not_healed"})  # planned for the end; all else for the start, or both
LOOKS = ("still_active", "faded")
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
    checks = [
        _check("rows_are_possible", impossible(history, system), "every row of the history is possible")
    ]
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
    planned = how_many(history.lazy_operations, pl.col("journey") != FINAL_READ)
    if planned != asked.operations:
        yield f"{planned:,} of {noun(asked.operations, 'planned operation')} have a row"
    yield from _load_account(history, asked)
    yield from _stores(history, system)
    yield from _final_reads(history, system)


def _load_account(history: History, asked: Asked) -> Iterator[str]:
    """The generator's own account, beside the plan and the rows."""
    offered = sum(report.offered for report in history.load)
    if offered != asked.operations:
        counted = noun(offered, "operation")
        yield f"the load generator counted {counted} as due, {asked.operations:,} were planned"
    late = how_many(history.lazy_operations, pl.col("error").cast(pl.String) == "generator_late")
    achieved = sum(report.achieved for report in history.load)
    yield from _untimely(history)
    if achieved != asked.operations - late:
        counted, due = noun(achieved, "operation"), asked.operations - late
        yield f"the load generator counted {counted} as started, by their rows it started {due:,}"


def _untimely(history: History) -> Iterator[str]:
    """What was counted as due second by second is what was due by then: no more, and no less where every
    worker has said."""
    asked = history.lazy_operations.filter(pl.col("journey") != FINAL_READ).select("intended").collect()
    starts = np.sort(asked["intended"].to_numpy())
    workers = {report.worker for report in history.load}
    counted = 0
    for t, reports in groupby(sorted(history.load, key=lambda one: one.t), key=lambda one: one.t):
        seen = list(reports)
        counted += sum(report.offered for report in seen)
        planned = int(np.searchsorted(starts, t))
        everyone = {report.worker for report in seen} == workers
        if counted > planned or (everyone and counted < planned):
            due_by = f"{noun(counted, 'operation')} as due by {format_duration(t)}"
            yield f"the load generator counted {due_by}, {planned:,} were planned"
            return


def _stores(history: History, system: System) -> Iterator[str]:
    """Every system of record was read, and all that it gave is here."""
    counts = counted_records(history)
    for sample in history.samples:
        if sample.name == RECORDS_READ and not _is_count(sample.value):
            yield f"the records of {sample.source} were counted as {sample.value:g}"
    named = {sample.name for sample in history.samples}
    # The twin's own models give what they model; general models have no records at all.
    owed = {
        store
        for store, kinds in system.record_kinds().items()
        if history.header.source != SIMULATION or (kinds and GENERAL_MODELS not in named)
    }
    present, known = history.stores, {*system.record_kinds(), *system.left_out}
    for store in sorted({*present, *counts, *owed}):
        if store not in counts:
            yield f"the records of {store} were not read"
        elif present.get(store, 0) != counts[store]:
            yield f"{present.get(store, 0):,} of {noun(counts[store], 'record')} of {store} are there"
        elif store not in known:
            yield f"records of {store}, which keeps none that are read"


def _final_reads(history: History, system: System) -> Iterator[str]:
    """Of the keys that had to be read once more, each was, but for those that it says were left out."""
    forms = {prefix for prefix, form in system.final_reads.items() if form.written_by in system.journeys}
    simulated = history.header.source == SIMULATION
    if not forms:
        return
    said = [s.value for s in history.samples if s.name == LEFT_OUT]
    if len(said) != 1:
        yield f"how many final reads were left out is said {noun(len(said), 'time')}, expected once"
        return
    if not _is_count(said[0]):
        yield f"{said[0]:g} final reads are said to be left out"
        return
    left_out = int(said[0])
    if simulated and GENERAL_MODELS in {sample.name for sample in history.samples}:
        return
    reads = history.lazy_operations.filter(pl.col("journey") == FINAL_READ).select("key").collect()
    pairs = (
        history.lazy_operations.filter(pl.col("sent").is_not_null() & (pl.col("journey") != FINAL_READ))
        .sort("sent", "id")
        .select(pl.col("key", "outcome").cast(pl.String))
        .unique(maintain_order=True)
        .collect()
    )
    sample = None if simulated else SAMPLE
    wanted = set(keys_to_read(pairs.iter_rows(), forms, history.header.seed, sample))
    if strange := set(reads["key"]) - wanted:
        yield f"{noun(len(strange), 'final read')} that had not to be made"
    made = reads["key"].n_unique()
    if made < reads.height:
        yield f"{noun(reads.height - made, 'final read')} of a key that was read already"
    if made + left_out != len(wanted):
        yield f"{made:,} of {noun(len(wanted) - left_out, 'final read')} are there"


def _is_count(value: float) -> bool:
    return value >= 0 and float(value).is_integer()


def final_reads_made(history: History) -> list[ValidityCheck]:
    """Of a live run that says how many of its final reads were left out. Where many were, nobody knows how
    their things ended; the twin leaves out what it does not model."""
    said = [int(s.value) for s in history.samples if s.name == LEFT_OUT]
    if history.header.source == SIMULATION or not said:
        return []
    made = how_many(history.lazy_operations, pl.col("journey") == FINAL_READ)
    due = made + said[0]
    statement = f"{made:,} of {noun(due, 'final read')} were made, expected {MADE:.0%} at least"
    return [ValidityCheck("final_reads_made", made >= MADE * due, statement, Verdict.INCONCLUSIVE)]


# What was not planned.


def _unplanned(history: History, asked: Asked) -> Iterator[str]:
    ordered = (
        history.lazy_operations.filter(pl.col("journey") != FINAL_READ)
        .select("id", "intended", "journey", "key")
        .sort("id")
        .collect()
    )
    digest = operations_digest(
        ordered["id"].to_numpy(),
        ordered["intended"].to_numpy(),
        ordered["journey"].cast(pl.String).to_list(),
        ordered["key"].to_list(),
    )
    if digest != asked.digest:
        yield "ids, journeys, keys or intended starts of the operations are not those of the plan"
    if history.end is not None and history.end.run_id != history.header.run_id:
        yield f'the last line is that of the run "{history.end.run_id}"'
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
            yield f"the phase {phase.name} was never planned"
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
    yield from _other_looks(what, events)


def _other_looks(what: str, events: list[FaultEvent]) -> Iterator[str]:
    """Looks are numbered from 1 on, and the heal says how many there were."""
    looks = sorted((event for event in events if event.event in LOOKS), key=lambda event: event.t)
    numbers = [event.measured.get("looks") for event in looks]
    counted = [event.measured.get("looks") for event in events if event.event == "heal"]
    if counted != [len(numbers)]:
        said = ", ".join(str(count) for count in counted) or "none"
        yield f"{what} was looked at {noun(len(numbers), 'time')}, its heal says {said}"
    elif numbers != list(range(1, len(numbers) + 1)):
        yield f"{what}: the looks at it are not numbered in their order"


def _told(parameters: Mapping[str, object] | None) -> str:
    """Parameters of a fault for people, in the order of their names."""
    return ", ".join(f"{name} {value}" for name, value in sorted((parameters or {}).items())) or "none"


def _planned_then(event: FaultEvent, fault: AskedFault) -> bool:
    times = [fault.start_s] if event.event not in AT_HEAL else []
    times += [fault.end_s] if event.event not in AT_START else []
    return any(abs(event.planned - time) <= SLACK_S for time in times)
