"""Services that know nothing of the harness, as local processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.controls import Crash
from experiment.errors import StartError
from experiment.history import Record
from experiment.rows import RECORDS_READ, Sample
from runtimes.http_calls import call
from runtimes.processes.runtime import ProcessesRuntime
from runtimes.runtime import Zero
from tests.standin.strangers import LINK, strangers, told, with_timeout
from tests.standin.systems import settings

pytestmark = pytest.mark.live
RUN = settings(strangers(), "work-plain-s1-aaaaaa")


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    """How often the front service ends at once."""
    path = tmp_path / "dots"
    path.write_text("..")
    return path


@pytest.fixture
def running(dots: Path, tmp_path: Path) -> Iterator[ProcessesRuntime]:
    """Two strangers, the first of which ended twice before it was ready."""
    runtime = ProcessesRuntime(strangers(dots), tmp_path / "var")
    runtime.start(RUN)
    yield runtime
    runtime.stop()


def test_a_service_that_ends_early_is_started_again_and_calls_through_its_proxy(
    running: ProcessesRuntime, dots: Path
) -> None:
    """As its platform would; its variables hold the proxy's address, not the callee's."""
    assert dots.read_text() == ""
    front = running.address("front")
    assert told(front, "/env")["CALLEE_URL"] == f"http://{running.door(LINK)}"
    assert told(front, "/call") == {"status": "ok"}
    assert running.unhealed() == []


def test_one_that_always_ends_is_told_with_its_last_words(tmp_path: Path, dots: Path) -> None:
    """After as many tries as a platform would make; nothing is left."""
    dots.write_text("." * 50)
    runtime = ProcessesRuntime(strangers(dots), tmp_path / "var")
    with pytest.raises(StartError, match=r"(?s)front on .* ended with exit status 1.*does not answer"):
        runtime.start(RUN)
    assert len(dots.read_text()) == 45


def test_another_design_restarts_those_whose_variables_differ(running: ProcessesRuntime) -> None:
    """Front has the timeout in its environment; back has nothing of it and goes on."""
    nodes = running.controls()
    before = {name: nodes.node(name).probe(2.0).identity for name in ("front", "back")}
    running.reset(replace(RUN, run_id="work-plain-s2-bbbbbb"))
    assert {name: nodes.node(name).probe(2.0).identity for name in before} == before
    patient = replace(RUN, run_id="work-patient-s1-cccccc", design=with_timeout(RUN.design, 0.25))
    running.reset(patient)
    after = {name: nodes.node(name).probe(2.0).identity for name in before}
    assert after["front"] != before["front"] and after["back"] == before["back"]
    assert told(running.address("front"), "/env")["CALLEE_TIMEOUT_S"] == "0.25"


def test_what_cannot_be_emptied_keeps_what_it_has_until_the_same_run_comes_again(
    running: ProcessesRuntime,
) -> None:
    """Only entries with the run's token are its own; the same token twice needs another start."""
    zero = Zero(0.0, 0.0)
    call(running.address("back"), "POST", "/book", b"ord-aaaaaa-1", deadline_s=2.0)
    mine = Record("back", "entry", "ord-aaaaaa-1")
    rows = running.records(zero)
    assert [row for row in rows if isinstance(row, Record)] == [mine]
    running.reset(replace(RUN, run_id="work-plain-s2-bbbbbb"))
    [count] = [row for row in running.records(zero) if isinstance(row, Sample)]
    assert (count.source, count.name, count.value) == ("back", RECORDS_READ, 0.0)
    running.reset(RUN)
    assert told(running.address("back"), "/ledger") == {"entries": []}


def test_a_crashed_service_comes_back_with_its_variables(running: ProcessesRuntime) -> None:
    """The same arguments, the same port."""
    node = running.controls().node("back")
    node.act("f1", Crash())
    assert node.probe(0.5).state == "absent"
    node.undo("f1")
    assert told(running.address("front"), "/call") == {"status": "ok"}
    probe = running.controls().link(LINK).probe(1.0)
    assert probe.fresh.seconds is not None
