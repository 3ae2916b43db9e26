"""Faults and phases as they were measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiment.history import build
from experiment.rows import FaultEvent, PhaseEvent
from measurement.analysis import FaultWindow
from measurement.windows import fault_span, fault_windows, load_end, phase_spans
from tests.measurement.histories import HEADER, history, op, scenario


def event(fault: str, name: str, t: float) -> FaultEvent:
    return FaultEvent(fault, "latency", "a -> b", name, t, round(t), f"{name} at {t}")  # type: ignore[arg-type]


def test_each_activation_of_a_flapping_fault_is_a_window() -> None:
    """Two activations, the second of which was never seen to act nor to heal."""
    events = [
        *(event("f1.1", name, t) for name, t in (("inject", 5.02), ("active", 5.1))),
        replace(event("f1.1", "still_active", 6.9), measured={"met": 12}),
        *(event("f1.1", name, t) for name, t in (("heal", 7.0), ("healed", 7.2))),
        *(event("f1.2", name, t) for name, t in (("inject", 9.0), ("no_effect", 9.5), ("heal", 11.0))),
    ]
    first, second = fault_windows(build([HEADER, *events]))
    assert (first.start, first.end, first.observed, first.healed) == (5.02, 7.2, True, True)
    assert (first.planned_start, first.planned_end) == (5.0, 7.0)
    assert (second.start, second.end, second.observed, second.healed) == (9.0, 11.0, False, False)
    assert second.statement == "no_effect at 9.5"


def test_a_run_that_is_cut_off_at_its_injection_has_a_window_without_an_end() -> None:
    """One event is all that there is of such a fault."""
    (cut,) = fault_windows(build([HEADER, event("f1", "inject", 5.0)]))
    assert (cut.target, cut.kind, cut.start, cut.end) == ("a -> b", "latency", 5.0, None)
    assert not cut.observed and not cut.healed


def test_the_span_is_from_the_first_injection_to_the_last_order_to_heal() -> None:
    """Verifying a heal takes time that is not the fault's."""
    events = [event("f1", "inject", 5.0), event("f2", "inject", 6.0), event("f1", "heal", 9.0)]
    events += [event("f2", "heal", 8.0), event("f1", "healed", 12.0)]
    assert fault_span(build([HEADER, *events])) == (5.0, 9.0)
    assert fault_span(history(with_fault=False)) is None


def test_phases_are_as_measured_and_otherwise_as_planned() -> None:
    """While a run goes on, later phases are not recorded yet; one cut off keeps its planned length."""
    seen = build([HEADER, PhaseEvent("warm_up", 0.0, 1.3), PhaseEvent("baseline", 1.3, None)])
    spans = phase_spans(seen, scenario())
    assert spans["warm_up"] == (0.0, 1.3)
    assert spans["baseline"] == (1.3, 11.3)
    assert spans["fault"] == (11.0, 21.0)


def test_the_load_ends_where_settling_begins() -> None:
    """Without that phase, at the last intended start."""
    assert load_end(history()) == 36.0
    assert load_end(build([HEADER, op(1, "pay", "inv-1", 4.5)])) == 4.5


def window(*later: FaultEvent, target: str = "a -> b") -> FaultWindow:
    """Of a fault from 1 s to 5 s, with what was found in between."""
    rows = [event("f1", "inject", 1.0), seen, *later, event("f1", "heal", 5.0)]
    (found,) = fault_windows(build([HEADER, *(replace(row, target=target) for row in rows)]))
    return found


seen = replace(event("f1", "active", 1.1), statement="round trip 2 ms -> 90 ms")


def look(t: float, met: object, name: str = "still_active", statement: str = "99 bytes") -> FaultEvent:
    measured = {} if met is None else {"met": met}
    return replace(event("f1", name, t), statement=statement, measured=measured)


def test_a_window_says_what_its_looks_found() -> None:
    """First what the caller's own traffic met, then the control; what was not in force any more says so."""
    said = window(look(2.0, 40), look(4.9, 99)).effect
    assert (
        said == "99 bytes (looked at 2 times until the heal, and always in force); "
        "the harness's own request: round trip 2 ms -> 90 ms"
    )
    gone = window(look(2.0, 40), look(3.0, None, "faded", "its toxic is gone"), look(4.9, 99))
    assert not gone.lasted
    assert gone.effect == "round trip 2 ms -> 90 ms; not in force until its end: its toxic is gone"
    assert window().effect == "round trip 2 ms -> 90 ms"


