"""The table of a scan, the worst place first."""

from __future__ import annotations

import json

import jsonschema

from experiment.verdict import Verdict
from reports.scan import Cell, ScanReport, render_html, render_json, render_markdown, scan_lines, scan_schema

CELLS = (
    Cell("a -> b", "latency", Verdict.PASS, score=99.6, headline="all is well", link="../r1/report.html"),
    Cell("a -> b", "blackhole", Verdict.FAIL, score=40.2, headline="look success in fault 12%"),
    Cell("b -> c", "latency", Verdict.FAIL, vetoed=True, score=0.0, headline="3 orders twice"),
    Cell("b -> c", "blackhole", Verdict.INVALID, headline="b -> c carried nothing in the baseline"),
    Cell("b -> c", "lost_response", impossible="<b>no endpoint</b>"),
    Cell("b", "crash"),
)
REPORT = ScanReport("shop", "as_it_is", "processes", "2027-01-01T00:00:00+00:00", "codeblue scan shop", CELLS)


def test_the_worst_place_and_the_worst_reason_come_first() -> None:
    """A veto before a failure, what is not known before what passed, and what was not played at last."""
    assert REPORT.targets == ["b -> c", "a -> b", "b"]
    assert scan_lines(REPORT) == [
        "place   latency      blackhole  lost_response  crash",
        "b -> c  FAIL (veto)  INVALID    not possible   –",
        "a -> b  PASS 100     FAIL 40    –              –",
        "b       –            –          –              not run",
        "FAIL (veto): latency on b -> c: 3 orders twice",
        "FAIL: blackhole on a -> b: look success in fault 12%",
        "INVALID: blackhole on b -> c: b -> c carried nothing in the baseline",
        "not run: crash on b: interrupted",
        "not possible: lost_response on b -> c: <b>no endpoint</b>",
        "6 places: 1 FAIL (veto), 1 FAIL, 1 INVALID, 1 PASS, 1 not run, 1 not possible",
    ]


def test_every_format_says_the_same() -> None:
    """Texts of others stay texts; the JSON has the published form."""
    page, words = render_html(REPORT), render_markdown(REPORT)
    assert '<a href="../r1/report.html">' in page
    assert "<b>no endpoint</b>" not in page + words
    assert page.index("b -&gt; c") < page.index("a -&gt; b")
    assert "| b -&gt; c | FAIL (veto) | INVALID | not possible | – |" in words
    document = json.loads(render_json(REPORT))
    jsonschema.validate(document, scan_schema())
    assert document["report"]["cells"][2]["vetoed"] is True
