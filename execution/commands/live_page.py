"""`--watch`: one page on the loopback address that shows a run while it goes on, and that can stop it.

Only who has the address, with its token, sees the page. A stop must come from the page itself: a request of
another origin, or one that was led here by another name, is refused.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from execution.commands.interrupts import Interruption
from execution.commands.live_figures import LiveFigures
from execution.commands.saying import tell
from execution.options import CONTAINERS, PROCESSES, SIMULATION, Options
from execution.runs.bench import RunResult
from execution.runs.live_run import Progress, Watcher
from experiment.errors import UsageError
from experiment.plan import Plan
from experiment.stop import Stop
from reports.html import live_policy, render_live
from reports.wording import headline

STOPPED = "stopped from the live page"
LAST_LOOK_S = 3.0  # how long a page that is open has time to see the end
SOCKET_S = 10.0


def refuse_unwatched(asked: bool, options: Options) -> None:
    """Raises UsageError for the twin, whose runs are over in a moment."""
    if asked and options.runtime == SIMULATION:
        raise UsageError(
            f"found --watch with the runtime {SIMULATION}, expected {PROCESSES} or {CONTAINERS}: the twin "
            "plays in virtual time, there is nothing to watch"
        )


class Unwatched:
    """Nobody asked for a page."""

    def watching(self, runs: Callable[[Plan], Watcher]) -> Callable[[Plan], Watcher]:
        """The watchers as they are."""
        return runs

    def finished(self, result: RunResult) -> None:
        """Nothing is shown."""


@contextmanager
def watched(asked: bool, interruption: Interruption) -> Iterator[LivePage | Unwatched]:
    """The live page, its address told, or nothing of the kind."""
    if not asked:
        yield Unwatched()
        return
    with live_page(interruption.stop) as (page, address):
        tell(f"watch the runs: {address}")
        yield page


class LivePage:
    """What the page shows, and whether somebody looks at it."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._figures: LiveFigures | None = None
        self._finished: list[dict[str, str]] = []
        self._ended = False
        self._looked = 0.0
        self._saw_end = threading.Event()

    def watching(self, runs: Callable[[Plan], Watcher]) -> Callable[[Plan], Watcher]:
        """What makes the watchers of runs, with the page as one more."""

        def begun(plan: Plan) -> Watcher:
            told, figures = runs(plan), LiveFigures(plan)
            with self._lock:
                self._figures = figures

            def watch(progress: Progress) -> None:
                told(progress)
                with self._lock:
                    figures.add(progress)

            return watch

        return begun

    def finished(self, result: RunResult) -> None:
        """A run has been judged."""
        verdict = "interrupted" if result.end and result.end.reason == "interrupted" else result.verdict.value
        run = f"{result.plan.scenario.name} on {result.plan.design.name}"
        with self._lock:
            self._finished.append({"run": run, "verdict": verdict, "why": headline(result.analysis)})

    def state(self) -> dict[str, object]:
        """Everything that the page shows now, as plain data."""
        with self._lock:
            self._looked = time.monotonic()
            if self._ended:
                self._saw_end.set()
            shown = self._figures.state() if self._figures else {}
            ending = "stopping" if self._stop.is_set() else "running"
            status = "ended" if self._ended else ending
            return {"status": status, "finished": list(self._finished), **shown}

    def stop(self) -> None:
        """End the run in order: its faults are healed at once."""
        self._stop.asked(STOPPED)

    def end(self) -> None:
        """The command ends: a page that is open gets a moment to see how."""
        with self._lock:
            self._ended = True
            looked = self._looked
        if time.monotonic() - looked < LAST_LOOK_S:
            self._saw_end.wait(LAST_LOOK_S)


@contextmanager
def live_page(stop: Stop) -> Iterator[tuple[LivePage, str]]:
    """The page and its address, for as long as the command plays."""
    page, token = LivePage(stop), secrets.token_urlsafe(24)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (Handler,), {"page": page, "token": token})
    )
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="live page")
    serving.start()
    try:
        yield page, f"http://127.0.0.1:{server.server_port}/{token}/"
        page.end()
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Three addresses below the token; everything else is not here."""

    page: LivePage
    token: str
    timeout = SOCKET_S
    server_version = "live"
    sys_version = ""

    def do_GET(self) -> None:
        if (what := self._asked()) is None:
            return
        if what == "":
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", render_live())
        elif what == "state":
            self._answer(HTTPStatus.OK, "application/json", json.dumps(self.page.state()))
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        if (what := self._asked()) is None:
            return
        if what != "stop":
            self._answer(HTTPStatus.NOT_FOUND)
        elif self.headers.get("Origin") != f"http://{self._own}":
            self._answer(HTTPStatus.FORBIDDEN)
        else:
            self.page.stop()
            self._answer(HTTPStatus.NO_CONTENT)

    @property
    def _own(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]  # of an HTTP server

    def _asked(self) -> str | None:
        """What of ours is asked for; None: it was refused. A name that leads here from elsewhere is no
        name of ours."""
        _, given, what = (*self.path.split("/", 2), "", "")[:3]
        if self.headers.get("Host") != self._own:
            self._answer(HTTPStatus.FORBIDDEN)
        elif not secrets.compare_digest(given.encode(), self.token.encode()):
            self._answer(HTTPStatus.NOT_FOUND)
        else:
            return what
        return None

    def _answer(self, status: HTTPStatus, kind: str = "text/plain", text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", live_policy()),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal belongs to the runs."""
