"""The load process for real: Locust with one worker and with several, its end in every way, its history
after it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from experiment.errors import StartError
from experiment.history import load_history
from experiment.plan import Plan
from load.process import LoadError, LoadProcess, RunningLoad, nothing, start_load
from tests.load.local_system import LocalSystem, Respond, Say, local_system, well
from tests.load.plans import plan, started_history

LIMIT_S = 30.0


@contextmanager
def load_on(
    system: LocalSystem, made: Plan, folder: Path, workers: int = 1, history: Path | None = None
) -> Iterator[tuple[RunningLoad, LoadProcess]]:
    process = LoadProcess(folder, workers)
    path = history or started_history(folder / "history.jsonl", made.run_id)
    load = start_load(made, {"front": system.base}, path, folder, workers, process)
    try:
        yield load, process
    finally:
        load.stop()
    assert not psutil.pid_exists(process.pid)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {LIMIT_S:g} s for {what}"
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_plan_is_played_whole(tmp_path: Path, workers: int) -> None:
    """Every operation is sent once and recorded once, whatever the number of workers; the sums agree."""
    made = plan(rate=20.0, length_s=1.5)
    with local_system() as system, load_on(system, made, tmp_path, workers) as (load, _):
        load.ready(LIMIT_S)
        assert not load.finished()
        load.go(time.monotonic() + 0.1)
        summary = load.wait(LIMIT_S)
        assert load.finished()
        heard = len(system.heard)
    history = load_history(tmp_path / "history.jsonl")
    assert sorted(history.operations["id"].to_list()) == sorted(op.id for op in made.operations)
    assert set(history.operations["outcome"].to_list()) == {"acknowledged"}
    assert summary.offered == summary.achieved == summary.sent == summary.acknowledged == heard
    assert heard == len(made.operations)
    assert (summary.rejected, summary.indeterminate) == (0, 0)
    assert {report.worker for report in history.load} == set(range(workers))
    assert sum(report.offered for report in history.load) == heard


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_is_told_while_it_plays(tmp_path: Path, workers: int) -> None:
    """The latest second with its rate, p95, errors by kind and what is in flight."""
    made = plan(rate=20.0, length_s=3.0)
    refusing: Respond = lambda heard: Say(500) if heard.path == "/claims" else well(heard)  # noqa: E731
    with local_system(refusing) as system, load_on(system, made, tmp_path, workers) as (load, _):
        load.ready(LIMIT_S)
        assert load.poll() is None
        load.go(time.monotonic() + 0.1)
        until(lambda: load.poll() is not None, "the first second")
        seen = load.poll()
        assert seen is not None
        assert seen.t >= 1.0
        assert seen.offered > 0
        assert seen.rate > 0
        assert seen.p95 > 0
        assert seen.errors["server_error"] > 0
        assert seen.errors["prerequisite"] > 0
        load.wait(LIMIT_S)


def test_rows_are_in_the_file_while_it_plays(tmp_path: Path) -> None:
    """The history grows as things happen: half way through it holds what has ended."""
    made = plan(rate=20.0, length_s=4.0)
    with local_system() as system, load_on(system, made, tmp_path) as (load, _):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        history = tmp_path / "history.jsonl"
        until(lambda: load_history(history).operations.height >= 20, "20 rows in the file")
        assert not load.finished()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_ends_it_at_once_with_what_was_in_flight(
    tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    """Nothing more is sent; what hangs is recorded as interrupted and indeterminate; the summary still
    comes."""
    made = plan(rate=10.0, length_s=20.0, patience=20.0)
    with local_system(lambda _: Say(how="hang")) as system:
        with load_on(system, made, tmp_path, workers) as (load, process):
            load.ready(LIMIT_S)
            load.go(time.monotonic())
            until(lambda: len(system.heard) >= 6, "six requests")
            os.kill(process.pid, number)
            summary = load.wait(LIMIT_S)
        heard = len(system.heard)
    history = load_history(tmp_path / "history.jsonl")
    sent = history.operations.filter(history.operations["sent"].is_not_null())
    assert sent.height == heard == summary.sent == summary.indeterminate
    assert set(sent["error"].to_list()) == {"interrupted"}
    assert summary.offered < len(made.operations)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_process_leaves_a_history_that_loads(tmp_path: Path, workers: int) -> None:
    """After SIGKILL the rows that were flushed are whole, the workers end too, and the parent is told."""
    made = plan(rate=20.0, length_s=20.0)
    with local_system() as system, load_on(system, made, tmp_path, workers) as (load, process):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        until(lambda: len(system.heard) >= 30, "thirty requests")
        children = psutil.Process(process.pid).children()
        assert len(children) == (0 if workers == 1 else workers)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(LoadError, match="ended by SIGKILL"):
            load.wait(LIMIT_S)
        assert load.finished()
        _, alive = psutil.wait_procs(children, timeout=LIMIT_S)
        assert not alive
    operations = load_history(tmp_path / "history.jsonl").operations
    assert operations.height > 0
    assert operations["id"].n_unique() == operations.height


def test_a_killed_worker_is_told_and_ends_the_load(tmp_path: Path) -> None:
    """A load that lost a worker does not go on with the others as if nothing had happened."""
    made = plan(rate=20.0, length_s=20.0)
    with local_system() as system, load_on(system, made, tmp_path, workers=2) as (load, process):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        until(lambda: len(system.heard) >= 10, "ten requests")
        psutil.Process(process.pid).children()[0].kill()
        with pytest.raises(LoadError, match=r"a Locust worker ended early \(exit -9\)"):
            load.wait(LIMIT_S)


def test_it_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """When the command's end of the pipe closes, as the kernel does for a killed command, the load ends."""
    made = plan(rate=20.0, length_s=60.0)
    with local_system() as system, load_on(system, made, tmp_path, workers=2) as (load, process):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        until(lambda: len(system.heard) >= 10, "ten requests")
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        assert process._process.stdin is not None
        process._process.stdin.close()
        process._process.wait(LIMIT_S)
        _, alive = psutil.wait_procs(family, timeout=LIMIT_S)
        assert not alive


