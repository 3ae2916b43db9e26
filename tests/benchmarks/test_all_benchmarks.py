"""`python -m benchmarks` runs all that can be run, and says what cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as every
from experiment.errors import StartError

FOLDER = Path(every.__file__).parent


def test_every_benchmark_with_a_command_line_takes_part() -> None:
    """All but those that take half an hour or more, and the traffic that another one sends."""
    runnable = {path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert runnable - {"__main__", "toxiproxy_traffic", *every.LONG} == set(every.BENCHMARKS)


@pytest.mark.parametrize("engine", [True, False])
def test_containers_are_measured_where_an_engine_answers(
    engine: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where none does the reason is shown, and that is no failure."""
    ran: list[str] = []

    def look() -> None:
        if not engine:
            raise StartError("no Docker engine answers")

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:2] == [sys.executable, "-m"]
        ran.append(command[2].removeprefix("benchmarks."))
        return subprocess.CompletedProcess(command, int(ran[-1] == "load"))

    monkeypatch.setattr(every, "require_images", look)
    monkeypatch.setattr("benchmarks.__main__.subprocess.run", run)
    assert every.main() == 1
    said = capsys.readouterr().out
    assert ran == [name for name in every.BENCHMARKS if engine or name not in every.OF_CONTAINERS]
    assert ("left out: no Docker engine answers" in said) == (not engine)
    assert said.endswith("not carried out: load\n")
