"""A machine whose wall clock is set in the middle of a run: nothing is timed by it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from execution.runs import wall_clock
from execution.runs.wall_clock import WallClock
from runtimes.runtime import Step, Zero


class Clock:
    """Both clocks, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.offset = 100.0, 1_700_000_000.0
        clocks = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now + self.offset)
        monkeypatch.setattr(wall_clock, "time", clocks)


@pytest.mark.parametrize("by_s", [3600.0, 0.7, 86_400.0])
def test_a_clock_that_is_set_forward_does_not_matter(monkeypatch: pytest.MonkeyPatch, by_s: float) -> None:
    """It is said, and times that were told before and after it come out as they were."""
    clock = Clock(monkeypatch)
    watch = WallClock(0.25)
    told = []
    for number in range(40):
        clock.now += 0.2
        if number == 20:
            clock.offset += by_s
        note = watch.look()
        if number == 20:
            assert note is not None and note.level == "info" and "set forward" in note.text
        else:
            assert note is None
        told.append((clock.now - watch.zero.monotonic_s, clock.now + clock.offset))
    for t, unix in told:
        assert watch.zero.at(unix) == pytest.approx(t, abs=1e-6)


def test_a_clock_that_is_set_back_makes_the_run_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told before and after cannot be told apart."""
    clock = Clock(monkeypatch)
    watch = WallClock(0.0)
    clock.now += 5.2
    clock.offset -= 60.0
    note = watch.look()
    assert note is not None and note.level == "invalid"
    assert note.text.startswith("the wall clock of this machine was set back by 60 s at 5.2 s")
    assert watch.look() is None, "it is said once"
    clock.now += 100.0
    assert watch.zero.at(clock.now + clock.offset) == pytest.approx(105.2)


@pytest.mark.parametrize("rate", [500e-6, -500e-6])
def test_a_clock_that_runs_faster_or_slower_is_followed(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    """As fast as a time service may slew it: after half an hour times are right to some hundredths."""
    clock = Clock(monkeypatch)
    watch = WallClock(0.0)
    for _ in range(1800):
        clock.now += 1.0
        clock.offset += rate
        assert watch.look() is None
    assert watch.zero.at(clock.now + clock.offset) == pytest.approx(1800.0, abs=0.05)
    assert watch.zero.at(watch.zero.wall_s + 10.0) == pytest.approx(10.0, abs=0.05)


def test_without_a_step_the_zero_is_as_it_was() -> None:
    """The clocks of this machine."""
    watch = WallClock(0.0)
    time.sleep(0.01)
    assert watch.look() is None and watch.zero.steps == ()
    assert Zero(0.0, 1000.0).at(1004.5) == 4.5
    assert Zero(0.0, 1000.0, (Step(2.0, 10.0),)).at(1014.5) == 4.5
