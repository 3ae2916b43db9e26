from __future__ import annotations

from dataclasses import replace

from experiment.history import Sample, build
from measurement.localisation import Localisation, Suspect
from reports.system_map import MapLink, drawing, layers, system_map
from tests.reports import builder

PAIRS = [("front", "billing"), ("billing", "payments"), ("billing", "payer"), ("payments", "store")]


def counted(t: float, attempts: float, errors: float, callee: str = "payments") -> list[Sample]:
    return [
        Sample(t, "billing", "attempts", attempts, callee),
        Sample(t, "billing", "errors", errors, callee),
    ]


def test_links_are_faulted_suffer_and_are_suspected() -> None:
    """What was injected, what the callers counted, and what telemetry alone says, each for itself."""
    rows = [*counted(3.0, 0, 0), *counted(13.0, 100, 1), *counted(28.0, 200, 41)]
    rows += [*counted(3.0, 0, 0, "payer"), *counted(13.0, 90, 1, "payer"), *counted(28.0, 180, 2, "payer")]
    suspect = Suspect("billing -> payer", 0.5, 1.0, 100, 50, 0.1)
    found = Localisation((suspect,), 14.0, 10, True, 4)
    run = builder.fragile_fail()
    history = build([run.header, *run.phases, *rows])
    seen = system_map(PAIRS, history, replace(run.analysis, localisation=found))
    by_name = {link.name: link for link in seen.links}
    payments, payer = by_name["billing -> payments"], by_name["billing -> payer"]
    assert (payments.faults, payments.failed, payments.suffered) == (("lost_response",), 0.4, True)
    assert (payer.faults, payer.suffered, payer.place) == ((), False, 1.0)
    assert by_name["payments -> store"].failed is None
    text = drawing(seen)
    assert "lost_response, 40% failed" in text and "suspect 1" in text
    assert "Faulted: lost_response on billing -&gt; payments. Suffered: billing -&gt; payments." in text


def test_nobody_is_suspected_without_an_alarm() -> None:
    """A ranking of links that nobody complained of would accuse at random."""
    run = builder.fragile_fail()
    quiet = Localisation((Suspect("billing -> payer", 0.5, 1.0, 9, 5, 0.1),), None, 10, True, 4)
    seen = system_map(PAIRS, build([run.header]), replace(run.analysis, localisation=quiet))
    assert [link.place for link in seen.links] == [None] * 4


def test_a_faulted_service_is_marked() -> None:
    """A crash acts on a service, not on a link."""
    run = builder.fragile_fail()
    crash = builder.window(kind="crash", target="payments")
    seen = system_map(PAIRS, build([run.header]), replace(run.analysis, faults=(crash,)))
    assert seen.faulted == {"payments": ("crash",)}
    assert "Faulted: crash on payments." in drawing(seen)


def test_callers_stand_left_of_what_they_call() -> None:
    """By the longest way; a circle is broken, and no service is lost."""
    links = [MapLink(*pair) for pair in PAIRS]
    assert layers(links) == [["front"], ["billing"], ["payments", "payer"], ["store"]]
    circle = [MapLink("a", "b"), MapLink("b", "c"), MapLink("c", "a"), MapLink("x", "x")]
    assert sorted(name for column in layers(circle) for name in column) == ["a", "b", "c", "x"]


def test_a_system_without_links_has_no_map() -> None:
    """There is nothing to draw."""
    run = builder.fragile_fail()
    assert drawing(system_map([], build([run.header]), run.analysis)) == ""
