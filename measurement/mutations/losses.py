"""Rows that are lost, doubled, moved, or those of another run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from measurement.mutations.rows import (
    Answer,
    Change,
    Kind,
    RowMap,
    Rows,
    Source,
    Unfit,
    answered,
    count_again,
    of,
    planned,
    remove,
    some,
    told,
)

STOP, NOT_BETTER, SAME = Answer.STOP, Answer.NOT_BETTER, Answer.SAME
TYPES = ("op", "record", "phase", "fault", "sample", "load", "note", "design", "end", "header")
SHARES = (0.01, 0.1, 0.5, 0.8)


def loss_kinds() -> Iterator[Kind]:
    """Each with the last line's counts as they were, and made anew."""
    for tag in TYPES:
        free = tag in ("sample", "note")
        yield Kind(f"drop: one {tag}, not counted", _drop_one(of(tag)), STOP, counted=False)
        if tag != "end":
            yield Kind(f"drop: one {tag}", _drop_one(of(tag)), NOT_BETTER if free else STOP)
            doubled = NOT_BETTER if free else STOP
            yield Kind(f"double: one {tag}", _double(of(tag)), doubled)
            yield Kind(f"double: one {tag}, not counted", _double(of(tag)), STOP, counted=False)
    yield Kind("drop: one look at a fault", _drop_one(look), STOP)
    yield Kind("double: one look at a fault", _double(look), STOP)
    yield Kind("double: the end", _double(of("end")), STOP, counted=False)
    for share in SHARES:
        for tag in ("op", "record"):
            yield Kind(f"drop: {share:.0%} of {tag}", _drop_share(of(tag), share), STOP)
    for name, which in LOST.items():
        yield Kind(f"drop: {name}", _drop_all(which), STOP)
    for name, change in CHANGES.items():
        yield Kind(name, change, STOP)
    for name, change in SMALL.items():
        yield Kind(name, change, NOT_BETTER)
    yield Kind("counts: one too many", _counted(1), STOP, counted=False)
    yield Kind("counts: one too few", _counted(-1), STOP, counted=False)
    yield Kind("counts: a type that is not there", _unknown_count, STOP, counted=False)
    yield Kind("counts: none", _no_counts, STOP, counted=False)


LOST: dict[str, Callable[[RowMap], bool]] = {
    "every acknowledged operation": answered,
    "every rejected operation": lambda row: planned(row) and row["outcome"] == "rejected",
    "every operation without an answer": lambda row: planned(row) and row["outcome"] == "indeterminate",
    "every final read": of("op", journey="final_read"),
    "every record": of("record"),
    "every phase": of("phase"),
    "every fault event": of("fault"),
    "every injection": of("fault", event="inject"),
    "every proof": of("fault", event="active"),
    "every heal": of("fault", event="heal"),
    "every healed": of("fault", event="healed"),
    "the account of the load": of("load"),
    "how many records were read": of("sample", name="records_read"),
    "how many final reads were left out": of("sample", name="final_reads_left_out"),
    "every reading of a design": of("design"),
}


def _drop_one(which: Callable[[RowMap], bool]) -> Change:
    def change(rows: Rows, chance: Random, _source: Source) -> str:
        gone = some(rows, chance, which)
        if gone["type"] == "sample" and gone["name"] in ("records_read", "lag_p99", "final_reads_left_out"):
            raise Unfit  # kinds of their own
        rows[:] = [row for row in rows if row is not gone]
        return f"{told(gone)} dropped"

    return change


def _drop_all(which: Callable[[RowMap], bool]) -> Change:
    def change(rows: Rows, _chance: Random, _source: Source) -> str:
        return f"{remove(rows, which)} rows dropped"

    return change


def _drop_share(which: Callable[[RowMap], bool], share: float) -> Change:
    def change(rows: Rows, chance: Random, _source: Source) -> str:
        found = [row for row in rows if which(row)]
        if not found:
            raise Unfit
        lost = {id(row) for row in chance.sample(found, max(1, int(share * len(found))))}
        rows[:] = [row for row in rows if id(row) not in lost]
        return f"{len(lost)} of {len(found)} rows dropped"

    return change


