"""The renderers of a run and of a suite: one per format, each a pure function from a report value to text."""

from __future__ import annotations

from collections.abc import Callable

from reports import console, html, json_report, junit, markdown
from reports.report import RunReport, SuiteReport

# File name to renderer: the whole list of formats. A new format is one module and one line in each.
RUN_FORMATS: dict[str, Callable[[RunReport], str]] = {
    "report.html": html.render_run,
    "report.md": markdown.render_run,
    "report.json": json_report.render_run,
    "junit.xml": junit.render_run,
    "report.txt": console.render_run,
}
SUITE_FORMATS: dict[str, Callable[[SuiteReport], str]] = {
    "suite.html": html.render_suite,
    "suite.md": markdown.render_suite,
    "suite.json": json_report.render_suite,
    "junit.xml": junit.render_suite,
    "suite.txt": console.render_suite,
}
