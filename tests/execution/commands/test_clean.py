"""`clean` says what it found, what it could not look at, and never that all is well when it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution.commands import clean
from execution.runs import runtime_choice
from harness import cli
from runtimes.containers import sweeping
from runtimes.docker_engine import EngineError
from runtimes.leftovers import Swept


@pytest.fixture(autouse=True)
def nothing_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No journals, and an endpoint of the test's own."""
    monkeypatch.setattr(clean, "INSTANCES", tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


def test_an_engine_that_could_not_be_asked_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Most machines have no engine, so that this is no failure; but nothing is claimed of containers."""
    assert cli.main(["clean"], standalone_mode=False) == 0
    said = capsys.readouterr().out
    assert "containers were not looked for: no Docker engine answers" in said
    assert "nothing was left behind" not in said


def test_an_engine_that_fails_in_the_middle_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not seen may be left: exit code 5."""

    class Failing:
        def containers(self, label: str) -> dict[str, dict[str, str]]:
            raise EngineError("Docker could not list containers: out of memory")

        networks = volumes = containers

        def close(self) -> None: ...

    monkeypatch.setattr(sweeping, "Engine", Failing)
    assert cli.main(["clean"], standalone_mode=False) == 5
    assert "out of memory" in capsys.readouterr().out


def test_a_clean_machine_is_told_to_be_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything was looked at, and nothing found."""
    monkeypatch.setattr(runtime_choice, "sweep_unjournaled_containers", Swept)
    assert cli.main(["clean"], standalone_mode=False) == 0
    assert capsys.readouterr().out == "nothing was left behind\n"
