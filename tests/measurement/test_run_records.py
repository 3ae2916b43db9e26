"""What a campaign keeps of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiment.history import build
from measurement.analysis import WaiverUse
from measurement.run_records import record_of
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
