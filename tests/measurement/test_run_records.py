"""What a campaign keeps of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from experiment.errors import HistoryError
from experiment.history import Row, build
from measurement.analysis import Analysis, ExpectationResult, RecoveryResult, ValidityCheck, WaiverUse
from measurement.run_records import FinishedRuns, PropertyFigures, RunRecord, record_of
from tests.measurement.histories import frame, op, sample
from tests.reports import builder


@pytest.mark.parametrize(("lifts", "safety"), [(True, ()), (False, ("no_duplicate_charge",))])
def test_only_a_waiver_that_lifts_hides_a_veto_from_the_gate(lifts: bool, safety: tuple[str, ...]) -> None:
    """Whatever the reason says that somebody wrote into the scenario file."""
    use = WaiverUse("no_duplicate_charge", "Dana", "2026-02-28", "lifts a violation", lifts, lifts)
    analysis = replace(builder.fragile_fail().analysis, waivers=(use,))
    record = record_of(0, "s", Path("/runs/r"), build(frame()), analysis, True)
    assert record.violated == ("no_duplicate_charge",)
    assert record.safety == safety


def test_properties_are_kept_with_what_was_exposed() -> None:
    """Violated or not; what nothing was exposed to is left out where nobody asked for it."""
    base = builder.fragile_fail().analysis
    silent = replace(base.checks[0], checker="silent", exposed=0)
    unasked = replace(silent, checker="unasked", judged=False)
    analysis = replace(base, checks=(*base.checks, silent, unasked))
    record = record_of(0, "s", Path("/runs/r"), build(frame()), analysis, True)
    assert PropertyFigures("no_duplicate_charge", True, 214, 3) in record.properties
    assert PropertyFigures("bounded_waiting", False, 214, 0) in record.properties
    named = {figures.name for figures in record.properties}
    assert "silent" in named and "unasked" not in named


def test_records_of_an_older_version_are_read(tmp_path: Path) -> None:
    """They kept no properties, and stay good as a stored baseline of the gate."""
    record = record_of(0, "s", Path("/runs/r"), build(frame()), builder.fragile_fail().analysis, True)
    old = msgspec.to_builtins(record) | {"duplicates": 3}
    del old["properties"]
    finished = FinishedRuns(tmp_path)
    finished.path.write_bytes(msgspec.json.encode(old) + b"\n")
    assert finished.read() == [replace(record, properties=())]


def kept(analysis: Analysis, *rows: Row) -> RunRecord:
    """Of a run with these rows beside its frame."""
    return record_of(2, "s", Path("/runs/r"), build([*frame(), *rows]), analysis, True, "c0de")


def test_what_was_missed_and_what_was_broken_is_kept_by_name() -> None:
    """And of every violated property what was found; else the first reason speaks."""
    base = builder.fragile_fail().analysis
    met = ExpectationResult("fault", "pay", "p95", "<= 1s", 0.5, "met")
    analysis = replace(
        base,
        expectations=(met, replace(met, figure="success", status="not met"), replace(met, status="no data")),
        validity=(ValidityCheck("complete", True, "good"), ValidityCheck("baseline_met", False, "bad")),
        reasons=("first", "second"),
    )
    record = kept(analysis)
    assert (record.missed, record.broken) == (("pay success in fault",), ("baseline_met",))
    found = {check.checker: check.statement for check in base.checks}
    assert record.statement("no_duplicate_charge") == found["no_duplicate_charge"]
    assert record.statement("of nothing") == record.headline == "first"
    assert kept(replace(analysis, reasons=())).headline == ""
    assert (record.job.entry, record.job.seed) == (2, 1)


def test_a_recovery_that_never_came_is_kept_with_how_long_it_was_looked_for() -> None:
    """From the last verified heal at 21.1 s to the end of the recovery at 36 s."""
    base = builder.fragile_fail().analysis
    (window, *_) = base.faults
    healed = replace(window, end=21.1)
    never = RecoveryResult(None, True, 10.0, "never")
    record = kept(replace(base, faults=(healed,), recovery=never))
    assert record.recovery_s is None
    assert record.censored_s == pytest.approx(14.9)
    came = kept(replace(base, faults=(healed,), recovery=replace(never, seconds=3.0, censored=False)))
    assert (came.recovery_s, came.censored_s) == (3.0, None)
    calm = kept(replace(base, faults=(), recovery=never))
    assert (calm.recovery_s, calm.censored_s, calm.exercised) == (None, None, ())
    seen = kept(
        replace(base, faults=(replace(healed, observed=True), replace(healed, observed=False, kind="x")))
    )
    assert seen.exercised == ((healed.target, healed.kind),)
    assert seen.calls is None and seen.cpu_ms is None


def test_costs_are_what_counters_grew_by_for_each_operation() -> None:
    """Over all sources; a counter that fell began anew. Without two readings nothing is known."""
    rows: list[Row] = [op(1, "pay", "a", 5.0), op(2, "pay", "b", 6.0)]
    rows += [sample(t, "billing", "attempts", value, "payments") for t, value in ((1, 10), (2, 14), (3, 3))]
    rows += [sample(t, "billing", "attempts", value, "payer") for t, value in ((1, 0), (3, 1))]
    rows += [sample(t, "billing", "cpu_s", value) for t, value in ((1, 0.5), (3, 0.7))]
    record = kept(builder.fragile_fail().analysis, *rows)
    assert record.calls == pytest.approx((4 + 3 + 1) / 2)
    assert record.cpu_ms == pytest.approx(100.0)
    once = kept(builder.fragile_fail().analysis, sample(1, "billing", "attempts", 9.0, "payments"))
    assert once.calls is None


@pytest.mark.parametrize(
    ("score", "spoilt", "broken", "machine"),
    [
        (None, True, (), True),
        (None, False, ("generator_kept_up",), True),
        (None, False, ("complete",), False),
        (50.0, True, ("generator_kept_up",), False),
    ],
)
def test_a_machine_has_failed_a_run_without_a_score_alone(
    score: float | None, spoilt: bool, broken: tuple[str, ...], machine: bool
) -> None:
    """By what was kept, or by a load that came late alone."""
    record = kept(builder.fragile_fail().analysis)
    assert replace(record, score=score, spoilt=spoilt, broken=broken).machine_failed is machine


def test_a_finished_run_is_kept_whole(tmp_path: Path) -> None:
    """A last line that was cut off is left out, and overwritten by the next run; another line is refused."""
    finished, record = FinishedRuns(tmp_path), kept(builder.fragile_fail().analysis)
    assert finished.read() == []
    finished.append(record)
    with finished.path.open("ab") as file:
        file.write(b'{"entry": 3')
    assert finished.read() == [record]
    finished.append(replace(record, entry=4))
    assert [one.entry for one in finished.read()] == [2, 4]
    finished.path.write_bytes(b'{"entry": 3}\n')
    with pytest.raises(HistoryError, match="start it again without --resume"):
        finished.read()
