"""The tool outside a checkout: what is installed is whole, and `python harness.py` finds its packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from execution.places import ROOT
from execution.program import as_started_here, pasteable, program

NOT_INSTALLED = {".ci", "benchmarks", "ci", "docs", "examples", "tests"}
LAUNCH = "import sys, codeblue; sys.argv[0] = 'codeblue'; codeblue.main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a wheel, as pip puts them into an environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*build, "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def codeblue(site: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder that has nothing of the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-c", LAUNCH, *words],
        cwd=home, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_every_folder_of_the_product_is_installed(installed: Path) -> None:
    """A new folder of the root is either part of the installed tool or known not to be."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    folders = {Path(name).parts[0] for name in tracked.stdout.split("\n") if "/" in name}
    there = {path.name for path in (installed / "codeblue").iterdir() if path.is_dir()}
    assert folders - NOT_INSTALLED == there - {"docs"}
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"codeblue"}


def test_an_installed_copy_works_in_any_folder(installed: Path, tmp_path: Path) -> None:
    """It has its system, scenarios, schemas and image recipes; what it writes lands where it is called."""
    assert " valid, 0 with mistakes" in codeblue(installed, tmp_path, "validate").stdout
    done = codeblue(installed, tmp_path, "run", "smoke/control", "--runtime", "simulation", "--json")
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["result"]
    assert Path(run["folder"]).parent == tmp_path / "reports" / "runs"
    inside = installed / "codeblue"
    for needed in ("docs/schemas/scenario.schema.json", "reference_system/images/toxiproxy.Dockerfile",
                   "reference_system/requirements.txt", "reports/templates/run.html"):  # fmt: skip
        assert (inside / needed).is_file(), needed
    assert not list(inside.rglob("reports/runs"))


def test_an_installed_copy_says_its_version_and_commit(installed: Path, tmp_path: Path) -> None:
    """The commit is the one that it was made from, also inside somebody else's repository."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    said = codeblue(installed, tmp_path, "--version").stdout
    made_from = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.startswith("codeblue 0.") and f", commit {made_from.stdout.strip()}" in said


def bare_python(folder: Path) -> Path:
    """A Python without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def checkout_in(folder: Path) -> Path:
    """A folder with harness.py and what it imports, but no environment."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name in ("execution", "experiment", "harness.py", "pyproject.toml"):
            (folder / path.name).symlink_to(path)
    (folder / "harness.py").unlink()
    shutil.copy(ROOT / "harness.py", folder)
    return folder


def test_harness_py_starts_again_in_its_own_environment(tmp_path: Path) -> None:
    """A Python without the packages finds those in .venv; where that lacks them too it ends, and says how."""
    python, home = bare_python(tmp_path / "bare"), checkout_in(tmp_path / "checkout")
    harness = [str(python), "harness.py", "--version"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(harness, cwd=home, capture_output=True, text=True, timeout=60)

    without = run()
    assert without.returncode == 64
    assert without.stderr.count("\n") == 1 and "run `make install`, then .venv/bin/codeblue" in without.stderr
    bare_python(home / ".venv")
    assert (run().returncode, run().stderr) == (64, without.stderr)
    (home / ".venv" / "bin" / "python").unlink()
    shell = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    (home / ".venv" / "bin" / "python").write_text(shell, encoding="utf-8")
    (home / ".venv" / "bin" / "python").chmod(0o755)
    assert run().stdout.startswith("codeblue 0.")


def test_commands_in_messages_begin_as_the_tool_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`codeblue` where the shell finds it, its path where not, `python harness.py` where that was typed."""
    command = tmp_path / "bin" / "codeblue"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(command), "list"])
    monkeypatch.setenv("PATH", str(command.parent))
    assert program() == ("codeblue",)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert program() == (str(command),)
    text = "try `codeblue list --runs`, not codeblue.py"
    assert as_started_here(text) == f"try `{command} list --runs`, not codeblue.py"
    monkeypatch.setattr("sys.argv", ["harness.py", "list"])
    assert program()[1:] == ("harness.py",)


def test_commands_can_be_pasted_where_the_tool_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Paths are short in the folder where results go, and whole in any other."""
    monkeypatch.setattr("sys.argv", ["harness.py", "list"])
    monkeypatch.chdir(ROOT)
    assert (program()[1], pasteable(ROOT / "docs")) == ("harness.py", "docs")
    monkeypatch.chdir(tmp_path)
    assert (program()[1], pasteable(ROOT / "docs")) == (str(ROOT / "harness.py"), str(ROOT / "docs"))
