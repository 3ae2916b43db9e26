"""The rows of a history that a binding speaks of, and what all kinds ask of them."""

from __future__ import annotations

from collections.abc import Sequence

from experiment.findings import no_operations
from experiment.history import History
from experiment.libraries import pl
from experiment.properties import Records
from experiment.rows import ABSENT, FINAL_READ

CENT = 0.005


def acknowledged() -> pl.Expr:
    """Whether the system said of an operation that it is done."""
    return pl.col("outcome") == "acknowledged"


def was_sent() -> pl.Expr:
    """Whether an operation was sent at all."""
    return pl.col("sent").is_not_null()


def recorded(history: History, *wanted: Records) -> pl.LazyFrame:
    """The records of any of the bindings."""
    present = [chosen(one) for one in wanted if one.store in history.stores]
    if not present:
        return history.lazy_records.head(0)  # which reads nothing of a history that lies on the disk
    return history.lazy_records.filter(present[0] if len(present) == 1 else pl.any_horizontal(present))


def chosen(wanted: Records) -> pl.Expr:
    """Whether a record is one of the binding; one that tells no state may be in any."""
    found = (pl.col("store") == wanted.store) & (pl.col("kind") == wanted.kind)
    if not wanted.status:
        return found
    return found & pl.col("status").cast(pl.String).is_in(list(wanted.status)).fill_null(True)


def performed(history: History, journeys: Sequence[str]) -> pl.LazyFrame:
    """The operations of these journeys, sent or not."""
    return history.lazy_operations.filter(pl.col("journey").is_in(list(journeys)))


def ids_of(history: History, journeys: Sequence[str], keys: pl.Series) -> pl.Series:
    """Ids of the operations of these journeys on any of the keys."""
    if not keys.len():
        return no_operations()
    on_them = performed(history, journeys).filter(pl.col("key").is_in(keys.implode()))
    return on_them.select("id").collect().to_series()


def how_many(rows: pl.LazyFrame, which: pl.Expr | None = None) -> int:
    """How many rows there are, or such rows."""
    chosen_rows = rows if which is None else rows.filter(which)
    return int(chosen_rows.select(pl.len()).collect().item())


def invisible(history: History) -> pl.DataFrame:
    """Final reads in which the system said itself that it does not have the key."""
    gone = (pl.col("journey") == FINAL_READ) & acknowledged() & (pl.col("value") == ABSENT)
    return history.lazy_operations.filter(gone).collect()


def slug(*words: str) -> str:
    """A measure's name: shipped_orders."""
    return "_".join(words).replace(" ", "_").replace("-", "_")


def article(word: str) -> str:
    """`an order`, `a price`."""
    return f"an {word}" if word[:1] in tuple("aeiou") else f"a {word}"
