"""I4: no dose is handed over that a newer version, or a stop, had superseded before the dispense began.

A prescription is a register: writes set its version, a dispense reads it. Versions order the writes, so the
check is exact and needs no search: an event may not begin after another ended and show a lower version.
Where a dispense overlaps a write, the general register check is made too, which trusts no version numbers.
"""

from __future__ import annotations

import polars as pl

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import SHOWN, Finding, conclude, evidence, saw_nothing
from measurement.dispenses import handed_over
from measurement.linearizability import RegisterOperation, RegisterVerdict, check_register
from measurement.prescriptions import DISPENSE, WRITES, acknowledged_writes, committed_versions, newest_before

SEARCHED = 200  # registers given to the search in one run, those with most overlaps first
SEARCH_DEADLINE_S = 2.0


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the dispenses of a known version."""
    dispenses = handed_over(history)
    if dispenses.height == 0:
        return saw_nothing("nothing was dispensed")
    writes = acknowledged_writes(history)
    committed = committed_versions(history)
    superseded = _superseded(dispenses, writes, committed)
    search = _search(dispenses, writes, committed)
    broken = {key.key: key.why for key in search.keys if key.linearizable is False}
    known = set(superseded["key"])
    unexplained = {key: text for key, text in broken.items() if key is not None and key not in known}
    measures = {
        "dispenses": dispenses.height,
        "superseded": superseded.height,
        "dispenses_without_operation": int(dispenses["operation"].null_count()),
        "held": _held(history),
        "registers_searched": len(search.keys),
        "registers_not_linearizable": len(broken),
        "registers_not_decided": sum(key.linearizable is None for key in search.keys),
    }
    count = superseded.height + len(unexplained)
    return conclude(
        dispenses.height,
        _violations(history, superseded, unexplained),
        count,
        f"none of {noun(dispenses.height, 'dispense')} handed over a superseded version",
        f"{noun(count, 'dispense')} of {dispenses.height:,} handed over a superseded or stopped version",
        measures,
        superseded["operation"].drop_nulls(),
    )


def _superseded(dispenses: pl.DataFrame, writes: pl.DataFrame, committed: pl.DataFrame) -> pl.DataFrame:
    """Dispenses with `why` and `newest`: a newer write was acknowledged before they began, an earlier
    dispense had shown a newer version, or the version itself is a stop."""
    as_writes = dispenses.select("key", "version", ended="done")
    # Only what is not the highest version of its prescription can be superseded.
    top = pl.concat([writes.select("key", "version"), as_writes.select("key", "version")])
    highest = top.group_by("key").agg(top=pl.col("version").max())
    suspects = dispenses.join(highest, on="key").filter(pl.col("version") < pl.col("top")).drop("top")
    after_write = newest_before(suspects, "began", writes).filter(pl.col("newest") > pl.col("version"))
    after_read = newest_before(suspects, "began", as_writes).filter(pl.col("newest") > pl.col("version"))
    stops = committed.filter(pl.col("status") == "stopped").select("key", "version", newest="version")
    stopped = dispenses.join(stops, on=["key", "version"])
    columns = [*dispenses.columns, "newest", "why"]
    found = [
        after_write.with_columns(why=pl.lit("a newer version had been acknowledged")).select(columns),
        after_read.with_columns(why=pl.lit("a newer version had been dispensed")).select(columns),
        stopped.with_columns(why=pl.lit("this version is a stop")).select(columns),
    ]
    return pl.concat(found).unique("id", keep="first", maintain_order=True).sort("done")


def _search(dispenses: pl.DataFrame, writes: pl.DataFrame, committed: pl.DataFrame) -> RegisterVerdict:
    """The register search, on prescriptions where a dispense overlaps a write: elsewhere order decides."""
    uncertain = committed.join(writes, on=["key", "version"], how="anti").select("key", "version")
    overlapping = (
        dispenses.join(writes.select("key", "sent", "ended"), on="key")
        .filter((pl.col("sent") < pl.col("done")) & (pl.col("began") < pl.col("ended")))
        .group_by("key")
        .len()
        .sort("len", "key", descending=[True, False])
        .head(SEARCHED)["key"]
        .implode()
    )
    chosen = pl.col("key").is_in(overlapping)
    operations = [
        RegisterOperation(f"write {label}", "write", version, sent, ended, key, f"operation {label}")
        for label, key, version, sent, ended in writes.filter(chosen)
        .select("id", "key", "version", "sent", "ended")
        .iter_rows()
    ]
    # A version that no client was told of may have been written at any time, or be another's write.
    operations += [
        RegisterOperation(f"unknown {version}", "write", version, float("-inf"), None, key, "recorded only")
        for key, version in uncertain.filter(chosen).iter_rows()
    ]
    operations += [
        RegisterOperation(f"dispense {label}", "read", version, began, done, key, f"dispense {label}")
        for label, key, version, began, done in dispenses.filter(chosen)
        .select("id", "key", "version", "began", "done")
        .iter_rows()
    ]
    return check_register(operations, initial=None, deadline_s=SEARCH_DEADLINE_S)


def _held(history: History) -> int:
    return history.operations.filter(
        (pl.col("journey") == DISPENSE) & (pl.col("label") == "held").fill_null(False)
    ).height


def _violations(history: History, superseded: pl.DataFrame, unexplained: dict[str, str]) -> list[Violation]:
    first = superseded.head(SHOWN)
    keys = list(dict.fromkeys([*first["key"], *list(unexplained)[:SHOWN]]))
    proof = evidence(history, keys, ["rx_version", "dispense"], [*WRITES, DISPENSE]) if keys else {}
    found = [
        Violation(
            f"prescription {key}: version {version} was dispensed, {why}"
            + (f" (version {newest})" if newest != version else ""),
            key,
            t if t is not None else done,
            proof[key],
        )
        for key, version, newest, why, t, done in first.select(
            "key", "version", "newest", "why", "t", "done"
        ).iter_rows()
    ]
    found += [
        Violation(f"prescription {key} is not linearizable: {text}", key, None, proof[key])
        for key, text in list(unexplained.items())[:SHOWN]
    ]
    return found
