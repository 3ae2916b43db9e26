"""What somebody else started is crashed and paused only where it can be brought back, and it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from experiment.attaching import Attach, AttachedService
from experiment.controls import Crash, Pause
from experiment.errors import ConfigError, UnsupportedError, UsageError
from faults.crash import Crash as CrashFault
from runtimes.attach.consent import Target, lines_of, refuse_faults, require_consent
from runtimes.attach.nodes import AttachedNode
from runtimes.attach.parts import Part
from runtimes.attach.runtime import AttachRuntime
from runtimes.owners import this_process
from runtimes.runtime import Address
from tests.execution.builders import Board, plan
from tests.runtimes.attach.pair import CALLEE, Pair, running_pair, until
from tests.runtimes.attach.test_consent import ALLOWED, PLACES
from tests.runtimes.attach.test_runtime import ROOT, RUN, redirecting

HOLDER = """
import sys, time
from pathlib import Path
from experiment.controls import Crash, Pause
from experiment.topology import load_system
from measurement.properties import KINDS
from runtimes.attach.runtime import AttachRuntime
runtime = AttachRuntime(load_system(Path(sys.argv[1]), KINDS), Path(sys.argv[2]))
runtime.start(None)
runtime.controls().node("back").act("f1", Crash())
runtime.controls().node("front").act("f2", Pause())
print("held", flush=True)
time.sleep(600)
"""


def node(runtime: AttachRuntime, name: str) -> AttachedNode:
    found = runtime.controls().node(name)
    assert isinstance(found, AttachedNode)
    return found


@contextmanager
def startable_pair(folder: Path) -> Iterator[Pair]:
    """The pair; its callee is started again by a command, which its system's file names."""
    with running_pair(folder) as pair:
        again = folder / "start_back"
        code = folder / "back.py"
        code.write_text(CALLEE.replace('("127.0.0.1", 0)', f'("127.0.0.1", {pair.ports[1]})'))
        again.write_text(f"#!/bin/sh\nsetsid {sys.executable} {code} >/dev/null 2>&1 </dev/null &\n")
        again.chmod(0o755)
        pair.system(folder)
        file = folder / "system.yaml"
        at = f'{{at: "127.0.0.1:{pair.ports[1]}"}}'
        file.write_text(file.read_text().replace(at, f"{at[:-1]}, starts: {again}}}"))
        try:
            yield pair
        finally:
            for one in psutil.process_iter(["cmdline"]):
                if str(code) in (one.info["cmdline"] or ()):
                    one.kill()


@redirecting
def test_a_callee_is_killed_and_started_by_its_command_and_a_caller_is_held(tmp_path: Path) -> None:
    """Both are as they were afterwards, the new process is watched in place of the old one, and its links are
    wired."""
    with startable_pair(tmp_path) as pair:
        runtime = AttachRuntime(pair.reread(tmp_path / "system.yaml"), tmp_path / "var")
        runtime.start(RUN)
        try:
            back, front = node(runtime, "back"), node(runtime, "front")
            assert back.capabilities == {"crash", "pause"} and front.capabilities == {"pause"}
            assert back.probe(1.0).state == "running" and back.probe(1.0).answers
            old = back.probe(1.0).identity
            back.act("f1", Crash())
            pair.back.wait()
            assert (back.state, back.probe(0.5).answers) == ("absent", False)
            assert runtime.trouble() is None and "back is absent" in runtime.unhealed()
            back.undo("f1")
            assert back.probe(1.0).answers and back.probe(1.0).identity != old
            after = len(pair.answers())
            until(lambda: len(pair.answers()) > after + 3)
            assert runtime.leaks() == [] and runtime.unhealed() == [] and runtime.trouble() is None
            front.act("f2", Pause())
            assert (front.state, runtime.unhealed()) == ("paused", ["front is paused"])
            runtime.heal()
            assert front.state == "running" and runtime.unhealed() == []
            with pytest.raises(UnsupportedError, match="attach cannot do crash to front; it can: pause"):
                front.act("f3", Crash())
        finally:
            runtime.stop()
        after = len(pair.answers())
        until(lambda: len(pair.answers()) > after + 3)


@redirecting
def test_a_harness_killed_during_a_crash_and_a_pause_leaves_both_parts_running(tmp_path: Path) -> None:
    """Its guard runs the command that starts the one, and continues the other."""
    with startable_pair(tmp_path) as pair:
        words = [sys.executable, "-c", HOLDER, str(tmp_path / "system.yaml"), str(tmp_path / "var")]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdout is not None and owner.stdout.readline() == "held\n"
            assert psutil.Process(pair.front.pid).status() == psutil.STATUS_STOPPED
            os.kill(owner.pid, signal.SIGKILL)
        until(lambda: not list((tmp_path / "var" / "instances").iterdir()), 60.0)
        after = len(pair.answers())
        until(lambda: len(pair.answers()) > after + 3)


def held(part: Part, said: AttachedService) -> Target:
    attach = Attach({**PLACES, "back": said})
    parts = {"front": Part("front", Address("127.0.0.1", 18001), None), "back": part}
    return Target("0a1b2c3d", attach, parts, {})


def test_a_crash_that_nobody_could_undo_is_refused_by_name(tmp_path: Path) -> None:
    """Before anything is listed; with a command it is listed as the undo."""
    board = Board()
    one = plan(board)
    acting = replace(one.activations[0], target="back", fault=CrashFault())
    crashing = replace(one, activations=(acting,))
    here = Part("back", Address("127.0.0.1", 18002), this_process().identity)
    with pytest.raises(UnsupportedError) as refusal:
        refuse_faults(held(here, PLACES["back"]), [crashing])
    assert "found crash on back, a process that somebody else started" in str(refusal.value)
    assert "attach.services.back.starts" in str(refusal.value)
    away = held(replace(here, process=None), PLACES["back"])
    with pytest.raises(UnsupportedError, match="which is on another machine"):
        refuse_faults(away, [crashing])
    said = AttachedService("127.0.0.1:18002", starts="systemctl start back")
    target = held(here, said)
    refuse_faults(target, [crashing])
    assert any(line.endswith("undo: systemctl start back") for line in lines_of(target, [crashing], tmp_path))
    with pytest.raises(UsageError, match='found no "back" under services'):
        require_consent([crashing], replace(ALLOWED, services=("front",)), "", tmp_path, target)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{at: "127.0.0.1:1", port: 80}', "both at and port"),
        ("{command: worker}", "neither at nor port"),
        ("{port: 80}", "no container of back"),
        ("{port: 80, container: c, starts: x}", "starts beside a container"),
        ('{at: "127.0.0.1:1", container: c}', "both at and container"),
        ("{port: 70000, container: c}", "the port 70000"),
    ],
)
def test_places_that_contradict_themselves_are_mistakes_of_the_file(
    text: str, said: str, tmp_path: Path
) -> None:
    """With what was found and what was expected."""
    pair = Pair(None, None, (18001, 18002), tmp_path)  # type: ignore[arg-type]  # nothing of it runs
    pair.system(tmp_path)
    file = tmp_path / "system.yaml"
    file.write_text(file.read_text().replace('{at: "127.0.0.1:18002"}', text))
    with pytest.raises(ConfigError, match=f"found {said}"):
        pair.reread(file)