def _double(which: Callable[[RowMap], bool]) -> Change:
    def change(rows: Rows, chance: Random, _source: Source) -> str:
        row = some(rows, chance, which)
        rows.insert(rows.index(row), dict(row))
        return f"{told(row)} twice"

    return change


def _counted(by: int) -> Change:
    def change(rows: Rows, chance: Random, _source: Source) -> str:
        tally = some(rows, chance, of("end"))["tally"]
        kind = chance.choice(sorted(tally))
        tally[kind] += by
        return f"{kind} counted {tally[kind]}"

    return change


def _unknown_count(rows: Rows, chance: Random, _source: Source) -> str:
    some(rows, chance, of("end"))["tally"]["wish"] = 3
    return "3 rows of a type that is not there are counted"


def _no_counts(rows: Rows, chance: Random, _source: Source) -> str:
    some(rows, chance, of("end"))["tally"] = {}
    return "nothing is counted"


def _for_another(which: Callable[[RowMap], bool], number: str = "") -> Change:
    """One row is lost and another one of its kind stands there twice, so that no count tells; `number`: the
    field in which no two rows are alike."""

    def change(rows: Rows, chance: Random, _source: Source) -> str:
        row = some(rows, chance, which)
        alike = ("type", "journey", "store")
        lost = some(
            rows,
            chance,
            lambda one: (
                which(one) and one["key"] != row["key"] and all(one.get(n) == row.get(n) for n in alike)
            ),
        )
        rows[rows.index(lost)] = {**row, number: 1_000_000} if number else dict(row)
        return f"{told(lost)} lost, {told(row)} twice"

    return change


def _early_reads(rows: Rows, chance: Random, _source: Source) -> str:
    read = some(rows, chance, of("op", journey="final_read"))
    read.update(intended=0.5, sent=0.5, ended=0.6)
    return f"{told(read)} made at 0.5 s"


def _attic(rows: Rows, chance: Random, _source: Source) -> str:
    """A record is moved to a store that the system does not have, and both are counted anew."""
    counted = some(rows, chance, lambda row: row.get("name") == "records_read" and row["value"] > 0)
    moved = some(rows, chance, of("record", store=counted["source"]))
    moved["store"] = "attic"
    counted["value"] -= 1
    rows.insert(rows.index(counted), {**counted, "source": "attic", "value": 1.0})
    return f"{told(moved)} was in {counted['source']}"


def _first_second(rows: Rows, _chance: Random, _source: Source) -> str:
    reports = sorted((row for row in rows if row["type"] == "load"), key=lambda row: row["t"])
    if len(reports) < 2:
        raise Unfit
    first, *later = reports
    if not any(row["offered"] for row in later):
        raise Unfit
    for row in later:
        for name in ("offered", "achieved"):
            first[name] += row[name]
            row[name] = 0
    return f"{first['offered']} operations by {first['t']:g} s, none later"


# Times and order.


def _jump(by: float, fields: tuple[str, ...]) -> Change:
    """The clock of the load generator jumps in the middle of the run."""

    def change(rows: Rows, chance: Random, _source: Source) -> str:
        ops = [row for row in rows if planned(row)]
        if not ops:
            raise Unfit
        at = chance.choice(ops)["intended"]
        for row in ops:
            if row["intended"] >= at:
                row.update({name: row[name] + by for name in fields if row.get(name) is not None})
        return f"{', '.join(fields)} {by:+g} s from {at:g} s on"

    return change


def _move(which: Callable[[RowMap], bool], field: str, *by: float) -> Change:
    def change(rows: Rows, chance: Random, _source: Source) -> str:
        row, step = some(rows, chance, which), chance.choice(by)
        if row.get(field) is None:
            raise Unfit
        row[field] += step
        return f"{told(row)}: {field} {step:+g}"

    return change


