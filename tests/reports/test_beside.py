from __future__ import annotations

import json
import re
from dataclasses import replace

from reports.beside import Side, render_beside
from reports.report import RunReport
from tests.reports import builder


def page(*runs: RunReport, switches: tuple[str, ...] = ()) -> str:
    return render_beside(
        [Side(run, f"{place}/report.html", switches if place else ()) for place, run in enumerate(runs)]
    )


def test_what_differs_stands_before_what_is_the_same() -> None:
    """The violated property and the missed objective first, what came out alike folded at the end."""
    text = page(builder.fragile_fail(), builder.resilient_pass(), switches=("billing: dedupe False -> True",))
    first, rest = text.split('id="time"')
    for expected in (
        "FAIL, safety veto",
        "PASS",
        "no_duplicate_charge",
        "pay success in fault",
        "not within 10 s",
    ):
        assert expected in first
    assert "1 switch differs between fragile and resilient" in first
    assert "billing: dedupe False -&gt; True" in first
    assert "sagas_terminal" not in first and "sagas_terminal" in rest
    assert 'href="0/report.html"' in first and 'href="1/report.html"' in first
    assert first.index("pay good share, fault") < first.index("1 switch differs")


def test_both_runs_stand_on_the_same_axes() -> None:
    """One panel a figure, one line a run, one scale; without a script one drawing."""
    text = page(builder.fragile_fail(), builder.resilient_pass())
    data = json.loads(re.search(r'class="figures">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]  # found
    quality = data["panels"][0]
    assert [line["label"] for line in quality["series"]] == ["fragile", "resilient"]
    assert {len(line["values"]) for panel in data["panels"] for line in panel["series"]} == {43}
    assert [panel["title"] for panel in data["panels"][:4]] == [
        "quality Q",
        "good operations/s",
        "p95",
        "errors/s",
    ]
    assert text.count('class="plot"') == 1


def test_a_run_that_was_cut_off_is_shown_as_far_as_it_came() -> None:
    """The other one goes on beside it, and the page warns of the invalid run."""
    text = page(builder.resilient_pass(), builder.interrupted())
    data = json.loads(re.search(r'class="figures">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]  # found
    _, cut = data["panels"][0]["series"]
    assert cut["values"][16] is not None and cut["values"][17:] == [None] * 26
    assert "An invalid run shows nothing" in text


def test_a_prediction_beside_a_measurement_is_called_so() -> None:
    """Other seeds, loads and kinds of runs are said before any difference."""
    live, twin = builder.resilient_pass(), builder.simulated()
    assert "a prediction beside a measurement" in page(live, twin)
    other = replace(live, header=replace(live.header, seed=2))
    assert "different seeds" in page(live, other) and "different seeds" not in page(live, live)


def test_runs_of_one_design_have_numbers() -> None:
    """Two runs of the same design are told apart."""
    text = page(builder.resilient_pass(), builder.resilient_pass())
    assert "resilient (1)" in text and "resilient (2)" in text
    assert "Every property and every objective came out alike." in text


def test_hostile_runs_beside_each_other_stay_text() -> None:
    """Names of designs and journeys are text in tables, drawings and figures."""
    text = page(builder.hostile(), builder.hostile())
    assert text.count("<script") == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "\x1b" not in text
