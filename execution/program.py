"""The name and the version of the tool: how it was started here, so that what it prints can be pasted."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from execution.places import CHECKOUT, COMMIT_FILE, HOME, ROOT

NAME = "codeblue"
COMPLETES = "_CODEBLUE_COMPLETE"  # the variable by which a shell asks for completions
GIT_WITHIN_S = 5.0
# A command in a text: `codeblue list`, or one that begins a line or follows "Example:".
WRITTEN = re.compile(rf"(?<=[`\s]){NAME}(?= [a-z-])")


def program() -> tuple[str, ...]:
    """The words that start this tool from the working directory: `codeblue` where the shell finds this very
    installation, else the path of its command, else `python harness.py`."""
    installed = Path(sys.executable).parent / NAME
    started = Path(sys.argv[0])
    if started.name == NAME or (started.name != "harness.py" and installed.is_file()):
        command = started if started.name == NAME else installed
        found = _which(NAME)
        if found and Path(found).resolve() == command.resolve():
            return (NAME,)
        return (pasteable(command),)
    python = next((name for name in ("python", "python3") if _which(name)), sys.executable)
    return (python, pasteable(ROOT / "harness.py"))


def _which(name: str) -> str:
    """What the shell would start; shutil's function costs more than the rest of a quick command's start."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def pasteable(path: Path) -> str:
    """A path as it is typed in the working directory: short in the folder where results go, which is where a
    command of a report is pasted, and whole from elsewhere."""
    path = path.absolute()
    short = Path.cwd() == HOME and path.is_relative_to(HOME)
    return str(path.relative_to(HOME)) if short else str(path)


def typed() -> str:
    """The command as it was typed."""
    return shlex.join([*program(), *sys.argv[1:]])


def as_started_here(text: str) -> str:
    """A text in which every command that it names begins as the tool was started here."""
    return WRITTEN.sub(shlex.join(program()), text)


def version_text() -> str:
    """`0.1.0, commit 1a2b3c4d5e6f`; without the commit where it is not known."""
    commit = git_commit(ROOT)
    return f"{_number()}, commit {commit}" if commit else _number()


def _number() -> str:
    if not CHECKOUT:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("code-blue")
        except PackageNotFoundError:
            return "unknown version"
    import tomllib

    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(found["project"]["version"])


def git_commit(root: Path) -> str:
    """The commit of the working tree, with `+` when it has changes; of an installed copy the one that it was
    made from. Empty where there is none."""
    if not CHECKOUT and root.is_relative_to(ROOT):
        return COMMIT_FILE.read_text(encoding="utf-8").strip() if COMMIT_FILE.is_file() else ""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except OSError:
        return ""
    return commit + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    """What git says. Raises OSError, also for a refusal."""
    from experiment.children import run_child

    done = run_child(["git", *words], cwd=root, within_s=GIT_WITHIN_S)
    if done.code != 0:
        raise OSError(done.err.strip())
    return done.out.strip()
