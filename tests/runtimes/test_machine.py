"""CPU time is told apart: the run's own processes, all others, and nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.history import Note, Row, Sample
from runtimes import machine_watch
from runtimes.machine import Family, Process, Reading, Use, read_machine
from runtimes.machine_watch import MachineWatch, samples
from runtimes.owners import Identity, identify

ROOT, CHILD, GRANDCHILD, STRANGER = (Identity(pid, 7) for pid in (100, 101, 102, 900))
BEFORE = Reading(
    10.0,
    2,
    idle_s=50.0,
    stolen_s=1.0,
    processes={
        ROOT: Process(1, 5.0, 0.0),
        CHILD: Process(100, 2.0, 0.0),
        GRANDCHILD: Process(101, 1.0, 0.0),
        STRANGER: Process(1, 30.0, 0.0),
    },
    waiting={"cpu": 3.0},
)


def after(idle_s: float, **used: Process) -> Reading:
    """Two seconds later; processes that are not named have ended."""
    named = {"root": ROOT, "child": CHILD, "grandchild": GRANDCHILD, "stranger": STRANGER}
    processes = {named[name]: process for name, process in used.items()}
    return replace(BEFORE, at_s=12.0, idle_s=50.0 + idle_s, processes=processes, waiting={"cpu": 4.0})


def use_of(now: Reading, before: Reading = BEFORE) -> Use:
    family = Family(ROOT.pid)
    assert family.use(before) is None
    use = family.use(now)
    assert use is not None
    return use


def test_what_is_neither_idle_nor_our_own_was_taken_by_others() -> None:
    """Four CPU seconds in two: 1.5 were idle, 0.5 were used by the family, so others took 2."""
    use = use_of(
        after(
            1.5,
            root=Process(1, 5.2, 0.0),
            child=Process(100, 2.2, 0.0),
            grandchild=Process(101, 1.1, 0.0),
            stranger=Process(1, 30.1, 0.0),
        )
    )
    assert use.own == pytest.approx(0.25)
    assert use.others == pytest.approx(1.0)
    assert use.idle == pytest.approx(0.75)
    assert use.waiting == {"cpu": pytest.approx(0.5)}


def test_a_child_that_ended_is_accounted_for_by_its_parent() -> None:
    """The child used 0.6 s more before it ended; its parent, which reaped it, has all of its 2.6 s."""
    use = use_of(after(0.0, root=Process(1, 5.0, 2.6), grandchild=Process(101, 1.0, 0.0)))
    assert use.own * use.seconds == pytest.approx(0.6)


def test_a_child_of_a_parent_that_ended_stays_ours() -> None:
    """An orphan is adopted by another process, and works on for the run."""
    orphan = Process(1, 1.9, 0.0)
    use = use_of(after(0.0, root=Process(1, 5.0, 2.0), grandchild=orphan))
    assert use.own * use.seconds == pytest.approx(0.9)


def test_a_new_process_with_an_old_number_is_another_one() -> None:
    """The stranger of the old number is no member, whatever was one before."""
    family = Family(ROOT.pid)
    family.use(BEFORE)
    again = replace(BEFORE, at_s=11.0, processes={Identity(CHILD.pid, 99): Process(1, 40.0, 0.0)})
    use = family.use(again)
    assert use is not None and use.own == 0.0


def test_a_process_in_a_group_that_is_followed_is_ours(tmp_path: Path) -> None:
    """A container's process is no child of ours: its control group tells."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        try:
            family = Family(other.pid)  # whose child this process is not
            family.follow([os.getpid()])  # ours is not another group than ours: it tells nothing
            family.use(read_machine())
            use = family.use(read_machine())
            assert use is not None and use.own < 0.5
            group = tmp_path / str(other.pid)
            group.mkdir()
            (group / "cgroup").write_text(Path(f"/proc/{os.getpid()}/cgroup").read_text())
            (tmp_path / str(os.getpid())).mkdir()
            (tmp_path / str(os.getpid()) / "cgroup").write_text("0::/elsewhere\n")
            family.follow([other.pid], tmp_path)
            family.use(read_machine())
            _burn(0.2)
            use = family.use(read_machine())
            assert use is not None and use.own * use.seconds >= 0.15
        finally:
            other.kill()


def _burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_what_a_child_of_this_process_uses_is_its_own() -> None:
    """Measured: a child that used 0.3 s of CPU time and has been reaped."""
    family = Family(os.getpid())
    family.use(read_machine())
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    use = family.use(read_machine())
    assert use is not None
    assert use.own * use.seconds >= 0.29
    assert 1 <= use.cores <= (os.cpu_count() or 1)


def test_a_machine_without_pressure_figures_and_without_proc_says_so(tmp_path: Path) -> None:
    """No PSI: no shares of waiting. No /proc/stat: OSError."""
    (tmp_path / "stat").write_text("cpu  1 0 1 5 0 0 0 0 0 0\ncpu0 1 0 1 500 20 0 0 30 0 0\n")
    reading = read_machine(tmp_path)
    assert reading.waiting == {} and reading.processes == {}
    assert samples(1.0, Use(1.0, 2, 0.5, 1.0, 0.0)) == [
        Sample(1.0, "machine", "cores", 2.0),
        Sample(1.0, "machine", "own_cores", 0.5),
        Sample(1.0, "machine", "other_cores", 1.0),
        Sample(1.0, "machine", "stolen_cores", 0.0),
    ]
    with pytest.raises(FileNotFoundError):
        read_machine(tmp_path / "nothing")


def test_the_watch_records_once_a_second_until_it_is_stopped() -> None:
    """Cores, our own use and that of others, after zero; nothing comes after the stop."""
    kept: list[Row] = []
    watch = MachineWatch(time.monotonic(), kept.extend)
    watch.start()
    deadline = time.monotonic() + 20.0
    while not kept and time.monotonic() < deadline:
        time.sleep(0.05)
    watch.stop()
    watch.stop()
    count = len(kept)
    named = {row.name: row.value for row in kept if isinstance(row, Sample)}
    assert {"cores", "own_cores", "other_cores", "stolen_cores"} <= named.keys()
    assert named["own_cores"] + named["other_cores"] <= named["cores"] + 0.2
    time.sleep(1.2)
    assert len(kept) == count


@pytest.mark.parametrize(
    ("reading", "said"), [(OSError("none"), "(no /proc/stat)"), (replace(BEFORE, waiting={}), "(no PSI)")]
)
def test_what_the_kernel_does_not_say_is_said(
    monkeypatch: pytest.MonkeyPatch, reading: Reading | OSError, said: str
) -> None:
    """A history tells why it has no figures of the machine, or not all of them."""

    def read() -> Reading:
        if isinstance(reading, OSError):
            raise reading
        return reading

    monkeypatch.setattr(machine_watch, "read_machine", read)
    kept: list[Row] = []
    watch = MachineWatch(time.monotonic(), kept.extend)
    watch.start()
    watch.stop()
    assert len(kept) == 1
    assert isinstance(kept[0], Note) and kept[0].level == "info" and said in kept[0].text


def test_no_reading_grows_the_table_of_interned_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pid that is interned at every reading makes a long run grow by megabytes."""
    words: list[str] = []
    interned = sys.intern

    def noted(word: str) -> str:
        words.append(word)
        return interned(word)

    monkeypatch.setattr(sys, "intern", noted)
    Family(os.getpid()).use(read_machine())
    assert identify(os.getpid()) is not None
    assert [word for word in words if word.isdigit()] == []
