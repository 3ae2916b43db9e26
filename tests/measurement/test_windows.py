"""Faults and phases as they were measured."""

from __future__ import annotations

from dataclasses import replace

from experiment.history import build
from experiment.rows import FaultEvent, PhaseEvent
from measurement.windows import fault_span, fault_windows, load_end, phase_spans
from tests.measurement.histories import HEADER, history, op, scenario


def event(fault: str, name: str, t: float) -> FaultEvent:
    return FaultEvent(fault, "latency", "a -> b", name, t, round(t), f"{name} at {t}")  # type: ignore[arg-type]


def test_each_activation_of_a_flapping_fault_is_a_window() -> None:
    """Two activations, the second of which was never seen to act nor to heal."""
    events = [
        *(
            event("f1.1", name, t)
            for name, t in (("inject", 5.02), ("active", 5.1), ("heal", 7.0), ("healed", 7.2))
        ),
        *(event("f1.2", name, t) for name, t in (("inject", 9.0), ("no_effect", 9.5), ("heal", 11.0))),
    ]
    first, second = fault_windows(build([HEADER, *events]))
    assert (first.start, first.end, first.observed, first.healed) == (5.02, 7.2, True, True)
    assert (first.planned_start, first.planned_end) == (5.0, 7.0)
    assert (second.start, second.end, second.observed, second.healed) == (9.0, 11.0, False, False)
    assert second.statement == "no_effect at 9.5"


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


def test_a_window_says_what_was_measured_at_its_end() -> None:
    """At its begin and at its end, in one sentence; what was not seen any more says so."""

    def effect(*later: FaultEvent) -> str:
        (window,) = fault_windows(build([HEADER, event("f1", "inject", 1.0), *seen, *later]))
        assert window.observed
        return window.effect

    seen = [replace(event("f1", "active", 1.1), statement="1 request refused")]
    still = replace(event("f1", "still_active", 4.9), statement="31 requests refused")
    gone = replace(event("f1", "faded", 4.9), statement="it is not switched on")
    assert effect() == "1 request refused"
    assert effect(still) == "1 request refused; at its end: 31 requests refused"
    assert effect(replace(still, statement="1 request refused")) == "1 request refused, at its end too"
    assert effect(gone) == "1 request refused; not seen any more at its end: it is not switched on"
