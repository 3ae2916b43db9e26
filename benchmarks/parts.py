"""What becomes of a run when one of its parts is killed or stopped from outside, at five moments of it.

`python -m benchmarks.parts [--parts bus,load] [--signals KILL] [--moments fault] [--runtime containers]`:
each part that a run of parts.yaml has, the load generator and Toxiproxy, by SIGKILL and by SIGSTOP;
`--scenario benchmarks/every_part.yaml` starts all services of the reference system. A case at the start is a
`codeblue run` of its own; all others are runs of one such command, so that each shows too that the system is
whole again after the one before. A case is right when its run ends as invalid, names the part, ends within
WITHIN_S of the signal, and nothing is left at the end. All of them take about half an hour.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from execution.catalogue import default_catalogue
from execution.places import INSTANCES
from experiment.needs import needed
from runtimes.containers.engine import Engine
from runtimes.containers.layout import PART
from tests.standin.containers import made_by

ROOT = Path(__file__).resolve().parent.parent
SCENARIO = Path(__file__).parent / "parts.yaml"
LOAD, TOXIPROXY = "load", "toxiproxy"
MOMENTS = ("start", "baseline", "fault", "recovery", "settle")
SIGNALS = ("KILL", "STOP")
WITHIN_S = 20.0  # from the signal to the end
PATIENCE_S = 240.0
INVALID = 3
CALLED = {LOAD: "the load generator"}


@dataclass(frozen=True, slots=True)
class Case:
    """One part, one signal, one moment."""

    part: str
    number: str  # KILL or STOP
    moment: str

    def __str__(self) -> str:
        return f"SIG{self.number} of {self.part} at {self.moment}"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played, and where."""

    runtime: str = "processes"
    design: str = "resilient"
    scenario: Path = SCENARIO

    def parts(self) -> tuple[str, ...]:
        """Everything that the run is made of."""
        catalogue = default_catalogue()
        system = catalogue.system()
        started = needed(system, catalogue.scenario(str(self.scenario), system))
        return (TOXIPROXY, LOAD, *started.services)


@dataclass(slots=True)
class Outcome:
    """What became of it; `problems` is empty when that is right."""

    case: Case
    ended: str = ""  # the verdict of the run, or the exit code of the command
    seconds: float = 0.0  # from the signal to the last line of the history, or to the end of the command
    named: str = ""  # the sentence that names the part
    problems: list[str] = field(default_factory=list)


