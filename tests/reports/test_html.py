from __future__ import annotations

import hashlib
import html as marks
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest

from experiment.verdict import Verdict
from reports import html
from reports.report import FourNumbers, RunReport, SuiteEntry, SuiteReport, summarise
from reports.traces import LogLine
from tests.reports import builder

RUNS = [
    builder.resilient_pass, builder.fragile_fail, builder.invalid, builder.inconclusive,
    builder.interrupted, builder.simulated, builder.hostile,
]  # fmt: skip
PAGE_TAGS = {
    *(
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "body",
        "header",
        "main",
        "nav",
        "section",
        "div",
        "p",
    ),
    *("h1", "h2", "h3", "span", "b", "i", "a", "small", "ul", "li", "details", "summary", "pre", "br"),
    "script",
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
}
DRAWING_TAGS = {
    "svg",
    "g",
    "path",
    "defs",
    "use",
    "text",
    "tspan",
    "clippath",
    "rect",
    "pattern",
    "line",
    "circle",
}


@cache
def drawn(build: Callable[[], RunReport]) -> str:
    """The page of a run, made once for all tests."""
    return html.render_run(build())


class Page(HTMLParser):
    """Collects tags, attributes and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self._last = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

        self._last = tag

    def handle_data(self, data: str) -> None:
        if self._last != "script":
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._last = ""

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


@pytest.mark.parametrize("build", RUNS, ids=lambda build: build.__name__)
def test_a_page_holds_only_plain_elements_and_needs_nothing_from_elsewhere(
    build: Callable[[], RunReport],
) -> None:
    """Whatever the run holds: no script but our own, no handler, no address but fragments of the page."""
    page = Page(drawn(build))
    assert set(page.tags) <= PAGE_TAGS | DRAWING_TAGS
    assert [name for _, name, _ in page.attributes if name.startswith("on")] == []
    addresses = page.values("href") + page.values("src") + page.values("xlink:href")
    assert [address for address in addresses if not address.startswith(("#", "data:,"))] == []
    policy = next(value for value in page.values("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'")
    scripts = re.findall(r"<script>(.*?)</script>", drawn(build), re.DOTALL)
    allowed = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert re.findall(r"'sha256-([^']*)'", policy) == allowed
    assert page.tags["script"] in (0, 2) and len(scripts) in (0, 1)


@pytest.mark.parametrize("build", RUNS, ids=lambda build: build.__name__)
def test_ids_are_unique_and_every_fragment_leads_somewhere(build: Callable[[], RunReport]) -> None:
    """Two drawings in one page do not share ids, and the section links work."""
    page = Page(drawn(build))
    ids = Counter(page.values("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    fragments = {
        value[1:] for value in page.values("href") + page.values("xlink:href") if value.startswith("#")
    }
    assert fragments <= set(ids)


def test_the_same_report_gives_the_same_page() -> None:
    """Nothing in a page depends on the clock or on chance."""
    assert html.render_run(builder.fragile_fail()) == drawn(builder.fragile_fail)


def test_hostile_text_is_shown_and_does_nothing() -> None:
    """Names and errors of services are text: they appear as written, without control characters."""
    page = Page(drawn(builder.hostile))
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    assert page.tags["script"] == 2  # our own: figures, and what draws them


def test_the_first_screen_says_verdict_why_score_validity_source_and_windows() -> None:
    """Before the first section heading stands everything that a hurried reader needs."""
    page = Page(drawn(builder.fragile_fail)).text
    first = Page(drawn(builder.fragile_fail).split("<main>")[0]).text
    assert page.count("0 (vetoed: 3 duplicate charges; would have been 91)") == 1
    for expected in (
        "FAIL", "safety veto", "3 duplicate charges on 214 invoices",
        "0, vetoed; would have been 91", "all 5 conditions met",
        "live run, local processes", "not within 10 s", "13.021 s", "28.034 s",
    ):  # fmt: skip
        assert expected in first


def test_a_simulated_run_calls_itself_a_prediction() -> None:
    """A simulated pass is never shown as evidence, and its calibration stands beside it."""
    first = Page(drawn(builder.simulated).split("<main>")[0]).text
    assert "a prediction, not evidence" in first
    assert "p95 within 8%" in first


def test_a_simulated_run_without_calibration_says_that_the_distance_is_unknown() -> None:
    """No calibration is said, not passed over."""
    run = builder.simulated()
    first = html.render_run(replace(run, header=replace(run.header, calibration="")))
    assert "the distance to a live run is unknown" in first


def test_a_violation_shows_both_charges_with_ids_and_times() -> None:
    """The evidence is the rows themselves."""
    text = Page(drawn(builder.fragile_fail)).text
    for expected in ("ch-0002", "ch-0003", "15.200 s", "15.900 s", "30.50"):
        assert expected in text


def test_an_invalid_run_has_no_score_and_names_the_broken_condition() -> None:
    """Nothing may be claimed from it."""
    first = Page(drawn(builder.invalid).split("<main>")[0]).text
    assert "no score" in first
    assert "1 of 5 conditions not met" in first
    assert "not observed" in first


def test_an_interrupted_run_still_renders_with_an_open_fault_window() -> None:
    """A crash leaves a page that shows how far it came."""
    text = Page(drawn(builder.interrupted)).text
    assert "the run was interrupted at 17.2 s" in text
    assert "cut off" in text


def suite(*entries: SuiteEntry, numbers: tuple[FourNumbers, ...] = ()) -> SuiteReport:
    return SuiteReport(
        "smoke", "2026-11-20T09:30:00+00:00", "codeblue suite smoke", entries, "Smoke", numbers
    )


def entry(run: RunReport, expected: Verdict = Verdict.PASS, link: str = "run/report.html") -> SuiteEntry:
    return SuiteEntry(run.facts.scenario.name, run.facts.design.name, expected, summarise(run), 1.0, link)


def test_what_went_wrong_and_what_was_asked_for_stand_first() -> None:
    """Then the rest; what nobody asked for and nothing exercised is folded away."""
    run = builder.fragile_fail()
    unasked = builder.passed("another_property")
    silent = replace(builder.passed("silent_property"), exposed=0, judged=False)
    asked = replace(run.facts.scenario, invariants=("bounded_waiting", "no_duplicate_charge"))
    judged = replace(run.analysis, checks=(silent, unasked, *run.analysis.checks))
    page = html.render_run(replace(run, facts=replace(run.facts, scenario=asked), analysis=judged))
    shown, folded = (
        page.split('id="properties"')[1].split('id="score"')[0].split("1 property was not exercised")
    )
    order = [
        shown.index(f"</span> {name} <")
        for name in ("no_duplicate_charge", "bounded_waiting", "another_property")
    ]
    assert order == sorted(order)
    assert "silent_property" in folded and "silent_property" not in shown


def test_a_page_uses_no_inline_style() -> None:
    """Servers of pipelines forbid them: bars and meters are drawings."""
    for build in RUNS:
        assert Page(drawn(build)).values("style") == []


def test_a_suite_page_links_every_run_and_shows_what_was_expected() -> None:
    """The table leads to the runs' own pages; a verdict that was not expected stands out."""
    made = suite(
        entry(builder.resilient_pass(), link="a/report.html"),
        entry(builder.fragile_fail(), link="b/report.html"),
    )
    page = Page(html.render_suite(made))
    assert {"a/report.html", "b/report.html"} <= set(page.values("href"))
    assert "expected pass" in page.text
    assert "1 of 2 runs came out as expected" in page.text


