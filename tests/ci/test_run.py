"""`.ci/run` on a machine in a folder: what is skipped though it could have run, or fails twice, fails it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("chromium", "docker", "dockerd", "docker-compose", "mmdebstrap")
NO_DATA = "SKIPPED [1] tests/x.py:1: CODEBLUE_DATA names no folder with synthea_r4"
NO_SERVER = "SKIPPED [1] tests/x.py:1: the real toxiproxy-server is not installed"
NO_CHROMIUM = "SKIPPED [1] tests/x.py:1: Chromium is not installed"
NO_ENGINE = "SKIPPED [1] tests/x.py:1: needs a Docker engine: none answers"


class _Machine:
    """A checkout with the real script, and programs that only say that they were called."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.programs = folder / "programs"
        (self.checkout / ".ci").mkdir(parents=True)
        self.programs.mkdir()
        shutil.copy(ROOT / ".ci" / "run", self.checkout / ".ci" / "run")
        for name in TOOLS:
            self.program(self.programs / name, "")
        for name in ("bash", "cat", "dirname", "grep", "id", "mktemp", "rm", "seq", "sleep", "tail", "tee"):
            (self.programs / name).symlink_to(shutil.which(name) or "")
        (self.programs / "python3").symlink_to(shutil.which("python3") or "")
        self.tests("", 0)

    def program(self, path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "called: {path.name} $*"\n{body}\n')
        path.chmod(0o755)

    def tests(self, shown: str, code: int, again: int = 0) -> None:
        """What `make test` shows and ends with, and how the failed tests end the second time."""
        body = f'if [ "$1" = test ]; then echo "{shown}"; exit {code}; fi'
        self.program(self.programs / "make", body)
        self.program(self.checkout / "ci" / "retry.sh", f"exit {again}")

    def run(self) -> subprocess.CompletedProcess[str]:
        # Whether Go is there is for the test to say, not for this machine.
        script = self.checkout / ".ci" / "run"
        script.write_text(script.read_text().replace("/usr/local/go/bin", str(self.programs)))
        environment = {"PATH": str(self.programs), "TMPDIR": str(self.checkout)}
        if "LANG" in os.environ:
            environment["LANG"] = os.environ["LANG"]
        command = [str(self.programs / "bash"), str(script)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> _Machine:
    return _Machine(tmp_path)


def test_all_green_is_green_and_leaves_no_files_behind(machine: _Machine) -> None:
    """Checks, images and tests, in this order."""
    ran = machine.run()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    called = [line for line in ran.stdout.splitlines() if line.startswith("called: make")]
    assert called == [f"called: make {what}" for what in ("check", "images OFFLINE=1", "test")]
    assert {path.name for path in machine.checkout.iterdir()} == {".ci", "ci"}


@pytest.mark.parametrize("skip", [NO_CHROMIUM, NO_ENGINE])
def test_a_skip_of_what_could_be_installed_fails_the_run(machine: _Machine, skip: str) -> None:
    """Its name is shown."""
    machine.tests(skip, 0)
    ran = machine.run()
    assert ran.returncode == 1
    assert f"skipped although this machine could run it:\n{skip}" in ran.stdout


def test_data_and_go_that_this_machine_does_not_have_may_be_skipped(machine: _Machine) -> None:
    """Nobody can install what is not published, nor build without a compiler."""
    machine.tests(f"{NO_DATA}\n{NO_SERVER}", 0)
    assert machine.run().returncode == 0


def test_data_beside_the_checkout_may_not_be_skipped(machine: _Machine) -> None:
    """It is found whatever its folder is called."""
    (machine.checkout.parent / "anything" / "data" / "synthea_r4").mkdir(parents=True)
    machine.tests(NO_DATA, 0)
    assert NO_DATA in machine.run().stdout.partition("could run it:")[2]


def test_with_go_the_real_toxiproxy_is_built_and_may_not_be_skipped(machine: _Machine) -> None:
    """Where one can be built, tests against the real server are run."""
    machine.program(machine.programs / "go", "")
    machine.tests(NO_SERVER, 0)
    ran = machine.run()
    assert "called: make toxiproxy" in ran.stdout
    assert ran.returncode == 1


@pytest.mark.parametrize("again", [0, 1])
def test_failed_tests_decide_at_their_second_run(machine: _Machine, again: int) -> None:
    """What the second run of the failed tests says decides; see test_retry.py for what it runs."""
    machine.tests("FAILED tests/x.py::test_it", 1, again)
    ran = machine.run()
    assert ran.returncode == again
    assert "called: retry.sh" in ran.stdout
