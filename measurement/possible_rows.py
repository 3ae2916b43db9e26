"""Rows that cannot be: times, counts and answers that no run can have left. In columns, since there may be a
million operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from math import inf, isfinite

from experiment.final_reads import JOURNEY as FINAL_READ
from experiment.history import History
from experiment.libraries import pl
from experiment.outcomes import TABLE
from experiment.rows import RECORDS_READ
from experiment.scenario import PHASES
from experiment.topology import System
from experiment.units import noun
from measurement.properties.selection import how_many

EARLY_S = 0.1  # that a request may be sent ahead of its time: the clocks of two processes are one clock
ENDED_S = 60.0  # nothing ends so long after the last line of its history
LONGEST_S = 1e7  # of a run: a hundred days
SLACK_S = 0.001  # rounding of times
STARTED_S = 1.0  # between the two ways in which a header says when its run began
# What came of an operation, and how it was answered, as the table of outcomes knows it.
GONE = (404, 410)  # the answer of a final read that found nothing
Answers = dict[
    tuple[str, str | None], list[tuple[int, int]]
]  # outcome and error: ranges of statuses; 0: none


def possible(history: History) -> History:
    """The history without operations at times that cannot be: what is computed from them may not even be a
    number."""
    times = [
        pl.col(name).fill_null(0.0).is_between(-LONGEST_S, LONGEST_S)
        for name in ("intended", "sent", "ended")
    ]
    odd = history.lazy_operations.select((~pl.all_horizontal(times)).any()).collect().item()
    if not odd:
        return history
    return replace(history, lazy_operations=history.lazy_operations.filter(pl.all_horizontal(times)))


def impossible(history: History, system: System) -> Iterator[str]:
    """One sentence for each kind of row that cannot be, with how many there are. The history has an end."""
    assert history.end is not None
    last = history.end.t
    if not isfinite(last) or not 0 <= last <= LONGEST_S:
        yield "an end at a time that cannot be"
        return
    if history.end.signal is not None:
        yield f'a completed run that a signal interrupted ("{history.end.signal}")'
    yield from _operations(history, last)
    yield from _early_reads(history)
    yield from _answers(history, system)
    yield from _records(history, system)
    yield from _phases(history, last)
    yield from _faults(history, last)
    yield from _readings(history, last)
    yield from _header(history)


def _operations(history: History, last: float) -> Iterator[str]:
    sent, ended, intended = pl.col("sent"), pl.col("ended"), pl.col("intended")
    wrong = {
        "with a time that is not a number": ~(
            intended.is_finite() & ended.is_finite() & sent.fill_null(0).is_finite()
        ),
        "ended before they were sent": ended < sent - SLACK_S,
        "ended before they were due": ended < intended - EARLY_S,
        "sent before they were due": sent < intended - EARLY_S,
        "due before the run": intended < 0,
        "ended long after the run": ended > last + ENDED_S,
        "answered without being sent": sent.is_null()
        & (pl.col("status").is_not_null() | (pl.col("outcome") != "rejected")),
        "with a status that HTTP does not have": ~pl.col("status").is_between(100, 599),
        "acknowledged by an answer that refuses": (pl.col("outcome") == "acknowledged")
        & (pl.col("journey") != FINAL_READ)
        & ~pl.col("status").is_between(200, 299).fill_null(False),
        "with a version or an age that cannot be": (pl.col("version") < 0)
        | (pl.col("expected_version") < 0)
        | ~pl.col("age").is_between(0, LONGEST_S),
    }
    twice = (pl.col("id").sort().diff() == 0).sum()
    counts = history.lazy_operations.select(
        twice.alias("id"),
        *(condition.fill_null(False).sum().alias(name) for name, condition in wrong.items()),
    )
    found = counts.collect().row(0, named=True)
    twice = found.pop("id")
    yield from (f"{noun(count, 'operation')} {name}" for name, count in found.items() if count)
    if twice:
        yield f"{noun(twice, 'operation')} with an id that another one has"


def _early_reads(history: History) -> Iterator[str]:
    """Final reads are made when the load has ended and the system has settled."""
    settle = history.phase("settle")
    since = settle.start if settle is not None else 0.0
    early = (pl.col("journey") == FINAL_READ) & (pl.col("intended") < since - SLACK_S)
    if count := how_many(history.lazy_operations, early):
        yield f"{noun(count, 'final read')} from before the load had ended"


def _answers_of(writes: bool) -> Answers:
    found: Answers = {}
    for row in TABLE:
        key = (row.write if writes else row.read, row.error)
        found.setdefault(key, []).append(_statuses(row.seen))
    return found


def _statuses(seen: str) -> tuple[int, int]:
    """The first and last status of a row of the table; 0 for no answer."""
    head = seen.partition(" ")[0]
    if head.isdigit():
        return int(head), int(head)
    if head.endswith("xx"):
        return int(head[0]) * 100, int(head[0]) * 100 + 99
    return (200, 299) if head in ("unreadable", "misread") else (0, 0)


WRITES, READS = _answers_of(True), _answers_of(False)


def _answers(history: History, system: System) -> Iterator[str]:
    """Outcome, error and status fit together, as the table of outcomes says."""
    seen = (
        history.lazy_operations.group_by("journey", "outcome", "error", "status")
        .len()
        .with_columns(pl.col("journey", "error").cast(pl.String))
        .collect()
    )
    wrong = 0
    for journey, outcome, error, status, count in seen.iter_rows():
        read = journey == FINAL_READ or (journey in system.journeys and not system.journeys[journey].writes)
        code = 200 if journey == FINAL_READ and status in GONE else status or 0
        ranges = (READS if read else WRITES).get((outcome, error), [])
        fits = any(low <= code <= high for low, high in ranges)
        if not fits:
            wrong += count
    if wrong:
        yield f"{noun(wrong, 'operation')} with an outcome that its answer does not have"


def _records(history: History, system: System) -> Iterator[str]:
    t, amount = pl.col("t"), pl.col("amount")
    wrong = {
        "with a figure that is not a number": ~t.is_finite() | ~amount.is_finite(),
        "at a time that cannot be": ~t.is_between(-LONGEST_S, LONGEST_S),
        "with a negative version": pl.col("version") < 0,
    }
    sums = (condition.fill_null(False).sum().alias(name) for name, condition in wrong.items())
    counts = history.lazy_records.select(sums).collect().row(0, named=True)
    yield from (f"{noun(count, 'record')} {name}" for name, count in counts.items() if count)
    yield from _read_twice(history)
    kinds = system.record_kinds()
    strange = [
        (store, kind, count)
        for store, kind, count in history.lazy_records.group_by("store", "kind")
        .len()
        .with_columns(pl.col("store", "kind").cast(pl.String))
        .collect()
        .iter_rows()
        if kinds.get(store) and kind not in kinds[store]
    ]
    for store, kind, count in sorted(strange):
        yield f"{noun(count, 'record')} of {store} of the unknown kind {kind}"


def _read_twice(history: History) -> Iterator[str]:
    """Records that say when they were made and which they are, and say all else alike. Two that have no
    identity may be two of the same."""
    known = history.lazy_records.filter(pl.col("id").is_not_null() & pl.col("t").is_not_null())
    rows = known.select(one=pl.struct(pl.all()).hash().sort())  # one number each: there may be millions
    alike = rows.select((pl.col("one") == pl.col("one").shift()).sum()).collect().item()
    if alike:
        yield f"{noun(alike, 'record')} that stand there twice"


def _phases(history: History, last: float) -> Iterator[str]:
    names = [phase.name for phase in history.phases]
    strange = sorted({name for name in names if name not in PHASES})
    if strange:
        yield f"the unknown phase {strange[0]}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the phase {name} came {names.count(name)} times"
    for before, after in zip(history.phases, history.phases[1:], strict=False):
        if before.end is not None and before.end > after.start + SLACK_S:
            yield f"the phase {after.name} began before {before.name} had ended"
    for phase in history.phases:
        if phase.end is not None and not phase.start <= phase.end <= last + SLACK_S:
            yield f"the phase {phase.name} ended before it began, or after the run"


ORDER = ("inject", "active", "heal", "healed")


def _faults(history: History, last: float) -> Iterator[str]:
    """Events stand in the order in which they can happen, within the run."""
    odd = [event for event in history.faults if not 0 <= event.t <= last + SLACK_S]
    if odd:
        yield f"{noun(len(odd), 'fault event')} at a time that the run does not have"
    for fault in dict.fromkeys(event.fault for event in history.faults):
        times = {
            name: [e.t for e in history.faults if e.fault == fault and e.event == name] for name in ORDER
        }
        latest = -inf
        for name in ORDER:
            if times[name] and min(times[name]) < latest - SLACK_S:
                yield f"{fault}: {name} is told before what goes before it"
            latest = max([latest, *times[name]])
        looks = [e.t for e in history.faults if e.fault == fault and e.event in ("still_active", "faded")]
        began, ended = min(times["inject"], default=-inf), max(times["heal"], default=inf)
        if looks and (min(looks) < began - SLACK_S or max(looks) > ended + SLACK_S):
            yield f"{fault}: a look is told from before its injection or after its heal"


def _readings(history: History, last: float) -> Iterator[str]:
    """Samples and the account of the load."""
    odd = [s.name for s in history.samples if not (isfinite(s.t) and isfinite(s.value))]
    if odd:
        yield f"{noun(len(odd), 'sample')} that are not numbers, {odd[0]} first"
    away = [s.name for s in history.samples if not -ENDED_S <= s.t <= last + SLACK_S]
    if away:
        yield f"{noun(len(away), 'sample')} at a time that the run does not have, {away[0]} first"
    again = [s.source for s in history.samples if s.name == RECORDS_READ]
    for store in sorted({store for store in again if again.count(store) > 1}):
        yield f"the records of {store} were counted {again.count(store)} times"
    lags = [r for r in history.load if not _possible_lag(r.t, r.lag_p50, r.lag_p99, r.lag_max, last)]
    if lags:
        yield "an account of the load with a time that is not one"
    seconds = [(report.worker, report.t) for report in history.load]
    if len(set(seconds)) < len(seconds):
        yield "two accounts of the load for the same second"
    late = [n for n in history.notes if not -ENDED_S <= n.t <= last + ENDED_S]
    if late:
        yield f"{noun(len(late), 'note')} at a time that the run does not have"
    off = [row for row in history.designs if not -ENDED_S <= row.t <= last + SLACK_S]
    if off:
        yield f"{noun(len(off), 'reading')} of a design at a time that the run does not have"


def _possible_lag(t: float, p50: float, p99: float, most: float, last: float) -> bool:
    if not all(map(isfinite, (t, p50, p99, most))):
        return False
    return 0 <= t <= last + ENDED_S and 0 <= p50 <= p99 + SLACK_S <= most + 2 * SLACK_S <= last + ENDED_S


def _header(history: History) -> Iterator[str]:
    """It says twice when the run began."""
    header = history.header
    try:
        started = datetime.fromisoformat(header.started_at).timestamp()
    except ValueError:
        yield f'a start at "{header.started_at}", which is not a time'
        return
    if header.zero_wall and abs(started - header.zero_wall) > STARTED_S:
        yield "a header with two times of its start"