def test_a_link_that_carried_nothing_has_no_observed_fault() -> None:
    """Whatever the harness's own probe measured: nobody else met it. A node needs no caller."""
    assert window(look(2.0, 0), look(4.9, 7)).observed
    assert not window(look(2.0, 0), look(4.9, 0)).observed
    assert not window(look(4.9, None)).observed
    assert not window(look(4.9, "many")).observed
    assert window(look(4.9, None), target="a").observed
    assert window(look(4.9, None), target="a").met is None


def test_one_activation_of_a_flapping_fault_may_meet_nobody() -> None:
    """A short one falls between two calls; that all of them do is another matter."""

    def flaps(*met: int) -> list[bool]:
        rows = []
        for number, count in enumerate(met, 1):
            names = ("inject", "active", "still_active", "heal", "healed")
            told = [event(f"f1.{number}", name, number + 0.1 * i) for i, name in enumerate(names)]
            rows += [replace(row, measured={"met": count}) for row in told]
        return [found.observed for found in fault_windows(build([HEADER, *rows]))]

    assert flaps(0, 5, 0) == [True, True, True]
    assert flaps(0, 0) == [False, False]


def test_a_window_knows_for_how_long_nobody_looked() -> None:
    """From when it was first seen to the heal; without any look it does not know."""
    assert window(look(2.0, 1), look(4.5, 1)).unwatched_s == pytest.approx(2.5)
    assert window(look(1.2, 1)).unwatched_s == pytest.approx(3.8)
    assert window().unwatched_s is None


def test_a_fault_that_was_not_told_to_heal_lasts_to_its_healing_or_to_the_end_of_the_load() -> None:
    """As far as anybody wrote it down."""
    begun = event("f1", "inject", 5.0)
    assert fault_span(build([HEADER, begun, event("f1", "healed", 9.5)])) == (5.0, 9.5)
    assert fault_span(build([HEADER, begun, op(1, "pay", "inv-1", 30.0)])) == (5.0, 30.0)
    assert fault_span(build([HEADER, begun])) == (5.0, 0.0)


def test_a_window_is_planned_where_its_events_say_so() -> None:
    """From the injection's to the heal's; without these by what there is. In the order of the plan."""
    late = [replace(event("f2", name, t), planned=3.0) for name, t in (("inject", 9.0), ("heal", 11.0))]
    early = [
        replace(event("f1", "active", 9.1), planned=4.0),
        replace(event("f1", "healed", 9.3), planned=6.0),
    ]
    first, second = fault_windows(build([HEADER, *early, *late]))
    assert (first.fault, first.planned_start, first.planned_end) == ("f2", 3.0, 3.0)
    assert (second.fault, second.planned_start, second.planned_end) == ("f1", 4.0, 6.0)
    assert (second.start, second.end, second.healed) == (None, 9.3, True)
    assert (first.end, first.healed, first.observed) == (11.0, False, False)
    nothing = window(replace(seen, event="failed", statement="refused"))
    assert (nothing.observed, nothing.statement) == (False, "refused")
    unhealed = window(replace(seen, event="healed"), replace(seen, event="not_healed"))
    assert not unhealed.healed


def test_what_a_link_carried_before_is_a_number_or_unknown() -> None:
    """Nothing told is nothing carried; a text that somebody wrote is not known."""

    def carried(value: object) -> float | None:
        rows = [replace(event("f1", "inject", 1.0), measured={"carried": value}), event("f1", "heal", 5.0)]
        return fault_windows(build([HEADER, *rows]))[0].carried_before

    assert carried(700) == 700.0
    assert carried(0) == 0.0
    assert carried("many") is None
    assert carried(float("inf")) is None
    assert carried(None) is None
    assert window().carried_before == 0.0


def test_the_last_look_that_counts_says_what_was_met() -> None:
    """Looks that count nothing do not take it back; unwatched time begins when it was first seen."""
    assert window(look(2.0, 3), look(3.0, 8), look(4.9, None)).met == 8.0
    assert window(look(1.05, 1), look(4.0, 1)).unwatched_s == pytest.approx(2.9)
    assert window(look(2.0, 3), look(3.0, 8)).looks == 2
