"""The page of a run in flight: it shows what the watcher sees, and its button alone can stop the run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from execution.commands.interrupts import interruptible
from execution.commands.live_page import LAST_LOOK_S, STOPPED, LivePage, live_page, refuse_unwatched
from execution.options import SIMULATION, Options
from execution.runs.live_run import Progress
from experiment.errors import ExitCode, UsageError
from experiment.stop import Stop
from load.account import LoadProgress
from tests.reports.browser import CHROMIUM, browser
from tests.simulation.reference import design, plan_of, scenario

FAULT = "lost_response on billing -> payments"


def played(page: LivePage, seconds: int) -> Any:
    """A run of which so many seconds have been told: the fault acts from the fifth on."""
    plan = plan_of(scenario("charge_response_lost"), design("fragile"))
    watch = page.watching(lambda _: lambda _progress: None)(plan)
    for t in range(1, seconds + 1):
        tell(watch, t)
    return watch


def tell(watch: Any, t: int) -> None:
    load = LoadProgress(float(t), 8 * t, 8, 0.02 * t, {"timeout": 1} if t > 5 else {}, 2, {"pay": 0.03 * t})
    phase = "fault" if t >= 5 else "baseline"
    watch(Progress(t + 0.1, 18.0, phase, (FAULT,) if t >= 5 else (), load))


@pytest.fixture
def served() -> Iterator[tuple[LivePage, str, Stop]]:
    stop = Stop()
    with live_page(stop) as (page, address):
        yield page, address, stop


def origin(address: str) -> str:
    return address.rsplit("/", 2)[0]


def test_the_page_shows_rates_latencies_errors_and_faults(served: tuple[LivePage, str, Stop]) -> None:
    """A point for each second, the objective, the window of the fault, and the link that is faulted now."""
    page, address, _ = served
    played(page, 7)
    state = requests.get(f"{address}state", timeout=5).json()
    assert state["run"] == "charge_response_lost on fragile, seed 1"
    assert (state["phase"], state["t"], state["faults"], state["status"]) == (
        "fault",
        7.1,
        [FAULT],
        "running",
    )
    rate, p95, errors = state["figures"]["panels"]
    assert rate["t"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0] and rate["series"][0]["values"] == [8.0] * 7
    assert [line["label"] for line in p95["series"]] == ["all", "pay"]
    assert "pay p95 <= 2s" in [bound["text"] for bound in p95["objectives"]]
    assert errors["series"][0]["values"] == [0, 0, 0, 0, 0, 1, 1]
    assert state["figures"]["windows"] == [[5.1, 7.1]]
    assert "Faulted: lost_response on billing -&gt; payments." in state["map"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://example.org"},
        {"Origin": "OWN", "Host": "example.org"},
    ],
    ids=["no origin", "a sandboxed page", "another port", "another site", "another name for this machine"],
)
def test_nobody_else_presses_stop(headers: dict[str, str], served: tuple[LivePage, str, Stop]) -> None:
    """A page of another origin may guess the port, and even know the token: it cannot stop a run."""
    _, address, stop = served
    named = {name: origin(address) if value == "OWN" else value for name, value in headers.items()}
    assert requests.post(f"{address}stop", headers=named, timeout=5).status_code == 403
    assert not stop.is_set()


def test_without_the_token_there_is_nothing(served: tuple[LivePage, str, Stop]) -> None:
    """Neither page nor figures, and a stop of the right origin without it is none."""
    _, address, stop = served
    own = origin(address)
    for path in ("/", "/state", "/x/state", "/x/stop", "//", f"/{'a' * 32}/"):
        assert requests.get(own + path, timeout=5).status_code == 404
        assert requests.post(own + path, headers={"Origin": own}, timeout=5).status_code == 404
    assert requests.post(f"{address}state", headers={"Origin": own}, timeout=5).status_code == 404
    assert not stop.is_set()


def test_the_page_listens_on_the_loopback_address_and_may_not_be_framed(
    served: tuple[LivePage, str, Stop],
) -> None:
    """A page within another one could be clicked unseen, and the address with its token goes nowhere."""
    _, address, _ = served
    assert address.startswith("http://127.0.0.1:")
    answer = requests.get(address, timeout=5)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_stop_from_the_page_ends_the_command_as_an_interrupt_does() -> None:
    """The run gets its reason, the command its exit code."""
    with interruptible() as interruption, live_page(interruption.stop) as (_, address):
        own = {"Origin": origin(address)}
        assert requests.post(f"{address}stop", headers=own, timeout=5).status_code == 204
        assert interruption.stop.is_set()
    assert (interruption.stop.told, interruption.exit_code) == (STOPPED, ExitCode.INTERRUPTED)


def test_the_end_waits_for_a_page_that_is_open(served: tuple[LivePage, str, Stop]) -> None:
    """Who watches sees the verdict; where nobody does, the command ends at once."""
    page, address, _ = served
    began = time.monotonic()
    page.end()
    assert time.monotonic() - began < LAST_LOOK_S
    result = SimpleNamespace(
        end=SimpleNamespace(reason="interrupted"), verdict=None, analysis=SimpleNamespace(reasons=("why",)),
        plan=SimpleNamespace(scenario=SimpleNamespace(name="s"), design=SimpleNamespace(name="d")),
    )  # fmt: skip
    page.finished(cast("Any", result))
    state = requests.get(f"{address}state", timeout=5).json()
    assert state["status"] == "ended"
    assert state["finished"] == [{"run": "s on d", "verdict": "interrupted", "why": "why"}]


def test_the_twin_has_nothing_to_watch() -> None:
    """It is refused by name before anything starts."""
    with pytest.raises(UsageError, match="--watch with the runtime simulation"):
        refuse_unwatched(True, Options(runtime=SIMULATION))
    refuse_unwatched(False, Options(runtime=SIMULATION))


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_person_watches_and_stops_in_a_browser(served: tuple[LivePage, str, Stop], tmp_path: Path) -> None:
    """The plots grow while they are looked at, the graph shows the fault, and the button ends the run."""
    page, address, stop = served
    watch = played(page, 4)
    with browser(tmp_path) as seen:
        seen.open(address)
        seen.until("document.getElementById('status').textContent.startsWith('baseline, 4.1 of 24 s')")
        seen.until("codeBlue.shown.length === 3 && codeBlue.shown[0].data[0].length === 4")
        seen.value("codeBlue.shown[0].setScale('x', {min: 1, max: 9})")
        for t in (5, 6):
            tell(watch, t)
        seen.until("codeBlue.shown[0].data[0].length === 6")
        seen.until("codeBlue.shown.every(plot => plot.scales.x.max === 9)")  # stays zoomed
        seen.until("document.querySelector('#map svg').textContent.includes('lost_response')")
        assert seen.value("document.getElementById('status').textContent").endswith(FAULT)
        seen.value("document.getElementById('stop').focus()")
        seen.press("Enter", 13)
        seen.value("document.getElementById('stop').click()")
        seen.until("document.getElementById('status').textContent.includes('being healed')")
        seen.until("document.getElementById('stop').disabled")
        deadline = time.monotonic() + 10
        while not stop.is_set():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert stop.told == STOPPED
        page.end()
        seen.until("document.getElementById('status').textContent === 'the command has ended'")
        assert seen.said == []
