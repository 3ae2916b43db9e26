"""Where results go, and what is said where they cannot: one sentence and an exit code of its own."""

from __future__ import annotations

import errno
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import harness
from execution.runs import judging, run_folder
from experiment.errors import ExitCode, StartError
from runtimes import postgres

ROOT = Path(__file__).resolve().parents[2]
RUN = ("run", "smoke/control", "--runtime", "simulation")
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process: (exit code, standard error)."""
    monkeypatch.chdir(ROOT)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["harness.py", *words])
        with pytest.raises(SystemExit) as ended:
            harness.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


def refusing(number: int, path: Path) -> Callable[..., None]:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    return refuse


@pytest.mark.parametrize(
    "words",
    [("list",), ("list", "--json"), ("plan", "smoke/control"), ("explain", "latency"), ("plan", "no")],
)
def test_an_output_that_takes_no_more_is_told(words: tuple[str, ...]) -> None:
    """On a full disk: one sentence, exit 73, and no traceback; a mistake stays the mistake that it is."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "harness.py", *words], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    (said,) = done.stderr.splitlines()
    if words[-1] == "no":
        assert done.returncode == ExitCode.BAD_CONFIGURATION and 'found no scenario "no"' in said
    else:
        assert done.returncode == ExitCode.CANNOT_WRITE
        assert said.startswith("error: standard output: found no room for what was to be said (No space left")


def test_a_full_disk_below_both_outputs_ends_the_command_all_the_same() -> None:
    """Nobody can be told; the exit code says it."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "harness.py", "list"], cwd=ROOT, stdout=full, stderr=full)
    assert done.returncode == ExitCode.CANNOT_WRITE


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_runs_that_cannot_be_written_are_told(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    """Another user's folder, or one that is read only: what was found and what to do."""
    monkeypatch.setattr(run_folder, "_write", refusing(number, tmp_path / "run.json"))
    code, said = command(*RUN, "--out", str(tmp_path))
    assert code == ExitCode.CANNOT_WRITE
    assert (
        f"{tmp_path}/run.json: found no permission to write ({os.strerror(number)}), expected some: " in said
    )
    assert "--out" in said and "Traceback" not in said


def test_artefacts_that_are_read_only_are_told(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`check` renders the reports again, which it may not: a copy will do."""
    assert command(*RUN, "--out", str(tmp_path))[0] == 0
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    monkeypatch.setattr(judging, "write_whole", refusing(errno.EROFS, folder / "report.html"))
    code, said = command("check", str(folder))
    assert code == ExitCode.CANNOT_WRITE and "work on a copy of what is to be judged" in said


def test_results_of_another_users_checkout_go_where_one_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As those of an installed copy do."""
    monkeypatch.chdir(tmp_path)
    path = str(ROOT / "execution" / "places.py")
    assert runpy.run_path(path)["RUNS"] == ROOT / "reports" / "runs"
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = runpy.run_path(path)
    assert (found["RUNS"], found["INSTANCES"]) == (tmp_path / "reports" / "runs", tmp_path / "var")


def test_programs_of_postgresql_go_where_they_may_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not into a temporary folder that is mounted noexec, nor into one that only its owner enters."""
    noexec, closed = {"/nx"}, {"/srv/closed/var"}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "reachable", lambda path: str(path) not in closed)
    monkeypatch.setattr(Path, "is_dir", lambda _path: True)
    monkeypatch.setattr(Path, "resolve", lambda path: path)
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_NOEXEC if str(path) in noexec else 0)
    )
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/nx")
    var = Path("/srv/closed/var")
    assert postgres.place_for(Path("/srv/open")) == Path("/srv/open")
    assert postgres.place_for(var).parent == Path("/tmp")
    noexec.add("/tmp")
    assert postgres.place_for(var).parent == Path("/var/tmp")
    closed.add("/var/tmp")
    with pytest.raises(StartError, match=r"/nx is mounted noexec.*/var/tmp cannot be entered by every user"):
        postgres.place_for(var)