def _set(which: Callable[[RowMap], bool], **values: Any) -> Change:
    def change(rows: Rows, chance: Random, _source: Source) -> str:
        row = some(rows, chance, which)
        row.update(values)
        return f"{told(row)}: {values}"

    return change


def _exchange(which: Callable[[RowMap], bool], field: str) -> Change:
    """Two rows exchange the values of a field."""

    def change(rows: Rows, chance: Random, _source: Source) -> str:
        one = some(rows, chance, which)
        other = some(rows, chance, lambda row: which(row) and row[field] != one[field])
        one[field], other[field] = other[field], one[field]
        return f"{told(one)} and {told(other)} exchange {field}"

    return change


def _unread(rows: Rows, chance: Random, _source: Source) -> str:
    store = some(rows, chance, of("sample", name="records_read"))["source"]
    remove(rows, lambda row: row["type"] == "record" and row["store"] == store)
    remove(rows, of("sample", name="records_read", source=store))
    return f"{store} not read"


def _one_second(rows: Rows, _chance: Random, _source: Source) -> str:
    first = min((row["t"] for row in rows if row["type"] == "load"), default=0.0)
    gone = remove(rows, lambda row: row["type"] == "load" and row["t"] > first)
    return f"{gone} accounts of the load dropped but the first second's"


def _load_says(factor: int, *fields: str) -> Change:
    def change(rows: Rows, _chance: Random, _source: Source) -> str:
        found = [row for row in rows if row["type"] == "load"]
        if not found:
            raise Unfit
        for row in found:
            row.update({name: row[name] * factor for name in fields})
        return f"{', '.join(fields)} of every second times {factor}"

    return change


def _appended(which: Callable[[RowMap], bool], most: int) -> Change:
    """Rows of another run stand among those of this one."""

    def change(rows: Rows, chance: Random, source: Source) -> str:
        here = [{**row, "t": None} for row in rows]
        found = [row for row in source.other_rows() if which(row) and {**row, "t": None} not in here]
        if not found:
            raise Unfit
        taken = chance.sample(found, min(most, len(found)))
        rows[1:1] = taken
        return f"{len(taken)} rows of another run, {told(taken[0])} first"

    return change


def _replaced(which: Callable[[RowMap], bool], *beside: str) -> Change:
    """All rows of a type are those of another run, saying more else than the fields `beside`."""

    def said(rows: Rows) -> Rows:
        return [{name: value for name, value in row.items() if name not in beside} for row in rows]

    def change(rows: Rows, _chance: Random, source: Source) -> str:
        theirs = [row for row in source.other_rows() if which(row)]
        ours = [row for row in rows if which(row)]
        if not theirs or not ours or said(theirs) == said(ours):
            raise Unfit
        remove(rows, which)
        rows[1:1] = theirs
        return f"{len(ours)} rows exchanged for {len(theirs)} of another run"

    return change


