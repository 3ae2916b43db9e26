"""How much worse it got: every journey in every phase, and second by second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiment.libraries import np, pl
from measurement.analysis import JourneyPhase, Timeline
from measurement.histogram import Histogram, bucket_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


# A quantile q is printed from 1 / (1 - q) operations on: below that it is the maximum under another name.
PERCENTILES = {"p50": (0.5, 2), "p95": (0.95, 20), "p99": (0.99, 100)}


def _percentiles() -> dict[str, pl.Expr]:
    """Exact, by rank, over what was acknowledged and what failed after its user had waited for longer than
    the latency objective; see `quality.grade`. Quick failures show in the success ratio."""
    waited = pl.col("latency").filter(pl.col("waited"))
    return {
        name: pl.when(waited.len() >= enough).then(waited.quantile(q, "higher"))
        for name, (q, enough) in PERCENTILES.items()
    }


def _counts() -> dict[str, pl.Expr]:
    sent = pl.col("is_sent")
    return {
        "offered": sent.sum(),
        "good": pl.col("good").sum(),
        "succeeded": pl.col("succeeded").sum(),
        "acknowledged": (sent & (pl.col("outcome") == "acknowledged")).sum(),
        "rejected": (sent & (pl.col("outcome") == "rejected")).sum(),
        "indeterminate": (sent & (pl.col("outcome") == "indeterminate")).sum(),
        "not_sent": (~sent).sum(),
        "max": pl.col("latency").filter(sent).max(),
    }


def by_phase(graded: pl.DataFrame, spans: Mapping[str, tuple[float, float]]) -> tuple[JourneyPhase, ...]:
    """One row per journey and phase with operations, in the order of the phases."""
    table = (
        graded.lazy()
        .filter(pl.col("phase").is_not_null())
        .group_by("journey", "phase")
        .agg(**_counts(), **_percentiles())
        .collect()
        .sort("phase", "journey")
    )
    kinds, labels = _counted(graded, "kind"), _counted(graded, "label")
    histograms = _histograms(graded)
    found: list[JourneyPhase] = []
    for row in table.iter_rows(named=True):
        start, end = spans[row["phase"]]
        length = end - start
        succeeded = row.pop("succeeded")
        offered, good = row["offered"], row["good"]
        found.append(
            JourneyPhase(
                **row,
                errors=kinds[row["journey"], row["phase"]],
                labels=labels[row["journey"], row["phase"]],
                success_ratio=succeeded / offered if offered else None,
                offered_rate=offered / length if length > 0 else 0.0,
                good_rate=good / length if length > 0 else 0.0,
                histogram=histograms[row["journey"], row["phase"]],
            )
        )
    return tuple(found)


def _counted(graded: pl.DataFrame, column: str) -> dict[tuple[str, str], dict[str, int]]:
    """How often each value of the column comes, by journey and phase; the most frequent first."""
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    counts = (
        graded.filter(pl.col("is_sent") & pl.col(column).is_not_null() & pl.col("phase").is_not_null())
        .group_by("journey", "phase", column)
        .len()
        .sort("len", column, descending=[True, False])
    )
    for journey, phase, value, count in counts.iter_rows():
        found[journey, phase][value] = count
    return found


def _histograms(graded: pl.DataFrame) -> dict[tuple[str, str], Histogram]:
    """Of the latencies that the percentiles are of, so that runs can be told together."""
    counted = (
        graded.lazy()
        .filter(pl.col("waited") & pl.col("phase").is_not_null())
        .group_by("journey", "phase", bucket_of(pl.col("latency")).alias("bucket"))
        .len()
        .collect()
        .sort("bucket")
    )
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for journey, phase, bucket, count in counted.iter_rows():
        found[journey, phase].append((bucket, count))
    return defaultdict(tuple, {key: tuple(pairs) for key, pairs in found.items()})


def figures(graded: pl.DataFrame, journey: str, during: pl.Expr) -> dict[str, float | int | None]:
    """Counts and percentiles of one journey over the operations that `during` selects."""
    chosen = graded.filter((pl.col("journey") == journey) & during)
    return chosen.select(**_counts(), **_percentiles()).row(0, named=True)


def waits(graded: pl.DataFrame, journey: str, during: pl.Expr) -> Floats:
    """The latencies behind the percentiles of `figures`."""
    chosen = graded.filter((pl.col("journey") == journey) & during & pl.col("waited"))
    return chosen["latency"].to_numpy()


def mean_quality(graded: pl.DataFrame, phase: str) -> dict[str, float]:
    """Journey to good / offered in one phase; a journey without operations there is left out."""
    table = (
        graded.filter(pl.col("is_sent") & (pl.col("phase") == phase))
        .group_by("journey")
        .agg(pl.col("good").mean())
        .sort("journey")
    )
    return dict(table.iter_rows())


def seconds_table(graded: pl.DataFrame) -> pl.DataFrame:
    """Per journey and second: offered, good, errors, p50, p95, p99, max; and the same for all as journey
    `all`."""
    loaded = graded.lazy().filter(pl.col("is_sent") & (pl.col("bucket") >= 0))
    figures = {
        "offered": pl.len(),
        "good": pl.col("good").sum(),
        "errors": (pl.col("outcome") != "acknowledged").sum(),
        "max": pl.col("latency").max(),
        **_percentiles(),
    }
    each = loaded.group_by("journey", "bucket").agg(**figures).with_columns(pl.col("journey").cast(pl.String))
    total = loaded.group_by("bucket").agg(**figures).with_columns(journey=pl.lit("all"))
    return pl.concat([each, total.select(each.collect_schema().names())]).collect().sort("journey", "bucket")


# A second that holds too few operations for a percentile shows that of the seconds around it, within its
# phase: of the smallest of these blocks that holds enough; the last one is the whole phase.
BLOCKS_S = (2, 5, 10, 30, 1_000_000)


def _filled(graded: pl.DataFrame, table: pl.DataFrame, seconds: int) -> pl.DataFrame:
    """As `table`, with a row for every second and journey, and percentiles from wider blocks where a second
    holds too few."""
    during = pl.col("is_sent") & (pl.col("bucket") >= 0) & (pl.col("bucket") < seconds)
    loaded = graded.lazy().filter(during).select("journey", "phase", "bucket", "latency", "waited")
    names = table.select("journey").unique().lazy()
    each = pl.LazyFrame({"bucket": range(seconds)}, schema={"bucket": pl.Int32})
    phase = pl.col("phase").cast(pl.String)
    phases = each.join(loaded.group_by("bucket").agg(phase.min()), on="bucket", how="left")
    phases = phases.sort("bucket").with_columns(pl.col("phase").forward_fill().backward_fill())
    full = names.join(phases, how="cross").join(table.lazy(), on=["journey", "bucket"], how="left").collect()
    for width in BLOCKS_S:
        block = (pl.col("bucket") // width).alias("block")
        lacking = pl.any_horizontal(pl.col(name).is_null() for name in PERCENTILES)
        gaps = full.filter(lacking).select("journey", "phase", block).unique()
        if not gaps.height:
            break
        wide = _of_blocks(loaded.with_columns(block), gaps)
        full = (
            full.with_columns(block)
            .join(wide, on=["journey", "phase", "block"], how="left", suffix="_wide")
            .with_columns(pl.coalesce(name, f"{name}_wide").alias(name) for name in PERCENTILES)
            .drop("block", *(f"{name}_wide" for name in PERCENTILES))
        )
    return full.sort("journey", "bucket")


def _of_blocks(loaded: pl.LazyFrame, gaps: pl.DataFrame) -> pl.DataFrame:
    """Percentiles of these journeys (`all` is every one) in these blocks; no other operation is looked at."""
    keys = ["journey", "phase", "block"]
    mine = gaps.filter(pl.col("journey") != "all")["journey"].unique().to_list()
    every = gaps.filter(pl.col("journey") == "all")["block"].unique()
    parts = [loaded.filter(pl.col("journey").is_in(mine)).with_columns(pl.col("journey").cast(pl.String))]
    if every.len():
        parts += [loaded.filter(pl.col("block").is_in(every.implode())).with_columns(journey=pl.lit("all"))]
    asked = pl.concat(parts).with_columns(pl.col("phase").cast(pl.String))
    return asked.join(gaps.lazy(), on=keys, how="semi").group_by(keys).agg(**_percentiles()).collect()


def timelines(
    graded: pl.DataFrame, table: pl.DataFrame, quality: Mapping[str, Floats], seconds: int
) -> tuple[Timeline, ...]:
    """`all` first, then the journeys; every series has one entry per second from zero to the end of the
    load. `table` is the `seconds_table` of `graded`."""
    found: list[Timeline] = []
    names = [name for name in dict.fromkeys(table["journey"]) if name != "all"]
    filled = _filled(graded, table, seconds) if table.height else table
    for name in ["all", *sorted(names)] if table.height else []:
        full = filled.filter(pl.col("journey") == name)
        q = quality.get(name)
        found.append(
            Timeline(
                journey=name,
                offered=tuple(full["offered"].fill_null(0)),
                good=tuple(full["good"].fill_null(0)),
                errors=tuple(full["errors"].fill_null(0)),
                p50=tuple(full["p50"]),
                p95=tuple(full["p95"]),
                p99=tuple(full["p99"]),
                q=tuple(None if np.isnan(v) else round(float(v), 4) for v in q) if q is not None else (),
                max=tuple(full["max"]),
            )
        )
    return tuple(found)


def series(table: pl.DataFrame, journey: str, seconds: int) -> tuple[Floats, Floats]:
    """(offered, good) per second of one journey."""
    own = table.filter((pl.col("journey") == journey) & (pl.col("bucket") < seconds))
    offered, good = np.zeros(seconds), np.zeros(seconds)
    offered[own["bucket"].to_numpy()] = own["offered"].to_numpy()
    good[own["bucket"].to_numpy()] = own["good"].to_numpy()
    return offered, good
