"""Every page is examined by axe-core in a real browser, at three widths and in both schemes of colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comparison.formats import COMPARISON_FORMATS
from gate.formats import render_html as render_gate
from reports import html, sweep
from reports.beside import Side, render_beside
from tests.comparison.test_comparison import compared, runs
from tests.gate.test_formats import unsafe as unsafe_gate
from tests.reports import builder
from tests.reports.browser import CHROMIUM, Browser, browser
from tests.reports.hostile import suite_report, trend_report
from tests.reports.sweeps import fifty
from trend.formats import TREND_FORMATS

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
AXE = Path(__file__).parent.parent / "vendor" / "axe.min.js"
EXAMINE = """axe.run(document, {resultTypes: ['violations']}).then(found => found.violations
    .filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => one.id + ': ' + one.nodes[0].html.slice(0, 200)))"""
PAGES: dict[str, Callable[[], str]] = {
    "run": lambda: html.render_run(builder.fragile_fail()),
    "invalid run": lambda: html.render_run(builder.invalid()),
    "side by side": lambda: render_beside(
        [Side(builder.fragile_fail(), "a/report.html"), Side(builder.resilient_pass(), "b/report.html")]
    ),
    "live": html.render_live,
    "suite": lambda: html.render_suite(suite_report()),
    "trend": lambda: TREND_FORMATS["trend.html"](trend_report()),
    "sweep": lambda: sweep.render_html(fifty()),
    "gate": lambda: render_gate(unsafe_gate()),
    "comparison": lambda: COMPARISON_FORMATS["comparison.html"](compared(*runs("a", 80), *runs("b", 90))),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_finding(name: str, page: Browser, tmp_path: Path) -> None:
    """Contrast, names, order, and areas that scroll: whoever uses keys or a reader gets at everything."""
    file = tmp_path / "page.html"
    file.write_text(PAGES[name](), encoding="utf-8")
    axe = AXE.read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for width in (400, 800, 1400):
        for dark in (False, True):
            page.open(file.as_uri(), width, dark=dark)
            page.value(f"{axe};0")
            found[f"{width} px, {'dark' if dark else 'light'}"] = page.value(EXAMINE)
    assert {where: what for where, what in found.items() if what} == {}


def test_a_serious_finding_is_found(page: Browser, tmp_path: Path) -> None:
    """The examination above can fail: pale text on white is noticed."""
    file = tmp_path / "page.html"
    file.write_text("<html lang=en><title>x</title><p style='color:#ddd'>pale</p></html>", encoding="utf-8")
    page.open(file.as_uri())
    page.value(f"{AXE.read_text(encoding='utf-8')};0")
    assert any(one.startswith("color-contrast") for one in page.value(EXAMINE))


def test_keys_reach_every_area_that_scrolls(page: Browser, tmp_path: Path) -> None:
    """On a narrow screen each table and plot that is wider than the page takes the focus, and scrolls."""
    file = tmp_path / "page.html"
    file.write_text(html.render_run(builder.fragile_fail()), encoding="utf-8")
    page.open(file.as_uri(), 400)
    scrolling = """[...document.querySelectorAll("body *")]
        .filter(one => one.scrollWidth > one.clientWidth + 1
        && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX))"""
    assert page.value(f"{scrolling}.length") >= 3
    assert (
        page.value(f"{scrolling}.filter(one => one.tabIndex < 0).map(one => one.outerHTML.slice(0, 90))")
        == []
    )
