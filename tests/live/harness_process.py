"""`python harness.py` as a child process, watched through the history that its run writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.standin.guards import kill_with_guards

ROOT = Path(__file__).resolve().parent.parent.parent
SCENARIOS = Path(__file__).resolve().parent / "scenarios"
WITHIN_S = 150.0


class HarnessProcess:
    """One command. `said` is what it wrote, when it has ended."""

    def __init__(self, out: Path, *words: str, **environment: str) -> None:
        self.out = out
        self._log = (out / "said.txt").open("w+b")
        self.started = subprocess.Popen(
            [sys.executable, "harness.py", *words, "--out", str(out)],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )

    @property
    def said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def exit_code(self) -> int:
        """Waits for the end."""
        try:
            return self.started.wait(WITHIN_S)
        finally:
            if self.started.poll() is None:
                self.started.terminate()

    def stop(self) -> None:
        """End it if it runs: a test that fails leaves nothing behind."""
        if self.started.poll() is None:
            self.started.terminate()
            self.started.wait(WITHIN_S)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Rows of that type in the history, as far as it is written."""
        found = []
        for path in self.out.glob("*/history.jsonl"):
            for line in path.read_bytes().split(b"\n")[:-1]:
                row = json.loads(line)
                if row["type"] == kind:
                    found.append(row)
        return found

    def until(self, event: str, times: int = 1) -> None:
        """Wait for faults to be told with that event, over all runs."""

        def told() -> bool:
            return [row["event"] for row in self.rows("fault")].count(event) >= times

        self._wait(told, f"a fault {event} {times} times")

    def _wait(self, met: Any, what: str) -> None:
        end = time.monotonic() + WITHIN_S
        while not met():
            assert self.started.poll() is None, f"ended before {what}:\n{self.said}"
            assert time.monotonic() < end, f"no {what} within {WITHIN_S:g} s:\n{self.said}"
            time.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        """Everything that it has started."""
        return list(psutil.Process(self.started.pid).children(recursive=True))

    def kill(self) -> None:
        """SIGKILL for it and its guards: the next command is to clean up."""
        kill_with_guards(self.started)

    def kill_alone(self) -> None:
        """SIGKILL for the command itself: its guards are to clean up."""
        self.started.kill()
        self.started.wait(10)


def alive(processes: list[psutil.Process]) -> list[str]:
    """Names of those that still run."""
    return [
        " ".join(process.cmdline()[:4])
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]
