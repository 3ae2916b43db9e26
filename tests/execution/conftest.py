"""What tests of commands share: the command line, called in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import harness

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.chdir(ROOT)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["harness.py", *words])
        with pytest.raises(SystemExit) as ended:
            harness.main()
        found = capsys.readouterr()
        assert "Traceback" not in found.err, found.err
        return int(ended.value.code or 0), found.out, found.err

    return run
