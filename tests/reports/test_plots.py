from __future__ import annotations

from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib.colors
import pytest

from experiment.history import PhaseEvent
from reports import svg
from reports.plots import RAMPS, board, ink_on, shade
from reports.plots_over_runs import (
    Cell,
    Interval,
    Point,
    heat_map,
    interval_plot,
    pareto,
    pareto_front,
    trend,
    wide_enough,
)
from reports.timeline_plots import journeys, timelines
from tests.reports import builder

CELLS = {("s1", "fragile"): Cell(0.0, "0 veto", True), ("s1", "resilient"): Cell(93.0, "93")}
POINTS = [Point("fragile", 1.0, 20.0), Point("resilient", 2.0, 90.0, 85.0, 94.0), Point("gold", 3.0, 88.0)]
PLOTS = {
    "timelines": lambda: timelines(builder.timelines(), (builder.window(),), builder.phases()),
    "journeys": lambda: journeys(builder.timelines(), (builder.window(),), builder.phases()),
    "heat_map": lambda: heat_map(["s1", "s2"], ["fragile", "resilient"], CELLS),
    "pareto": lambda: pareto(POINTS, "calls per visit"),
    "trend": lambda: trend({"score": [90.0, None, 70.0]}, ["a", "b", "c"], "points", changes=[2]),
    "interval_plot": lambda: interval_plot([Interval("s1", -2.0, -4.0, 0.5)], "points", margin=3.0),
}


def texts(drawing: str) -> list[str]:
    root = ElementTree.fromstring(drawing)
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_well_formed_deterministic_and_has_a_text_of_its_own(name: str) -> None:
    """The same figures give the same text; ids are the plot's own; colours follow the page."""
    drawing = PLOTS[name]()
    assert drawing == PLOTS[name]()
    root = ElementTree.fromstring(drawing)
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 20
    ids = Counter(element.attrib["id"] for element in root.iter() if "id" in element.attrib)
    assert all(count == 1 for count in ids.values())
    assert "var(--ink, #1c2430)" in drawing or "var(--muted, #5b6675)" in drawing
    assert "#0102" not in drawing
    assert "#0103" not in drawing
    assert "<metadata>" not in drawing


def test_the_alternative_text_names_the_faults_as_measured() -> None:
    """Who cannot see the shading reads it."""
    drawing = timelines(builder.timelines(), (builder.window(),), builder.phases())
    assert "lost_response on billing -&gt; payments from 13.0 s to 28.0 s" in drawing


def test_a_fault_that_never_healed_is_shaded_to_the_end() -> None:
    """An open window is drawn up to the end of what was measured."""
    open_window = builder.window(end=None, healed=False)
    drawing = timelines(builder.timelines(), (open_window,), builder.phases())
    assert "from 13.0 s, never healed" in drawing
    closed = builder.window(end=float(len(builder.timelines()[0].offered)))
    shaded = timelines(builder.timelines(), (closed,), builder.phases())
    assert drawing.split(">", 1)[1] == shaded.split(">", 1)[1]


def test_a_flapping_fault_is_told_by_its_first_windows() -> None:
    """A text alternative of hundreds of windows would help nobody."""
    flaps = tuple(builder.window(start=13.0 + n / 10, end=13.05 + n / 10) for n in range(100))
    drawing = timelines(builder.timelines(), flaps, builder.phases())
    assert drawing.count("lost_response") == 5
    assert "; and 95 more." in drawing


def test_a_fault_that_never_began_is_not_shaded() -> None:
    """Only measured windows are drawn."""
    planned_only = builder.window(start=None, end=None, observed=False)
    assert "none was active" in timelines(builder.timelines(), (planned_only,), builder.phases())


def test_nothing_measured_is_no_plot() -> None:
    """No figure is drawn from nothing."""
    assert timelines((), (), ()) == ""
    assert journeys((), (), ()) == ""
    assert heat_map([], [], {}) == ""
    assert pareto([], "calls") == ""
    assert trend({}, [], "s") == ""
    assert interval_plot([], "points") == ""