def test_a_suite_page_says_the_score_in_short_beside_the_reason() -> None:
    """The violations stand in the column of reasons; the whole sentence shows on pointing at the score."""
    page = html.render_suite(suite(entry(builder.fragile_fail(), link="b/report.html")))
    assert ">0, vetoed; would have been 91</td>" in page
    assert 'title="0 (vetoed: 3 duplicate charges; would have been 91)"' in page


def test_the_four_numbers_stand_in_the_suite_page() -> None:
    """Mean, worst, coverage and vetoes are four columns, and an unknown mean is a dash."""
    numbers = (FourNumbers("fragile", None, 12.4, "payer_blackhole", 8, 54, 3),)
    text = Page(html.render_suite(suite(entry(builder.resilient_pass()), numbers=numbers))).text
    for expected in ("weighted mean", "12 (payer_blackhole)", "8 of 54", "–", "vetoes"):
        assert expected in text


def test_a_suite_page_with_hostile_names_stays_a_page() -> None:
    """Scenario, design and headline of a run are untrusted there too."""
    page = Page(html.render_suite(suite(entry(builder.hostile(), link="x/report.html"))))
    assert set(page.tags) <= PAGE_TAGS | DRAWING_TAGS
    assert "<script>alert(1)</script>" in page.text


def test_a_suite_of_nothing_is_a_page_too() -> None:
    """No entries: inconclusive, and no drawing."""
    page = Page(html.render_suite(suite()))
    assert "INCONCLUSIVE" in page.text
    assert page.tags["svg"] == 0