def test_a_history_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A full disk ends the load with its reason."""
    made = plan(rate=20.0, length_s=20.0)
    full = Path("/dev/full")
    with local_system() as system, load_on(system, made, tmp_path, history=full) as (load, _):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        with pytest.raises(LoadError, match=r"history could not be written.*No space left"):
            load.wait(LIMIT_S)


def test_a_script_that_is_gone_is_told_before_the_start(tmp_path: Path) -> None:
    """`ready` fails with the reason instead of waiting for its deadline."""
    process = LoadProcess(tmp_path, 1)
    load = RunningLoad(process, tmp_path / "missing.jsonl", 1, {})
    try:
        with pytest.raises(StartError, match=r"missing\.jsonl"):
            load.ready(LIMIT_S)
    finally:
        load.stop()


def test_a_client_that_breaks_after_it_was_checked_is_told_before_the_start(tmp_path: Path) -> None:
    """The load process imports it anew: with the line, and before anything is sent."""
    made, client = plan(), tmp_path / "client.py"
    client.write_text("REQUESTS = {}\n1 / 0\n", encoding="utf-8")
    broken = replace(made.system, workload=replace(made.system.workload, client=str(client)))
    with local_system() as system, load_on(system, replace(made, system=broken), tmp_path) as (load, _):
        with pytest.raises(StartError, match=r"client\.py:2:1: found ZeroDivisionError"):
            load.ready(LIMIT_S)
        assert system.heard == []


def test_a_deadline_that_passes_is_told(tmp_path: Path) -> None:
    """Nobody waits for ever for a summary that has not come."""
    made = plan(rate=20.0, length_s=20.0)
    with local_system() as system, load_on(system, made, tmp_path) as (load, _):
        load.ready(LIMIT_S)
        with pytest.raises(LoadError, match=r"did not say summary in 0\.2 s"):
            load.wait(0.2)


def test_stopping_twice_is_stopping(tmp_path: Path) -> None:
    """`stop` may be called at any moment, also before the process is up, and again."""
    process = LoadProcess(tmp_path, 1)
    process.stop()
    process.stop()
    assert not psutil.pid_exists(process.pid)
    with pytest.raises(LoadError, match="died before it took a command"):
        process.command(do="go", zero=0.0)


def test_a_generator_that_is_killed_before_it_plays_is_told_by_its_name(tmp_path: Path) -> None:
    """While its word is awaited, and when it is told something."""
    process = LoadProcess(tmp_path, 1)
    try:
        os.kill(process.pid, signal.SIGKILL)
        ended = r"the load generator died before it {} \(ended by SIGKILL\)"
        with pytest.raises(LoadError, match=ended.format("said ready")):
            process.await_event("ready", LIMIT_S, nothing)
        with pytest.raises(LoadError, match=ended.format("took a command")):
            process.command(do="go", zero=0.0)
    finally:
        process.stop()


def noticed(load: RunningLoad) -> str:
    """What is wrong with a load that began at zero, as soon as that is seen."""
    until(lambda: load.trouble() is not None, "trouble")
    trouble = load.trouble()
    assert trouble is not None
    return f"{trouble.part} {trouble.what}: {trouble.more}"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "the load generator died: ended by SIGKILL"),
        (signal.SIGSTOP, "the load generator was stopped: by SIGSTOP"),
        (signal.SIGTERM, r"the load generator ended early: before \d+ of \d+ operations were due"),
    ],
)
def test_a_generator_that_is_ended_or_stopped_says_so(
    tmp_path: Path, number: signal.Signals, said: str
) -> None:
    """It is noticed while the load should play, and by its name; until then nothing is wrong."""
    made = plan(rate=20.0, length_s=20.0)
    with local_system() as system, load_on(system, made, tmp_path) as (load, process):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        until(lambda: len(system.heard) >= 5, "five requests")
        assert load.trouble() is None
        os.kill(process.pid, number)
        assert re.fullmatch(said, noticed(load))


def test_a_stopped_worker_of_several_is_noticed_by_its_silence(tmp_path: Path) -> None:
    """A second that one worker has not told of is not told: the generator has not answered since."""
    made = plan(rate=20.0, length_s=20.0)
    with local_system() as system, load_on(system, made, tmp_path, 2) as (load, process):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        until(lambda: load.poll() is not None, "a first second")
        worker = psutil.Process(process.pid).children()[0]
        worker.suspend()
        assert noticed(load) == "the load generator has not answered: "
    _, alive = psutil.wait_procs([worker], timeout=LIMIT_S)
    assert not alive, "a stopped worker is not left behind"


def test_a_load_that_has_been_played_has_no_trouble(tmp_path: Path) -> None:
    """The end of its process after the summary is no death."""
    with (
        local_system() as system,
        load_on(system, plan(rate=20.0, length_s=1.0), tmp_path) as (load, process),
    ):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        load.wait(LIMIT_S)
        psutil.wait_procs([psutil.Process(process.pid)], timeout=LIMIT_S)
        assert load.trouble() is None


def test_what_else_is_wrong_ends_a_wait(tmp_path: Path) -> None:
    """Whoever waits for the load looks at the rest of the run meanwhile."""

    def look() -> None:
        raise StartError("bus died at 1.0 s")

    with local_system() as system, load_on(system, plan(rate=20.0, length_s=20.0), tmp_path) as (load, _):
        load.ready(LIMIT_S)
        load.go(time.monotonic())
        with pytest.raises(StartError, match="bus died"):
            load.wait(LIMIT_S, look)
