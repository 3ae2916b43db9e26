"""Parts that die, are stopped or fall silent are noticed, unless a fault or the harness itself does it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from experiment import trouble as trouble_module
from experiment.trouble import SILENT, SILENT_AFTER_S, Trouble, silent
from runtimes import vitals
from runtimes.vitals import Vital, Vitals, Wrong, ending


@dataclass
class Part:
    """A part that does what the test says."""

    wrong: Wrong | None = None
    held: bool = False
    answering: bool = True
    looks: int = 0

    def seen(self) -> Wrong | None:
        self.looks += 1
        return self.wrong

    def vital(self, name: str = "bus", asked: bool = False) -> Vital:
        return Vital(name, self.seen, lambda: self.held, (lambda _: self.answering) if asked else None)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come quickly, and silence is short."""
    monkeypatch.setattr(vitals, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(vitals, "ASK_EVERY_S", 0.01)
    monkeypatch.setattr(trouble_module, "SILENT_AFTER_S", 0.2)


def trouble_of(watch: Vitals, within_s: float = 2.0) -> Trouble | None:
    """The trouble, as soon as there is one."""
    end = time.monotonic() + within_s
    while watch.trouble is None and time.monotonic() < end:
        time.sleep(0.005)
    return watch.trouble


def test_a_part_that_died_is_named_with_the_time() -> None:
    """The first one that is seen stays, whatever dies because of it."""
    first, second = Part(), Part()
    watch = Vitals([first.vital("postgres"), second.vital("billing")])
    assert trouble_of(watch, 0.1) is None
    before = time.monotonic()
    first.wrong = ("died", "ended by SIGKILL")
    trouble = trouble_of(watch)
    second.wrong = ("died", "ended with exit status 1")
    assert trouble is not None and before <= trouble.at_s <= time.monotonic()
    assert trouble.told(trouble.at_s - 4.1) == "postgres died at 4.1 s (ended by SIGKILL)"
    assert trouble_of(watch, 0.05) == trouble
    watch.close()


def test_what_a_fault_holds_down_is_no_trouble() -> None:
    """A crash of the plan is what the run is there for; afterwards the part is watched again."""
    part = Part(wrong=("died", "ended by SIGKILL"), held=True)
    watch = Vitals([part.vital()])
    assert trouble_of(watch, 0.1) is None
    part.wrong, part.held = None, False
    assert trouble_of(watch, 0.1) is None
    part.wrong = ("was stopped", "by SIGSTOP")
    trouble = trouble_of(watch)
    assert trouble is not None and trouble.what == "was stopped"
    watch.close()


def test_a_fault_that_begins_between_two_looks_is_no_trouble() -> None:
    """What was seen of a part counts only if no fault acted on it before, nor right after."""

    class Late(Part):
        def seen(self) -> Wrong | None:
            self.held = True  # the fault comes in the middle of the look
            return super().seen()

    part = Late(wrong=("died", "ended by SIGKILL"))
    watch = Vitals([part.vital()])
    assert trouble_of(watch, 0.1) is None and part.looks == 1
    watch.close()


def test_silence_is_told_since_the_last_answer() -> None:
    """One answer that comes late is no silence."""
    part = Part()
    watch = Vitals([part.vital("bus", asked=True)])
    assert trouble_of(watch, 0.3) is None
    part.answering = False
    silent_from = time.monotonic()
    trouble = trouble_of(watch)
    assert trouble is not None and trouble.what == SILENT
    assert silent_from - 0.1 < trouble.at_s < time.monotonic() - 0.2
    assert trouble.told(trouble.at_s - 3.2) == "bus has not answered since 3.2 s"
    watch.close()


def test_the_silence_of_a_service_is_not_asked_for() -> None:
    """A front door that freezes is what a run may be there to show."""
    part = Part(answering=False)
    watch = Vitals([part.vital("checkin")])
    assert trouble_of(watch, 0.4) is None
    watch.close()


def test_another_run_begins_without_the_trouble_of_the_last() -> None:
    """What was mended in between is forgotten; what is still wrong is seen anew."""
    part = Part(wrong=("died", "ended by SIGKILL"))
    watch = Vitals([part.vital()])
    assert trouble_of(watch) is not None
    part.wrong = None
    watch.renew()
    assert trouble_of(watch, 0.1) is None
    watch.close()


def test_before_the_load_there_is_no_time_to_tell() -> None:
    """The zero of a run is fixed when everything is ready."""
    trouble = Trouble("postgres", "died", 12.0, "ended by SIGKILL")
    assert trouble.told(0.0) == "postgres died before the load began (ended by SIGKILL)"
    assert silent("bus", 1.0, 1.0 + SILENT_AFTER_S / 100) is None
    assert Trouble("bus", SILENT, 12.0).told(13.0) == "bus has not answered since before the load began"


def test_the_last_line_of_a_log_is_told_and_cut() -> None:
    """It is often the reason; of a service that writes a lot, its beginning."""
    assert ending("ended with exit status 1", "") == "ended with exit status 1"
    assert ending("ended", " No space left \n") == 'ended; its log ends with "No space left"'
    assert len(ending("ended", "x" * 10_000)) < 250
