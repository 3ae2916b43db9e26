"""The script file: what the load process reads is the plan, and every worker's share of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiment.errors import UnsupportedError
from load.script import read_script, write_script
from tests.load.plans import plan


def test_a_script_read_is_the_plan_written(tmp_path: Path) -> None:
    """Every operation, bit for bit, and the head with addresses and patience."""
    made = plan()
    write_script(made, {"front": "http://127.0.0.1:1"}, tmp_path / "h.jsonl", "2026-02-03", tmp_path / "s")
    script = read_script(tmp_path / "s")
    assert script.operations == made.operations
    assert (script.head.run_id, script.head.load_end, script.head.day) == (made.run_id, 1.0, "2026-02-03")
    part = script.head.parts["view_dose"]
    assert (part.endpoint, part.patience, part.writes) == ("http://127.0.0.1:1", 2.0, False)


def test_workers_share_whole_visits(tmp_path: Path) -> None:
    """The shares of three workers are disjoint, complete, and never split a visit."""
    made = plan()
    write_script(made, {"front": "http://127.0.0.1:1"}, tmp_path / "h.jsonl", "2026-02-03", tmp_path / "s")
    shares = [read_script(tmp_path / "s", shard, 3).operations for shard in range(3)]
    together = sorted((op for share in shares for op in share), key=lambda op: (op.at_s, op.id))
    assert tuple(together) == made.operations
    visits = [{op.visit for op in share} for share in shares]
    assert all(visits)
    assert not (visits[0] & visits[1] | visits[0] & visits[2] | visits[1] & visits[2])


def test_a_journey_that_cannot_be_sent_is_refused_by_name(tmp_path: Path) -> None:
    """A system with a journey unknown here is refused before anything is sent, with the nearest right
    name."""
    made = plan()
    first = replace(made.operations[0], journey="check_inn")
    journeys = {**made.system.journeys, "check_inn": made.system.journeys["check_in"]}
    odd = replace(made, operations=(first,), system=replace(made.system, journeys=journeys))
    with pytest.raises(UnsupportedError, match=r'check_inn.*did you mean "check_in"'):
        write_script(odd, {"front": "http://127.0.0.1:1"}, tmp_path / "h", "2026-02-03", tmp_path / "s")


def test_an_entry_service_without_address_is_refused_by_name(tmp_path: Path) -> None:
    """The message names the journey, its service and the addresses there are."""
    with pytest.raises(UnsupportedError, match=r"no address of its entry service front.*known: back"):
        write_script(plan(), {"back": "http://127.0.0.1:1"}, tmp_path / "h", "2026-02-03", tmp_path / "s")
