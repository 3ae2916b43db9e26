"""A workload whose own Python fails while it plays: an error of the harness, never one of the system."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from experiment.history import Note, load_history
from experiment.requests import PlannedOperation
from experiment.rows import Operation, Sample
from load.final_reads import final_reads
from load.player import Player
from load.script import Head, Part, Script
from tests.load.local_system import Say, local_system
from tests.load.plans import plan, started_history
from tests.load.test_final_reads import history, row

CLIENT = """\
from experiment.workload import Answered, Request

def order(op, known):
    if op.arguments["mood"] == "bad request":
        return Request("POST", "/orders", {"x-who": op.arguments["nobody"]})
    return Request("POST", "/orders")

def ordered(op, reply):
    if op.arguments["mood"] == "bad reader":
        return Answered(value=reply.body["state"].lower().colour)
    return Answered(value=reply.at("body.state"))

def last(reply):
    raise RuntimeError("no idea")

REQUESTS = {"order": order}
ANSWERS = {"order": ordered}
FINAL_READS = {"enc": last}
"""


@pytest.fixture
def client(tmp_path: Path) -> str:
    path = tmp_path / "client.py"
    path.write_text(CLIENT, encoding="utf-8")
    return str(path)


def operation(number: int, mood: str) -> PlannedOperation:
    key = f"ord-abc123-{number:06d}"
    return PlannedOperation(number, "order", 0.02 * number, key, number, None, {"mood": mood})


def test_an_operation_is_an_error_of_the_harness_and_the_run_invalid(tmp_path: Path, client: str) -> None:
    """What could not be asked was not sent; what was answered stays acknowledged; the others play on. The
    history says each mistake once, with the last line of its traceback."""
    moods = ["good", "bad request", "bad reader", "bad request", "good"]
    with local_system(lambda _: Say(200, {"state": "NEW"})) as system:
        path = started_history(tmp_path / "h.jsonl")
        head = Head("run-1", 1.0, str(path), "2026-01-01", {"order": Part(system.base, 2.0, True)}, client)
        operations = tuple(operation(number, mood) for number, mood in enumerate(moods))
        rows: list[Operation] = []
        player = Player(Script(head, operations), 0, lambda _: None, rows.append)
        gevent.spawn(player.play, time.monotonic()).get(timeout=20)
        assert len(system.heard) == 3
    by_id = {row.id: row for row in rows}
    assert [by_id[n].outcome for n in range(5)] == [
        "acknowledged",
        "rejected",
        "acknowledged",
        "rejected",
        "acknowledged",
    ]
    assert [by_id[n].error for n in range(5)] == [None, *["workload_error"] * 3, None]
    assert [by_id[n].sent is None for n in range(5)] == [False, True, False, True, False]
    notes = load_history(path).notes
    assert {note.level for note in notes} == {"invalid"}
    assert sorted(note.text for note in notes) == [
        "the workload failed: answer of order raised AttributeError: 'str' object has no attribute "
        f"'colour' ({client}:10)",
        f"the workload failed: request of order raised KeyError: 'nobody' ({client}:5)",
    ]


def test_an_answer_that_does_not_say_it_is_the_systems_own(tmp_path: Path, client: str) -> None:
    """A reader that asks for what is not there, in the way that is meant for it, blames the answer."""
    with local_system(lambda _: Say(200, {"status": "NEW"})) as system:
        path = started_history(tmp_path / "h.jsonl")
        head = Head("run-1", 1.0, str(path), "2026-01-01", {"order": Part(system.base, 2.0, True)}, client)
        rows: list[Operation] = []
        player = Player(Script(head, (operation(0, "good"),)), 0, lambda _: None, rows.append)
        gevent.spawn(player.play, time.monotonic()).get(timeout=20)
    assert [(row.outcome, row.error) for row in rows] == [("acknowledged", "unreadable")]
    assert load_history(path).notes == ()


def test_a_final_read_that_raises_is_noted(client: str) -> None:
    """The row says that nothing was read; the run is invalid."""
    made = plan()
    form = made.system.final_reads["enc"]
    journeys = {"order": replace(made.system.journeys["check_in"], key="enc")}
    system = replace(
        made.system,
        journeys=journeys,
        mixes={},
        final_reads={"enc": replace(form, written_by="order")},
        workload=replace(made.system.workload, client=client),
    )
    with local_system(lambda _: Say(200, {})) as served:
        found = final_reads(
            replace(made, system=system), {"front": served.base}, history(row(1, "enc-a-1")), time.monotonic()
        )
    read, left_out, note = found
    assert isinstance(read, Operation) and isinstance(note, Note)
    assert (read.outcome, read.error, read.value) == ("rejected", "workload_error", None)
    assert (note.level, note.text) == (
        "invalid",
        f"the workload failed: final read of enc raised RuntimeError: no idea ({client}:14)",
    )
    assert isinstance(left_out, Sample) and left_out.value == 0
