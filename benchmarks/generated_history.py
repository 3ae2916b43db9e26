"""A large history as a live run leaves it: visits with all their operations, records of every store, one
fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiment.errors import Location
from experiment.history import (
    FORMAT,
    End,
    FaultEvent,
    Header,
    LoadReport,
    PhaseEvent,
    Row,
    Sample,
    assembled,
    encode,
    load_history,
    tally_of_parts,
)
from experiment.history_columns import write_columns
from experiment.history_frames import OPERATIONS, RECORDS, Table, frame_of_rows
from experiment.scenario import Arrivals, Expect, Expectation, FaultSpec, Load, Phases, Recovery, Scenario
from experiment.topology import Journey, Link, Service, System, load_system
from experiment.units import SHARE, parse_bound
from faults.latency import Latency
from measurement.properties import KINDS

REFERENCE = Path(__file__).parent.parent / "reference_system" / "system.yaml"
MIX = {  # journey: (share of visits, seconds after the arrival, key prefix)
    "check_in": (1.0, 0.0, "enc"),
    "claim": (1.0, 0.2, "inv"),
    "pay": (1.0, 0.4, "inv"),
    "prescribe": (0.6, 0.3, "rx"),
    "change_dose": (0.09, 0.6, "rx"),
    "view_dose": (0.6, 0.8, "rx"),
    "dispense": (0.6, 1.0, "rx"),
}
OPERATIONS_PER_VISIT = sum(share for share, _, _ in MIX.values())
LINK = "billing -> payments"
MADE_OF = "generated"  # in the place of a digest of the lines


def system() -> System:
    """The first part of the reference system, as far as an analysis looks at it."""
    names = ("checkin", "prescriptions", "pharmacy", "billing", "payments", "payer")
    journeys = {
        "check_in": Journey("checkin", deadline=1.5),
        "claim": Journey("billing", ("billing -> payer",)),
        "pay": Journey("billing", (LINK,), criticality=2.0),
        "prescribe": Journey("prescriptions"),
        "change_dose": Journey("prescriptions", criticality=2.0),
        "view_dose": Journey("pharmacy", ("pharmacy -> prescriptions",), writes=False),
        "dispense": Journey("pharmacy", ("pharmacy -> prescriptions",), criticality=3.0),
    }
    edges = (("billing", "payments"), ("billing", "payer"), ("pharmacy", "prescriptions"))
    links = tuple(Link(caller, callee) for caller, callee in edges)
    properties = load_system(REFERENCE, KINDS).properties
    services = {name: Service() for name in names}
    return System("clinic", services, links, journeys, {"visit": ()}, properties=properties)


def scenario(seconds: float) -> Scenario:
    """Half of the load before the fault, a fifth under it."""
    phases = Phases(
        baseline=0.5 * seconds - 5, warm_up=5.0, fault=0.2 * seconds, recovery=0.3 * seconds, settle=20.0
    )
    fault = Latency(delay=0.4)
    spec = FaultSpec(fault, LINK, "fault", None, None, None, Location("generated"))
    expect = Expect(
        invariants=("no_duplicate_charge", "no_lost_checkin", "no_superseded_dispense", "bounded_staleness"),
        baseline=(Expectation("pay", success=parse_bound(">= 99%", SHARE)),),
        fault=(Expectation("pay", success=parse_bound(">= 99%", SHARE), degraded=True),),
        recovery=Recovery(),
    )
    return Scenario("generated", "A generated history", Load(Arrivals(rate=1.0), {"visit": 1.0}), phases,
                    (spec,), expect)  # fmt: skip


def write_history(path: Path, operations: int, rate: float, seed: int) -> Scenario:
    """Write about `operations` operations at `rate` a second and the records they leave; the scenario of it.

    One payment in a thousand under the fault is charged twice, one dispense in ten thousand is superseded.
    """
    run, asked, records, others = _generated(operations, rate, seed)
    with path.open("wb") as file:
        file.writelines(encode(row) for row in others[:-1])
        for part in (asked, records):
            _write_lines(file, part)
        file.write(encode(others[-1]))
    return run


def keep_columns(folder: Path, operations: int, rate: float, seed: int) -> None:
    """The same in columns: from its lines where these were written, else without them."""
    path = folder / "history.jsonl"
    if path.exists():
        write_columns(folder, load_history(path), MADE_OF)
        return
    _, asked, records, others = _generated(operations, rate, seed)
    asked = asked.with_columns(error=pl.when(pl.col("error") != "").then("error"))
    kept = _fitted(asked, OPERATIONS).sort("intended", "id"), _fitted(records, RECORDS)
    tally = tally_of_parts(kept[0].height, kept[1].height, others)
    history = assembled(kept[0].lazy(), kept[1].lazy(), others, "generated", tally)
    write_columns(folder, history, MADE_OF)


def _fitted(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    schema = dict(frame_of_rows([], table).schema)
    missing = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(missing).select(list(schema)).cast(dict(schema))  # type: ignore[arg-type]  # by name


def _generated(
    operations: int, rate: float, seed: int
) -> tuple[Scenario, pl.DataFrame, pl.DataFrame, list[Row]]:
    """The scenario, operations by their end, records, and all other rows."""
    rng = np.random.default_rng(seed)
    visits = round(operations / OPERATIONS_PER_VISIT)
    seconds = operations / rate
    run = scenario(seconds)
    arrivals = np.sort(rng.uniform(0, seconds - 2, visits))
    asked = pl.concat([_operations(name, arrivals, seconds, rng) for name in MIX], how="diagonal")
    asked = asked.sort("ended").with_row_index("id").select("type", pl.exclude("type"))
    others = [*_start(run, operations, rate), End(seconds + 20, "completed", True)]
    return run, asked, _records(asked, rng), others


def _operations(
    journey: str, arrivals: np.ndarray[Any, Any], seconds: float, rng: np.random.Generator
) -> pl.DataFrame:
    share, after, prefix = MIX[journey]
    # The same visits take all optional steps: a change needs a prescription.
    visits = np.flatnonzero(np.arange(arrivals.size) % 100 < share * 100)
    intended = arrivals[visits] + after
    sent = intended + rng.exponential(0.0005, visits.size)
    under_fault = (intended > 0.5 * seconds) & (intended < 0.7 * seconds) & (journey == "pay")
    took = rng.lognormal(-4, 0.5, visits.size) + under_fault * rng.exponential(0.4, visits.size)
    lost = under_fault & (took > 1.5)
    version = {"prescribe": 1, "change_dose": 2}.get(journey)
    changed = np.arange(arrivals.size)[visits] % 100 < MIX["change_dose"][0] * 100
    frame = pl.DataFrame(
        {
            "type": "op",
            "journey": journey,
            "key": [f"{prefix}-1a2b3c-{visit:06d}" for visit in visits],
            "intended": np.round(intended, 6),
            "sent": np.round(sent, 6),
            "ended": np.round(sent + took, 6),
            "outcome": np.where(lost, "indeterminate", "acknowledged"),
            "status": np.where(lost, 504, 200),
            "error": np.where(lost, "gateway_timeout", ""),
            "trace": [f"{visit:06x}{len(journey):02x}" * 4 for visit in visits],
        }
    )
    if prefix != "rx":
        return frame
    seen = np.where(changed, 2, 1) if version is None else np.full(visits.size, version)
    return frame.with_columns(version=pl.Series(seen), value=pl.format("{} mg", pl.Series(seen * 10)))


def _records(asked: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """What every store holds in the end: 1.6 rows for an operation."""

    def of(
        journey: str, store: str, kind: str, status: str | None, amount: float | None = None
    ) -> pl.DataFrame:
        own = asked.filter(pl.col("journey") == journey)
        columns: dict[str, pl.Expr] = {
            "type": pl.lit("record"),
            "store": pl.lit(store),
            "kind": pl.lit(kind),
            "key": pl.col("key"),
            "id": pl.format("{}-{}", pl.lit(kind), pl.col("id")),
            "t": pl.col("ended") - 0.001,
        }
        if status is not None:
            columns["status"] = pl.lit(status)
        if amount is not None:
            columns["amount"] = pl.lit(amount)
        if "rx" in own["key"].head(1).item():
            columns |= {"version": pl.col("version"), "value": pl.col("value")}
        return own.select(**columns)

    charges = of("pay", "payments", "charge", "captured", 25.0)
    again = charges.sample(fraction=0.0002, seed=int(rng.integers(1 << 30)))
    dispenses = of("dispense", "pharmacy", "dispense", "completed")
    old = pl.Series(rng.random(dispenses.height) < 0.0001)
    dispenses = dispenses.with_columns(version=pl.when(old).then(1).otherwise(pl.col("version")))
    parts = [
        of("check_in", "checkin", "encounter", "in-force"),
        of("check_in", "payer", "eligibility_inquiry", None),
        of("claim", "billing", "claim", "accepted"),
        of("claim", "payer", "claim", "accepted"),
        of("pay", "billing", "invoice", "paid", 25.0),
        of("pay", "billing", "saga", "completed"),
        charges,
        again.with_columns(pl.col("id") + "-again"),
        of("prescribe", "prescriptions", "rx_version", "active"),
        of("change_dose", "prescriptions", "rx_version", "active"),
        of("prescribe", "pharmacy", "projection", None),
        dispenses,
    ]
    return pl.concat(parts, how="diagonal")


def _write_lines(file: Any, frame: pl.DataFrame) -> None:
    """As the recorder writes them: fields that are null left out. Slices keep the memory small."""
    for part in frame.iter_slices(200_000):
        text = part.write_ndjson().replace(',"error":""', "")
        for name in ("version", "value", "status", "amount"):
            text = text.replace(f',"{name}":null', "")
        file.write(text.encode())


def _start(run: Scenario, operations: int, rate: float) -> list[Row]:
    rows: list[Row] = [
        Header(FORMAT, "r-bench", "processes", run.name, "resilient", "clinic", 1,
               "2026-01-01T00:00:00+00:00", 1_767_225_600.0)
    ]  # fmt: skip
    clock = 0.0
    for name in ("warm_up", "baseline", "fault", "recovery", "settle"):
        end = clock + getattr(run.phases, name)
        rows.append(PhaseEvent(name, clock, end))
        if name == "fault":
            events = {"inject": clock, "active": clock + 0.1, "heal": end, "healed": end + 0.1}
            for event, t in events.items():
                rows.append(FaultEvent("f1", "latency", LINK, event, t, t, "2 ms -> 402 ms"))  # type: ignore[arg-type]
        clock = end
    for second in range(int(operations / rate)):
        rows.append(LoadReport(float(second), 0, int(rate), int(rate), 0.0005, 0.002, 0.003))
        for name, value in (("logical", second * 100.0), ("attempts", second * 101.0)):
            rows.append(Sample(float(second), "billing", name, value, "payments"))
    rows.append(Sample(clock, "load", "lag_p99", 0.002))
    return rows
