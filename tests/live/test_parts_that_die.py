"""A part that is killed or stopped from outside ends the run at once, as invalid, and by its name.

A sample of the table that `python -m benchmarks.parts` plays whole.
"""

from __future__ import annotations

import pytest

from benchmarks.parts import Case, Outcome, Setting, play

SAMPLE = (
    Case("postgres", "STOP", "start"),
    Case("load", "KILL", "baseline"),
    Case("toxiproxy", "STOP", "fault"),
    Case("bus", "KILL", "settle"),
)


@pytest.mark.live
@pytest.mark.slow
def test_a_part_that_dies_or_is_stopped_is_named_and_ends_the_run() -> None:
    """Exit code 3 within seconds, whatever the part and the moment; the run after it has a whole system, and
    nothing is left."""
    outcomes: list[Outcome] = list(play(SAMPLE, Setting()))
    assert len(outcomes) == len(SAMPLE) + 1
    assert {str(outcome.case): outcome.problems for outcome in outcomes if outcome.problems} == {}
