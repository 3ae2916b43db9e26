"""What a sweep says: the ranking, what each key changes, two keys in a map, a page of three screens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from execution.campaigns.sweeps import sweep_report
from experiment.tables import flat
from reports.sweep import figure_text, render_html, sweep_said
from reports.sweep_report import Spread
from simulation.sweep import frame
from tests.reports.browser import CHROMIUM, Browser, browser
from tests.reports.sweeps import KEYS, fifty, row

WINDOW = (1280, 800)


def pair(first: tuple[float | None, ...], second: tuple[float | None, ...]) -> pl.DataFrame:
    """Two values of one key with these scores, seed by seed; a missing one is of an invalid run."""
    made = []
    for timeout, scores in (("1s", first), ("2s", second)):
        for seed, score in enumerate(scores, 1):
            verdict = "invalid" if score is None else "fail" if score == 0 else "pass"
            made.append(row(timeout, "1", "8/s", seed, score, verdict))
    return frame(made)


def test_vetoes_count_before_passes_and_passes_before_the_score() -> None:
    """Variants that came out alike share a place, and the next one has the place that it would have had."""
    report = fifty()
    assert (len(report.variants), report.outcomes.runs, report.outcomes.vetoed) == (50, 250, 15)
    assert [one.place for one in report.variants[:7]] == [1, 1, 1, 1, 1, 6, 6]
    assert [one.outcomes.vetoed for one in report.variants[-5:]] == [3] * 5
    assert all(one.outcomes.vetoed == 0 for one in report.variants[:-5])
    shares = [one.outcomes.share_passed for one in report.variants[:-5]]
    assert shares == sorted(shares, reverse=True)
    high, many = pair((99.0, 99.0, 70.0), (80.0, 80.0, 80.0)), "fail"
    spoilt = high.with_columns(
        pl.when(pl.col("score") == 70).then(pl.lit(many)).otherwise("verdict").alias("verdict")
    )
    assert [one.values[KEYS[0]] for one in sweep_report(spoilt, KEYS, "", "").variants] == ["2s", "1s"]


def test_what_a_key_changes_is_taken_between_runs_that_are_alike_in_all_else() -> None:
    """A step of the timeout costs six points whatever the rate; the key that changes most comes first."""
    report = fifty()
    assert [key.name for key in report.keys] == ["*.retry.attempts", "front -> back.timeout", "load.rate"]
    rate = report.keys[2].values[1]
    assert rate.against is not None and rate.outcomes.vetoed == 15
    calm = report.keys[0].values[1]
    assert calm.against is not None and (calm.against.mean, calm.against.low) == (0.0, None)
    odd = sweep_report(pair((90.0, None, 80.0), (85.0, 99.0, 79.0)), KEYS, "", "").keys[0].values[1]
    assert odd.against is not None and (odd.against.mean, odd.against.runs) == (-3.0, 2)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((90.0, 91.0, 92.0), (80.0, 82.0, 81.0), "comes first, and 3 seeds tell it from every other"),
        ((90.0, 91.0, 92.0), (91.0, 90.0, 91.5), "3 seeds tell no variant from the first"),
        ((90.0,), (80.0,), "comes first with one seed, which says nothing about others"),
    ],
)
def test_a_ranking_says_whether_the_seeds_tell_the_first_from_the_next(
    first: tuple[float, ...], second: tuple[float, ...], said: str
) -> None:
    """An order of means alone would be taken for a difference."""
    assert said in flat(sweep_said(sweep_report(pair(first, second), KEYS, "", "")))[5]


def test_the_terminal_has_verdicts_the_ranking_and_each_key() -> None:
    """Fifty variants are fifty rows, no interval ends where no value can lie, and nobody's hundred points
    stand for a run that has none."""
    lines = flat(sweep_said(fifty()))
    assert lines[1] == "verdicts: 116 fail (15 vetoed), 134 pass"
    assert len(lines) == 2 + 51 + 1 + 6 + 6 + 3
    assert lines[3].split()[:6] == ["1", "100ms", "1", "8/s", "5", "pass"]
    assert figure_text("score", Spread(99.0, 94.0, 104.0, 2), 2) == "99 (94 to 100)"
    assert figure_text("score", Spread(99.0, 94.0, 104.0, 2), 3) == "99 (94 to 100), 2 of 3 runs"
    assert figure_text("recovery_s", None, 3) == "–"
    nobody = sweep_report(pair((None, None), (90.0, 91.0)), KEYS, "", "")
    assert nobody.variants[1].behind is None and str(nobody.variants[1].outcomes) == "2 invalid"
    assert "–" in flat(sweep_said(nobody))[4]


def test_the_two_keys_that_change_most_are_a_map() -> None:
    """A field has the mean and the worst verdict of its runs; the key with more values lies across."""
    shown = fifty().map
    assert shown is not None and (shown.rows, shown.columns) == ("*.retry.attempts", "front -> back.timeout")
    assert shown.over == ("load.rate",)
    cell = next(cell for cell in shown.cells if (cell.row, cell.column) == ("5", "100ms"))
    assert (cell.outcomes.worst, cell.outcomes.vetoed, cell.outcomes.runs) == ("fail", 3, 10)
    assert sweep_report(pair((90.0,), (80.0,)), KEYS, "", "").map is None


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def test_fifty_variants_fit_on_three_screens(page: Browser, tmp_path: Path) -> None:
    """The ranking scrolls in its own area, in print every row is there; keys reach what scrolls, and texts of
    others stay texts."""
    file = tmp_path / "page.html"
    file.write_text(render_html(fifty()), encoding="utf-8")
    for dark in (False, True):
        page.open(file.as_uri(), WINDOW[0], dark=dark)
        assert page.value("document.documentElement.scrollHeight") <= 3 * WINDOW[1]
    assert page.value("document.querySelectorAll('.tall tbody tr').length") == 50
    assert page.value("[...document.querySelectorAll('.tall, .middle')].every(one => one.tabIndex === 0)")
    assert page.value("document.querySelectorAll('svg.plot').length") == 1
    assert page.value("document.querySelectorAll('li b').length") == 0
    page.open(file.as_uri(), WINDOW[0], media="print")
    whole = "(one => one.scrollHeight <= one.clientHeight + 1)(document.querySelector('.tall'))"
    assert page.value(whole)
    assert page.said == []