class Command:
    """`codeblue run` as a child; its histories and its journal are read while they are written."""

    def __init__(self, out: Path, setting: Setting, runs: int) -> None:
        self._out = out
        self._engine = Engine() if setting.runtime == "containers" else None
        self._log = (out / "said.txt").open("w+b")
        scenarios = [str(setting.scenario)] * runs
        words = ["run", *scenarios, "--design", setting.design, "--runtime", setting.runtime]
        self.process = subprocess.Popen(
            [sys.executable, "harness.py", *words, "--out", str(out)],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def folder(self, used: Collection[Path]) -> Path | None:
        """Of the latest run, if it is none of those."""
        made = sorted(self._out.glob("[!.]*/run.json"), key=lambda path: path.stat().st_mtime_ns)
        return made[-1].parent if made and made[-1].parent not in used else None

    def pid_of(self, part: str) -> int | None:
        """The process of a part, once it runs: of a container by the engine, else by the journal, the load
        generator by its command line."""
        if part == LOAD:
            for child in psutil.Process(self.process.pid).children():
                with suppress(psutil.Error):
                    if "load.locustfile" in child.cmdline():
                        return int(child.pid)
            return None
        return self._started(part) if self._engine is None else self._contained(self._engine, part)

    def _started(self, part: str) -> int | None:
        found = None
        for journal in INSTANCES.glob(f"instances/*-{self.process.pid}-*/journal.jsonl"):
            for line in journal.read_bytes().splitlines():
                entry = json.loads(line)
                if (entry["event"], entry.get("name")) == ("started", part):
                    found = int(entry["pid"])  # the last one: it may have been started again
        return found

    def _contained(self, engine: Engine, part: str) -> int | None:
        names = [name for name, labels in self.contained().items() if labels.get(PART) == part]
        states = [engine.state(name) for name in names]
        return next((state.pid for state in states if state.status == "running"), None)

    def contained(self) -> dict[str, Mapping[str, str]]:
        """What the engine has of it."""
        return made_by(self._engine, self.process.pid) if self._engine is not None else {}

    def family(self) -> list[psutil.Process]:
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:  # it ended before its last case
            return []

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Wait. Raises TimeoutError."""
        end = time.monotonic() + PATIENCE_S
        while not met():
            if self.process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"no {what}; the command said:\n{self.said}")
            time.sleep(0.02)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()
        if self._engine is not None:
            self._engine.close()


def rows_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a history as far as it is written."""
    if (path := folder / "history.jsonl").exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


def reached(case: Case, folder: Path) -> Callable[[], bool]:
    """Whether the run has come to the moment of the case."""
    if case.moment == "baseline":
        return lambda: any(row["type"] == "load" and row["offered"] for row in rows_of(folder))
    if case.moment in ("fault", "recovery"):
        event = {"fault": "active", "recovery": "healed"}[case.moment]
        return lambda: any(row.get("event") == event for row in rows_of(folder))
    return lambda: any(row["type"] == "phase" and row["name"] == "recovery" for row in rows_of(folder))


def send(command: Command, case: Case) -> float:
    """Send the signal of a case. Returns when."""
    pid = command.pid_of(case.part)
    assert pid is not None, f"{case.part} does not run:\n{command.said}"
    os.kill(pid, getattr(signal, f"SIG{case.number}"))
    return time.monotonic()


def play_at_start(case: Case, setting: Setting) -> Outcome:
    """A part that is hit as soon as it runs: the command says which, and ends."""
    outcome = Outcome(case)
    with tempfile.TemporaryDirectory(prefix="codeblue-parts-") as folder:
        command = Command(Path(folder), setting, 1)
        try:
            command.until(lambda: command.pid_of(case.part) is not None, f"start of {case.part}")
            family = command.family()
            begun = send(command, case)
            code = command.process.wait(PATIENCE_S)
            outcome.seconds, outcome.ended = time.monotonic() - begun, f"exit {code}"
            if code != INVALID:
                outcome.problems.append(f"exit code {code}, expected {INVALID}")
            _judge(outcome, command.said)
            outcome.problems += _left(command, family)
        except (TimeoutError, subprocess.TimeoutExpired, AssertionError) as error:
            outcome.problems.append(str(error))
        finally:
            command.close()
    return outcome


def play_in_one(cases: Sequence[Case], setting: Setting) -> Iterator[Outcome]:
    """All of them on one system, one run each."""
    with tempfile.TemporaryDirectory(prefix="codeblue-parts-") as folder:
        command = Command(Path(folder), setting, len(cases))
        family: list[psutil.Process] = []
        try:
            used: list[Path] = []
            for case in cases:
                outcome = Outcome(case)
                try:
                    _play_one(command, case, used, outcome)
                except (TimeoutError, AssertionError) as error:
                    outcome.problems.append(str(error))
                family = command.family() or family
                yield outcome
            code = command.process.wait(PATIENCE_S)
            last = Outcome(Case("everything", "KILL", "end"), f"exit {code}", named="")
            if code != INVALID:
                last.problems.append(f"exit code {code}, expected {INVALID}:\n{command.said}")
            last.problems += _left(command, family)
            yield last
        finally:
            command.close()


def _play_one(command: Command, case: Case, used: list[Path], outcome: Outcome) -> None:
    command.until(lambda: command.folder(used) is not None, f"run for {case}")
    folder = command.folder(used)
    assert folder is not None
    used.append(folder)
    command.until(reached(case, folder), f"{case.moment} before {case}")
    begun = send(command, case)
    command.until(lambda: any(row["type"] == "end" for row in rows_of(folder)), f"end after {case}")
    outcome.seconds = time.monotonic() - begun
    end = next(row for row in rows_of(folder) if row["type"] == "end")
    command.until((folder / "junit.xml").exists, f"judgement of {case}")
    analysis = json.loads((folder / "analysis.json").read_bytes())
    outcome.ended = str(analysis["verdict"])
    if outcome.ended != "invalid":
        outcome.problems.append(f"the verdict is {outcome.ended}, expected invalid")
    if not end["clean"]:
        outcome.problems.append("the run says that it was not cleaned up")
    _judge(outcome, str(end.get("statement", "")))


def _judge(outcome: Outcome, said: str) -> None:
    case = outcome.case
    sign = "died" if case.number == "KILL" else "was stopped"
    told = re.compile(rf"{CALLED.get(case.part, case.part)} ({sign}|.* is not ready.*SIG{case.number})")
    outcome.named = next((line.strip() for line in said.splitlines() if told.search(line)), "")
    if not outcome.named:
        outcome.problems.append(f"nobody said {told.pattern!r}:\n{said}")
    if outcome.seconds > WITHIN_S:
        outcome.problems.append(f"took {outcome.seconds:.1f} s, expected at most {WITHIN_S:g} s")


def _left(command: Command, family: list[psutil.Process]) -> list[str]:
    _, alive = psutil.wait_procs(family, timeout=5.0)
    left = [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    return [f"still there: {found}" for found in (left, list(command.contained())) if found]


def play(cases: Sequence[Case], setting: Setting) -> Iterator[Outcome]:
    """Play all cases, those at the start first."""
    for case in cases:
        if case.moment == "start":
            yield play_at_start(case, setting)
    if later := [case for case in cases if case.moment != "start"]:
        yield from play_in_one(later, setting)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", help="default: all that the run has")
    parser.add_argument("--signals", default=",".join(SIGNALS))
    parser.add_argument("--moments", default=",".join(MOMENTS))
    parser.add_argument("--runtime", default="processes")
    parser.add_argument("--scenario", type=Path, default=SCENARIO)
    options = parser.parse_args()
    setting = Setting(options.runtime, scenario=options.scenario.resolve())
    parts = options.parts.split(",") if options.parts else setting.parts()
    chosen = (parts, options.moments.split(","), options.signals.split(","))
    every = [Case(part, number, moment) for part, moment, number in itertools.product(*chosen)]
    cases = [case for case in every if (case.part, case.moment) != (LOAD, "settle")]  # it has ended by then
    outcomes = []
    for outcome in play(cases, setting):
        outcomes.append(outcome)
        state = "WRONG" if outcome.problems else "ok"
        what = f"{outcome.case!s:<38} {outcome.ended:<8} {outcome.seconds:5.1f} s"
        print(f"{state:<6}{what}  {outcome.named[:130]}", flush=True)
        for problem in outcome.problems:
            print("       " + problem.replace("\n", "\n       "), flush=True)
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    longest = max(outcome.seconds for outcome in outcomes)
    print(f"{len(cases)} cases, {wrong} wrong; at most {longest:.1f} s from a signal to the end of its run")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
