from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reports import html
from reports.report import RunReport
from tests.reports import builder
from tests.reports.browser import ALONE, CHROMIUM, Browser, browser
from tests.reports.hostile import TOGETHER, documents

PAGES = ("run report.html", "suite suite.html", "trend trend.html", "comparison comparison.html")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
FLAGS = (
    *ALONE,
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
    page = documents(TOGETHER["all others"])[kind]
    seen = visit(page, tmp_path)
    assert seen.console == []
    assert seen.requests == []
    assert "&lt;script&gt;" in seen.dom
    own = page.count('<script type="application/json" class="figures">') + page.count("<script>/*")
    assert seen.dom.count("<script") == own


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


def _again(act: Callable[[], None], met: Callable[[], bool]) -> None:
    """On a busy machine a page may still move while it is touched: a person tries again."""
    for _ in range(20):
        act()
        for _ in range(10):
            if met():
                return
            time.sleep(0.1)
    pytest.fail("the page did not answer")


def _area(seen: Browser) -> tuple[float, float, float]:
    """Left, width and middle height of the first plot."""
    x, y, width, height = seen.value(
        "(() => { const area = document.querySelector('.u-over'); area.scrollIntoView({block: 'center'});"
        " const {x, y, width, height} = area.getBoundingClientRect(); return [x, y, width, height]; })()"
    )
    return x, width, y + height / 2


def _point(seen: Browser, share: float) -> None:
    left, width, middle = _area(seen)
    for step in (0.01, 0.0):
        seen.mouse("mouseMoved", left + width * (share + step), middle)


def _brush(seen: Browser, begin: float, end: float) -> None:
    seen.value("document.querySelector('.scripted > button').click()")  # what a try before has zoomed
    left, width, middle = _area(seen)
    seen.mouse("mouseMoved", left + width * begin, middle)
    seen.mouse("mousePressed", left + width * begin, middle)
    for share in ((begin + end) / 2, end):
        seen.mouse("mouseMoved", left + width * share, middle, held=True)
    seen.mouse("mouseReleased", left + width * end, middle)


def test_a_reader_points_zooms_and_chooses(tmp_path: Path) -> None:
    """Pointing shows the figures of that second in every plot, brushing zooms all plots together, a button
    shows the whole run again, and keys hide a line."""
    file = tmp_path / "page.html"
    file.write_text(html.render_run(builder.fragile_fail()), encoding="utf-8")
    with browser(tmp_path) as seen:
        seen.open(file.as_uri())
        seen.until("document.querySelectorAll('.plots .u-over').length >= 4")
        assert seen.value("getComputedStyle(document.querySelector('svg.plot')).display") == "none"
        legends = "[...document.querySelectorAll('.u-legend')].map(one => one.textContent.trim())"
        shown = f"{legends}.every(text => /^at[0-9.]+ s/.test(text))"
        zoomed = "codeBlue.shown.map(plot => Math.round(plot.scales.x.max - plot.scales.x.min))"
        _again(lambda: _point(seen, 0.5), lambda: bool(seen.value(shown)))
        _again(
            lambda: _brush(seen, 0.2, 0.4),
            lambda: bool(seen.value(f"new Set({zoomed}).size === 1 && {zoomed}[0] < 12 && {zoomed}[0] >= 7")),
        )
        seen.value("document.querySelector('.scripted > button').click()")
        assert seen.until(f"{zoomed}[0] === 43 && {zoomed}.every(one => one === 43)")
        seen.value("document.querySelector('.u-label[role=button]').focus()")
        seen.press(" ", 32)
        assert seen.until("codeBlue.shown[0].series[1].show === false")
        seen.until("document.activeElement.getAttribute('aria-pressed') === 'false'")
        seen.open(file.as_uri(), media="print")
        assert seen.value("getComputedStyle(document.querySelector('.plots')).display") == "none"
        assert seen.value("getComputedStyle(document.querySelector('svg.plot')).display") == "block"
        assert seen.said == []


class _Strict(BaseHTTPRequestHandler):
    """Serves one page as servers of pipelines serve artefacts."""

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header(
            "Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"
        )
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at the browser."""


def test_a_page_reads_where_a_server_forbids_its_styles(tmp_path: Path) -> None:
    """Every shape of every plot has the colour that it has in print, and no text hides behind another shape:
    nothing is filled black for want of a style."""
    page = html.render_run(builder.fragile_fail())
    handler = type("Page", (_Strict,), {"page": page.encode()})
    black = """[...document.querySelectorAll('svg path, svg rect, svg use')].filter(
        one => !one.closest('defs') && getComputedStyle(one).fill === 'rgb(0, 0, 0)').length"""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, browser(tmp_path) as seen:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        seen.open(f"http://127.0.0.1:{server.server_port}/")
        assert seen.value("getComputedStyle(document.body).maxWidth") == "none"  # the styles are forbidden
        assert seen.value(black) == 0
        assert seen.value("document.querySelectorAll('svg.plot').length") >= 2
        server.shutdown()
