from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib.colors
import pytest

from experiment.history import PhaseEvent
from measurement.analysis import ExpectationResult
from reports import html, svg
from reports.objective_lines import objective_lines
from reports.plot_data import block, figures
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
    assert svg.INK in drawing or svg.MUTED in drawing
    assert "<metadata>" not in drawing


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_needs_no_style_of_its_page(name: str) -> None:
    """Servers of pipelines forbid inline styles: every colour, width and size is an attribute."""
    root = ElementTree.fromstring(PLOTS[name]())
    assert not [element for element in root.iter() if "style" in element.attrib]
    assert "<style" not in PLOTS[name]() and "var(" not in PLOTS[name]()
    sized = [element.attrib for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sized and all("font-size" in attributes for attributes in sized)


def test_the_page_gives_every_colour_of_a_plot_its_value_in_the_dark() -> None:
    """A drawing's colours are the light values of the style sheet's variables, one rule for each."""
    page = html.render_run(builder.resilient_pass())
    light = page.split("@media screen", 1)[0]
    for colour, variable in svg.VARIABLES.items():
        assert f"{variable}: {colour};" in light
        assert f'svg [fill="{colour}"] {{ fill: var({variable}); }}' in page
        assert f'svg [stroke="{colour}"] {{ stroke: var({variable}); }}' in page


def test_objectives_are_lines_over_their_phase() -> None:
    """Each bound of a latency stands in the plot of all journeys and in that of its own."""
    run = builder.fragile_fail()
    lines = objective_lines(run.analysis, run.phases)
    assert [(one.text, one.limit_s, one.start, one.end) for one in lines] == [
        ("pay p95 <= 2s", 2.0, 13.0, 28.0)
    ]
    drawn = run.analysis.timelines, run.analysis.faults, run.phases, lines
    assert texts(timelines(*drawn)).count("pay p95 <= 2s") == 1
    assert texts(journeys(*drawn)).count("p95 <= 2s") == 1


def test_an_objective_beside_the_baseline_stands_where_the_baseline_puts_it() -> None:
    """64 ms and a quarter more is 80 ms; a journey without a baseline has no line."""
    run = builder.fragile_fail()
    relative = ExpectationResult("fault", "pay", "p95", "<= baseline + 25%", 0.1, "not met")
    unknown = replace(relative, journey="nobody")
    odd = replace(relative, bound="as it was")
    judged = replace(run.analysis, expectations=(relative, unknown, odd))
    assert [one.limit_s for one in objective_lines(judged, run.phases)] == [pytest.approx(0.08)]


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


def test_a_line_of_quality_has_no_holes() -> None:
    """A second without operations of a journey says nothing of it: the line goes on to the next one."""
    line = builder.timeline("all", 20, 5, 0.0, 1)
    holed = replace(line, q=tuple(None if n % 2 else 1.0 for n in range(20)))
    whole = replace(line, q=(1.0,) * 20)
    drawn = [timelines((one,), (), ()) for one in (holed, whole)]
    assert drawn[0].count(" M ") == drawn[1].count(" M ")


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


def test_the_figures_of_the_script_are_those_of_the_drawing() -> None:
    """Rates as steps with an end, percentiles and quality at the middles, windows that touch as one."""
    run = builder.fragile_fail()
    windows = (builder.window(), builder.window(start=20.0, end=30.0), builder.window(start=None, end=None))
    found = figures(run.analysis.timelines, windows, run.phases, objective_lines(run.analysis, run.phases))
    assert found is not None
    rate, latency, errors, quality, *journeys_ = found["panels"]
    whole = run.analysis.timelines[0]
    assert (rate["t"][:2], rate["t"][-1], latency["t"][0]) == ([0.0, 1.0], 43.0, 0.5)
    assert rate["series"][0]["values"] == [*map(float, whole.offered), float(whole.offered[-1])]
    assert errors["series"][0]["values"][20] == float(whole.errors[20])
    assert [line["label"] for line in quality["series"]] == [*builder.JOURNEYS, "all"]
    assert [one["text"] for one in latency["objectives"]] == ["pay p95 <= 2s"]
    assert [len(one["objectives"]) for one in journeys_] == [int(name == "pay") for name in builder.JOURNEYS]
    assert found["windows"] == [[13.021, 30.0]]
    assert json.loads(block(found)) == found


def test_figures_end_no_script_and_hold_no_mark_of_a_page() -> None:
    """A name cannot close the block that it stands in."""
    text = block({"label": "</script><!-- & \x1b"})
    assert "<" not in text and ">" not in text and "&" not in text and "\x1b" not in text
    assert json.loads(text)["label"].startswith("</script><!-- &")
