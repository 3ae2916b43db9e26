"""Log lines: which trace they belong to, and how many of one kind there are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from reference_system.common import tracing
from reference_system.common.behaviours import Behaviours
from reference_system.common.bus import BusUnavailable, Event
from reference_system.common.logs import MOST_A_SECOND, Log
from reference_system.common.metrics import Metrics
from reference_system.common.patterns.consumer import Consumer
from reference_system.common.patterns.outbox import Outbox


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_names_the_trace_in_which_it_was_said(tmp_path: Path) -> None:
    """Nothing is named where nothing is served."""
    path = tmp_path / "a.log"
    log = Log("billing", str(path))
    log.info("ready")
    token = tracing.current.set(tracing.remote(f"00-{'ab' * 16}-{'cd' * 8}-01"))
    log.often("call failed", link="billing -> payments")
    tracing.current.reset(token)
    assert [line.get("trace") for line in lines(path)] == [None, "ab" * 16]


TRACES = ["ab" * 16, "ef" * 16]


def events(run: str = "r-1") -> list[Event]:
    return [
        Event(f"lab-{n}", run, "lab.result", f"lab-{n}", 0.0, {}, 1, f"00-{trace}-{'cd' * 8}-01")
        for n, trace in enumerate(TRACES)
    ]


class Deaf:
    """A bus that takes nothing."""

    service = "lab"

    async def publish(self, _: list[Event]) -> None:
        raise BusUnavailable("bus: not connected")


@pytest.mark.parametrize(
    ("durable", "said"),
    [
        (False, [("event lost", TRACES[0], None), ("event lost", TRACES[1], None)]),
        (True, [("outbox waits", None, TRACES)]),
    ],
)
def test_lines_of_the_outbox_name_the_traces_of_the_events(
    tmp_path: Path, durable: bool, said: list[tuple[str, str | None, list[str] | None]]
) -> None:
    """An event that is lost is a line of its own; those that wait are named together."""
    path = tmp_path / "a.log"

    async def relay() -> None:
        box: Any = Outbox(None, Deaf(), Log("lab", str(path)), Metrics())  # type: ignore[arg-type]  # stubs
        box.apply(durable, 0.0)
        box.committed(*events())
        task = asyncio.create_task(box.relay())
        while not path.read_text():
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(relay())
    assert [(line["message"], line.get("trace"), line.get("traces")) for line in lines(path)] == said


@pytest.mark.parametrize(("many", "trace", "traces"), [(2, None, TRACES), (1, TRACES[0], None)])
def test_lines_of_a_handler_name_the_traces_of_its_events(
    tmp_path: Path, many: int, trace: str | None, traces: list[str] | None
) -> None:
    """Also where the handler runs in a task of its own; afterwards nothing is named any more."""
    path = tmp_path / "a.log"
    log = Log("dashboard", str(path))

    async def handler(_: list[Event]) -> None:
        await asyncio.create_task(saying())

    async def saying() -> None:
        log.seldom("results of an unknown schema were dropped")

    async def work() -> None:
        made: Any = Consumer(
            Deaf(), [], handler, log, Metrics(), tracing.Tracer("dashboard", None, 1),  # type: ignore[arg-type]  # a stub
            lambda: "r-1", lambda: Behaviours(1),
        )  # fmt: skip
        await made._work(events()[:many])
        log.info("ready")

    asyncio.run(work())
    found = [(line.get("trace"), line.get("traces")) for line in lines(path)]
    assert found == [(trace, traces), (None, None)]


def test_of_many_lines_in_a_second_only_their_number_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault must not fill the disk; the next second says how many were left out."""
    path, now = tmp_path / "a.log", [7.0]
    monkeypatch.setattr("reference_system.common.logs.time.monotonic", lambda: now[0])
    log = Log("billing", str(path))
    for _ in range(MOST_A_SECOND + 30):
        log.often("call failed")
    log.often("request not done")
    assert len(lines(path)) == MOST_A_SECOND + 1
    now[0] = 8.0
    log.often("call failed")
    assert [line.get("left_out") for line in lines(path)][-2:] == [30, None]