def test_an_hour_stays_small_and_says_what_a_point_covers() -> None:
    """3,600 buckets are thinned to 600 points."""
    drawing = timelines(builder.timelines(0.4, 3600), (builder.window(),), builder.phases())
    assert "Each point covers 6 s" in drawing
    assert len(drawing) < 500_000


def test_empty_seconds_are_gaps() -> None:
    """A journey that saw nothing is drawn without a figure, and does not fail."""
    line = builder.timeline("all", 20, 5, 0.0, 1)
    empty = (None,) * 20
    silent = replace(
        line, offered=(0,) * 20, good=(0,) * 20, errors=(0,) * 20, p50=empty, p95=empty, p99=empty, q=empty
    )
    assert "Rate, latency" in timelines((silent,), (), (PhaseEvent("baseline", 0.0, 20.0),))


def test_names_from_outside_are_text_in_a_plot() -> None:
    """Dollar signs are no formula, angle brackets no element, control characters are replaced."""
    name = "<b>$x^2$ & \x1b[31m"
    assert "<b>$x^2$ & \ufffd[31m" in texts(heat_map([name], ["d"], {}))


def test_phases_and_journeys_are_named() -> None:
    """Direct labels, so that colour alone never tells."""
    words = texts(PLOTS["timelines"]())
    for expected in ("fault", "recovery", "offered", "good", "p95", "pay", "check_in", "errors"):
        assert expected in words


def test_a_vetoed_design_is_never_on_the_front() -> None:
    """The front holds what no other design beats in both cost and score."""
    assert [p.label for p in pareto_front(POINTS)] == ["fragile", "resilient"]
    vetoed = [replace(POINTS[0], vetoed=True), *POINTS[1:]]
    assert [p.label for p in pareto_front(vetoed)] == ["resilient"]
    assert "fragile (vetoed)" in texts(pareto(vetoed, "calls"))


def test_of_two_equal_designs_one_is_on_the_front() -> None:
    """A tie is no second point."""
    assert len(pareto_front([Point("a", 1.0, 50.0), Point("b", 1.0, 50.0)])) == 1


def test_a_drawing_that_fails_leaves_the_next_one_as_it_was() -> None:
    """Style settings do not leak out of an interrupted drawing."""
    before = PLOTS["pareto"]()
    with pytest.raises(RuntimeError, match="broken"), board(2.0, "x", "x"):
        raise RuntimeError("broken")
    assert PLOTS["pareto"]() == before


def test_text_that_is_no_drawing_is_refused() -> None:
    """The door between the plotting library and the pages checks what passes."""
    with pytest.raises(ValueError, match="expected SVG"):
        svg.inline("<html></html>", "x", "x")


def test_colours_say_the_verdict_first() -> None:
    """What failed with 91 is nearer to what failed with 10 than to what passed with 69; texts are readable
    on every colour."""

    def apart(one: str, other: str) -> float:
        pairs = zip(matplotlib.colors.to_rgb(one), matplotlib.colors.to_rgb(other), strict=True)
        return sum((a - b) ** 2 for a, b in pairs)

    for passed in (0.0, 0.3, 0.69, 1.0):
        for failed in (0.0, 0.5, 0.91):
            assert apart(shade(failed, "fail"), shade(passed, "pass")) > 0.1
    assert shade(0.9, "fail") != shade(0.9, "pass")
    assert {ink_on(shade(share / 10, verdict)) for share in range(11) for verdict in RAMPS} == {
        "#fefefe",
        "#111111",
    }


@pytest.mark.parametrize("values", [[100.0, 100.07], [5.0], [0.0, 0.0], [1.0, 3.0]])
def test_an_axis_is_not_narrower_than_a_tenth(values: list[float]) -> None:
    """A difference of 0.07% does not fill the plot."""
    low, high = wide_enough(values, 0.1)
    assert low <= min(values) <= max(values) <= high
    assert high - low >= 0.1 * max(values)
