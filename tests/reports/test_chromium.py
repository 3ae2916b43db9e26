from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reports import html
from reports.report import RunReport
from tests.reports import builder
from tests.reports.hostile import TOGETHER, documents

PAGES = ("run report.html", "suite suite.html", "trend trend.html", "comparison comparison.html")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--dump-dom",
)


@dataclass(frozen=True)
class Visit:
    """What a browser did with a page: its console lines, and the addresses that the page itself asked for."""

    console: list[str]
    requests: list[str]
    dom: str


def visit(page: str, folder: Path) -> Visit:
    """Opens the page from disk. Requests of the browser itself have no page as their initiator."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    done, log = _opened(file, folder)
    recorded = _net_log(log.read_text(encoding="utf-8"))
    started = recorded["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    jobs = [event["params"] for event in recorded["events"] if event["type"] == started and "params" in event]
    asked = [job["url"] for job in jobs if job.get("initiator", "not an origin") != "not an origin"]
    return Visit([line for line in done.stderr.splitlines() if "CONSOLE" in line], asked, done.stdout)


def _opened(file: Path, folder: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A browser on a busy machine sometimes gives up on its first page; a fresh one then has another try."""
    said = ""
    for attempt in range(3):
        log = folder / f"net-{attempt}.json"
        profile = f"--user-data-dir={folder / f'profile-{attempt}'}"
        command = [str(CHROMIUM), *FLAGS, profile, f"--log-net-log={log}", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if "</html>" in done.stdout:
            return done, log
        said = done.stderr
    pytest.fail(f"the browser showed no page in three tries; it said: {said[-2000:]}")


def _net_log(text: str) -> dict[str, Any]:
    """A browser that is closed while it writes leaves its list open."""
    try:
        recorded: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        recorded = json.loads(text.rstrip().rstrip(",") + "]}")
    return recorded


@pytest.mark.parametrize("build", [builder.fragile_fail, builder.hostile], ids=lambda build: build.__name__)
def test_a_page_opens_from_disk_without_console_lines_or_requests(
    build: Callable[[], RunReport], tmp_path: Path
) -> None:
    """A real browser shows the page, complains of nothing and asks the network for nothing."""
    seen = visit(html.render_run(build()), tmp_path)
    assert seen.console == []
    assert seen.requests == []
    assert 'class="verdict fail"' in seen.dom


@pytest.mark.parametrize("kind", PAGES)
def test_no_text_of_others_runs_in_a_page(kind: str, tmp_path: Path) -> None:
    """Every field of a page tries to run, to load and to open a dialog: the browser sees text alone."""
    seen = visit(documents(TOGETHER["all others"])[kind], tmp_path)
    assert seen.console == []
    assert seen.requests == []
    assert "&lt;script&gt;" in seen.dom and "<script" not in seen.dom


def test_the_browser_does_report_a_page_that_misbehaves(tmp_path: Path) -> None:
    """The check above can fail: a page with a script and an image from elsewhere is noticed."""
    page = "<html><body><img src='http://198.51.100.1/x.png'><script>console.error('hello')</script></body></html>"
    seen = visit(page, tmp_path)
    assert any("hello" in line for line in seen.console)
    assert seen.requests == ["http://198.51.100.1/x.png"]


def test_a_drawing_is_laid_out_with_text_inside_its_frame(tmp_path: Path) -> None:
    """Every journey's name is found in the page as the browser built it."""
    seen = visit(html.render_run(builder.resilient_pass()), tmp_path)
    for journey in builder.JOURNEYS:
        assert f">{journey}</text>" in seen.dom
