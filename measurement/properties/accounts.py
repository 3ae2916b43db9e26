"""One row for each thing, from the records that know of it: what was taken and given back, its state, the
processes that work on it."""

from __future__ import annotations

from dataclasses import dataclass

from experiment.history import History
from experiment.libraries import pl
from experiment.properties import Records
from measurement.properties.selection import recorded

COUNTS = ("takings", "processes", "open_processes", "completed_processes")


@dataclass(frozen=True, slots=True)
class Process:
    """Records of the work on a thing: a saga, a job."""

    records: Records
    """The records of the work."""
    running: tuple[str, ...]  # states in which it still works
    completed: tuple[str, ...] = ()  # states that say that the thing is completed
    ended: tuple[str, ...] = ()
    """The other states in which the work is over, such as compensated. Where these are listed, a state that
    is nowhere listed violates the property."""


def accounts(
    history: History,
    state: Records,
    taken: Records | None,
    given_back: Records | None,
    process: Process | None,
) -> pl.DataFrame:
    """One row for each key that any of the bindings knows.

    Columns: key; takings (count), captured, refunded, net (captured - refunded), last_taken; amount, state,
    state_t; processes, open_processes, completed_processes (counts), strange_process (an unknown state).
    """
    joined = _states(history, state)
    for part in (
        None if taken is None else _taken(history, taken),
        None if given_back is None else _given_back(history, given_back),
        None if process is None else _processes(history, process),
    ):
        if part is not None:
            joined = joined.join(part, on="key", how="full", coalesce=True)
    missing: dict[str, tuple[object, pl.DataType | type[pl.DataType]]] = {
        "takings": (taken, pl.Int64),
        "captured": (taken, pl.Float64),
        "last_taken": (taken, pl.Float64),
        "refunded": (given_back, pl.Float64),
        "processes": (process, pl.Int64),
        "open_processes": (process, pl.Int64),
        "completed_processes": (process, pl.Int64),
    }
    missing["strange_process"] = (process, pl.String)
    absent = [pl.lit(None, dtype).alias(name) for name, (bound, dtype) in missing.items() if bound is None]
    return (
        joined.with_columns(absent)
        .with_columns(
            pl.col(COUNTS).fill_null(0),
            pl.col("captured", "refunded").fill_null(0.0),
            net=pl.col("captured").fill_null(0.0) - pl.col("refunded").fill_null(0.0),
        )
        .collect()
    )


def _states(history: History, state: Records) -> pl.LazyFrame:
    return (
        recorded(history, state)
        .group_by("key")
        .agg(
            state=pl.col("status").last().cast(pl.String),
            amount=pl.col("amount").last(),
            state_t=pl.col("t").last(),
        )
    )


def _taken(history: History, taken: Records) -> pl.LazyFrame:
    return (
        recorded(history, taken)
        .group_by("key")
        .agg(
            takings=pl.len().cast(pl.Int64),
            captured=pl.col("amount").sum(),
            last_taken=pl.col("t").max(),
        )
    )


def _given_back(history: History, given_back: Records) -> pl.LazyFrame:
    return recorded(history, given_back).group_by("key").agg(refunded=pl.col("amount").sum())


def _processes(history: History, process: Process) -> pl.LazyFrame:
    status = pl.col("status").cast(pl.String).fill_null("without a state")
    known = [*process.running, *process.completed, *process.ended]
    strange = ~status.is_in(known) & bool(process.ended)
    return (
        recorded(history, process.records)
        .group_by("key")
        .agg(
            processes=pl.len().cast(pl.Int64),
            open_processes=status.is_in(list(process.running)).sum().cast(pl.Int64),
            completed_processes=status.is_in(list(process.completed)).sum().cast(pl.Int64),
            strange_process=status.filter(strange).first(),
        )
    )