def _cut(rows: Rows, chance: Random, _source: Source) -> str:
    """The history ends early, and its last line is there."""
    keep = chance.randrange(len(rows) // 4, len(rows) - 1)
    rows[:] = [*rows[:keep], rows[-1]]
    count_again(rows)
    return f"cut after {keep} rows"


active = of("fault", event="active")
look = of("fault", event="still_active")


def timed(row: RowMap) -> bool:
    """Phases that end when they were to: settling may end sooner."""
    return bool(row["type"] == "phase" and row["name"] != "settle")


def _numbered(rows: Rows, chance: Random, _source: Source) -> str:
    row = some(rows, chance, look)
    row["measured"] = {
        **row["measured"],
        "looks": row["measured"].get("looks", 0) + chance.choice((-1, 1, 50)),
    }
    return f"{told(row)} is number {row['measured']['looks']}"


def _renumbered(rows: Rows, chance: Random, _source: Source) -> str:
    gone = some(rows, chance, look)
    rows[:] = [row for row in rows if row is not gone]
    mine = [row for row in rows if look(row) and row["fault"] == gone["fault"]]
    for number, row in enumerate(mine, 1):
        row["measured"] = {**row["measured"], "looks": number}
    return f"{told(gone)} dropped, the other {len(mine)} numbered anew"


CHANGES: dict[str, Change] = {
    "clock: the plan's times jump ahead": _jump(10.0, ("intended", "sent", "ended")),
    "clock: the plan's times jump back": _jump(-10.0, ("intended", "sent", "ended")),
    "clock: sending and ending jump back": _jump(-30.0, ("sent", "ended")),
    "clock: ending jumps back": _jump(-30.0, ("ended",)),
    "clock: ending jumps ahead of the run's end": _jump(1000.0, ("ended",)),
    "clock: one fault event after the run": _move(of("fault"), "t", 1e5),
    "clock: one fault event before the run": _move(of("fault"), "t", -1e5),
    "order: a proof before its injection": _move(active, "t", -1e3, -20.0),
    "order: a proof after its heal": _move(active, "t", 100.0),
    "order: a look before its injection": _move(look, "t", -1e3, -30.0),
    "order: a look after its heal": _move(look, "t", 30.0),
    "looks: one with another number": _numbered,
    "looks: one less, and all the others numbered anew": _renumbered,
    "order: healed before the heal": _move(of("fault", event="healed"), "t", -5.0),
    "plan: another start": _move(planned, "intended", 0.01, -0.01, 1.0),
    "plan: another number": _move(planned, "id", 100_000),
    "plan: another journey": _exchange(planned, "journey"),
    "plan: another key": _exchange(planned, "key"),
    "plan: an operation more": lambda rows, chance, _: _more(rows, some(rows, chance, planned), 77_777),
    "phase: longer": _move(timed, "end", 1.0, 0.5),
    "phase: shorter": _move(timed, "end", -1.0, -0.2),
    "phase: later": _move(of("phase"), "start", 1.0, 0.25),
    "phase: invented": lambda rows, chance, _: _named(rows, some(rows, chance, of("phase")), "holiday"),
    "phase: cut off": _set(lambda row: row["type"] == "phase", end=None),
    "phase: settling ends after the run": _move(of("phase", name="settle"), "end", 1000.0),
    "phase: exchanged": _exchange(of("phase"), "name"),
    "fault: another kind": _set(of("fault"), kind="tickling"),
    "fault: another target": _set(of("fault"), target="nowhere -> nothing"),
    "fault: another time": _move(of("fault"), "planned", 1.0, -0.5),
    "fault: an unplanned one": _set(of("fault"), fault="f99"),
    "fault: no effect": _set(active, event="no_effect"),
    "fault: faded": _set(active, event="faded"),
    "fault: not healed": _set(of("fault", event="healed"), event="not_healed"),
    "fault: failed": _set(active, event="failed"),
    "fault: injected only": _set(of("fault", event="heal"), event="inject"),
    "stores: one not read": _unread,
    "stores: a record less than read": _move(of("sample", name="records_read"), "value", -1.0),
    "stores: a record more than read": _move(of("sample", name="records_read"), "value", 1.0, 100.0),
    "stores: records of another store": _set(of("record"), store="attic"),
    "stores: records of another run": _replaced(of("record")),
    "stores: one record lost, another one twice": _for_another(
        lambda row: row["type"] == "record" and None not in (row.get("id"), row.get("t"))
    ),
    "stores: half a record": _move(of("sample", name="records_read"), "value", 0.5),
    "stores: one that keeps nothing": _attic,
    "final reads: of a thing that nobody made": _set(of("op", journey="final_read"), key="zzz-0-0"),
    "final reads: left out without a word": _drop_one(of("op", journey="final_read")),
    "final reads: one lost, another one twice": _for_another(of("op", journey="final_read"), "id"),
    "final reads: before the load had ended": _early_reads,
    "final reads: more read than there are": _move(
        of("sample", name="final_reads_left_out"), "value", -1.0, 0.5
    ),
    "final reads: one less left out": _move(of("sample", name="final_reads_left_out"), "value", 1.0),
    "load: only the first second": _one_second,
    "load: all in the first second": _first_second,
    "load: nothing offered": _load_says(0, "offered", "achieved"),
    "load: fifty times as much": _load_says(50, "offered", "achieved"),
    "load: none begun": _load_says(0, "achieved"),
    "load: late by an hour": _set(of("load"), lag_p50=3600.0, lag_p99=3600.0, lag_max=3600.0),
    "load: half lags above all": _set(of("load"), lag_p50=0.5, lag_p99=0.2, lag_max=0.1),
    "answer: an acknowledged refusal": _set(answered, status=409),
    "answer: an acknowledged failure": _set(answered, status=500),
    "answer: acknowledged without an answer": _set(answered, status=None),
    "answer: acknowledged and never sent": _set(answered, sent=None),
    "answer: rejected by a success": _set(answered, outcome="rejected"),
    "answer: in doubt after a success": _set(answered, outcome="indeterminate"),
    "answer: a success that timed out": _set(answered, error="timeout"),
    "answer: a failure acknowledged": _set(
        lambda row: planned(row) and row["outcome"] != "acknowledged", outcome="acknowledged"
    ),
    "design: another digest": _set(of("design"), digest="0" * 64),
    "design: another service's": _exchange(of("design"), "obeys"),
    "design: nothing shown": _set(of("design"), obeys={}, digest=""),
    "design: of another run": _replaced(of("design"), "t"),
    "mixed: operations of another run": _appended(planned, 50),
    "mixed: one operation of another run": _appended(planned, 1),
    "mixed: records of another run": _appended(of("record"), 20),
    "mixed: faults of another run": _appended(of("fault"), 4),
    "mixed: its header": _replaced(of("header")),
    "mixed: its load": _replaced(of("load")),
    "mixed: its end": _replaced(of("end")),
    "mixed: its phases and its end": _replaced(lambda row: row["type"] in ("phase", "end")),
    "mixed: its looks at faults": _replaced(look, "t", "statement", "existing_connections", "measured"),
    "mixed: all operations of another run": _replaced(planned),
    "end: interrupted": _set(of("end"), reason="interrupted"),
    "end: failed": _set(of("end"), reason="failed"),
    "end: not clean": _set(of("end"), clean=False),
    "end: before everything": _set(of("end"), t=0.0),
    "note: an objection": _set(of("sample"), type="note", level="invalid", text="no"),
    "note: a violation of nothing that is known": lambda rows, _chance, _source: _note(rows, "unheard_of"),
    "cut: with its last line": _cut,
}  # fmt: skip
SMALL: dict[str, Change] = {
    "answer: a little slower": _move(answered, "ended", 0.001, 0.01),
    "answer: another version": _move(lambda row: answered(row) and "version" in row, "version", 1),
    "sample: another figure": _move(of("sample", name="attempts"), "value", 1.0, 10.0),
    "record: another amount": _move(lambda row: row["type"] == "record" and "amount" in row, "amount", 1.0),
    "record: another time": _move(lambda row: row["type"] == "record" and "t" in row, "t", 1.0, -1.0),
    "record: keys exchanged": _exchange(of("record"), "key"),
    # Two runs of one scenario have the same phases, but for when the system had settled: what is exchanged
    # says the same, and nothing is won by it.
    "mixed: its phases": _replaced(of("phase")),
    # As many looks at the same faults of the same plan say the same: that they were in force.
    "mixed: its looks at the same faults": _replaced(look),
    "end: a little later": _move(of("end"), "t", 0.5),
}


def _more(rows: Rows, row: RowMap, number: int) -> str:
    rows.insert(1, {**row, "id": number})
    return f"{told(row)} once more, as {number}"


def _named(rows: Rows, row: RowMap, name: str) -> str:
    rows.insert(1, {**row, "name": name})
    return f"a phase {name}"


def _note(rows: Rows, about: str) -> str:
    rows.insert(1, {"type": "note", "t": 0.0, "level": "violation", "text": "seen before", "about": about})
    return f"a violation of {about} in a first attempt"
