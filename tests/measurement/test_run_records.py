"""What a campaign keeps of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from experiment.history import build
from measurement.analysis import WaiverUse
from measurement.run_records import FinishedRuns, PropertyFigures, record_of
from tests.measurement.histories import frame
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