def test_repeats_that_came_out_alike_are_counted_in_their_field() -> None:
    """Ten repeats are no ten badges; the run that differs stands first."""
    good, bad = entry(builder.resilient_pass()), replace(entry(builder.invalid()), design="resilient")
    text = Page(html.render_suite(suite(good, good, bad, good))).text
    table = text.split("Runs")[0]
    assert table.index("invalid expected pass") < table.index("3 × ✓ pass")


def test_a_violation_leads_to_its_trace_and_what_services_logged_of_it() -> None:
    """Evidence, the operation behind it, and the lines of the logs stand together."""
    run = builder.fragile_fail()
    line = LogLine(15.5, "billing", "warning", "call failed", "link billing -> payments, why timeout")
    first = replace(run.traces[0], lines=(line,))
    page = Page(html.render_run(replace(run, traces=(first, *run.traces[1:]))))
    assert "#trace-1" in page.values("href")
    assert "1 line of the services' logs" in page.text
    assert "call failed link billing -> payments, why timeout" in page.text


def test_what_happened_to_a_key_stands_with_its_violation() -> None:
    """A chart, the traces of its operations, what services logged, and what is left out."""
    run = builder.fragile_fail()
    line = LogLine(15.5, "billing", "warning", "answer lost", "attempt 1")
    (happened,) = run.sequences
    made = html.render_run(
        replace(run, sequences=(replace(happened, key="inv-3fa2c1-000001", lines=(line,)),))
    )
    section = made.split('id="properties"')[1].split('id="score"')[0]
    assert "What happened to inv-3fa2c1-000001: user claim 503 at 15.000 s" in section
    assert "1 more step is not shown" in section and "final_read paid at 48.000 s" in section
    assert 'Traces: <a href="#trace-1">1</a>' in section
    assert "1 line of the services' logs around it" in marks.unescape(section) and "answer lost" in section


def test_a_violation_without_a_trace_leads_nowhere() -> None:
    """No span was kept of it."""
    page = Page(html.render_run(replace(builder.fragile_fail(), traces=())))
    assert not [target for target in page.values("href") if target.startswith("#trace-")]


def test_what_was_answered_and_wrong_can_be_told_from_what_failed() -> None:
    """The table of phases shows answers beside good ones: what a property found wrong was answered."""
    found = builder.report(
        replace(
            builder.analysis(),
            journeys=(replace(builder.journey_phase("pay", "fault", 78, 63), acknowledged=77),),
        )
    )
    row = html.render_run(found).partition('id="phases"')[2].partition("<tbody>")[2].partition("</tr>")[0]
    assert re.findall(r'<td class="n">(\d+)</td>', row)[:3] == ["78", "77", "63"]
