"""The packages of the services as wheels in a folder, fetched once for each set of pins."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from experiment.children import run_child
from experiment.errors import StartError
from runtimes.leftovers import Journal

DEADLINE_S = 600.0


def wheelhouse(requirements: Path, cache: Path, python: str, journal: Journal) -> Path:
    """A folder with a wheel of every package and of pip, for a Python such as "3.11". CODEBLUE_WHEELHOUSE
    names one brought along.

    Raises StartError with what pip said.
    """
    brought = os.environ.get("CODEBLUE_WHEELHOUSE")
    if brought:
        folder = Path(brought)
        if not list(folder.glob("pip-*.whl")):
            raise StartError(
                f"CODEBLUE_WHEELHOUSE is {folder}; expected a folder of wheels, pip's among them"
            )
        return folder
    named = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()[:12]
    folder = cache / f"wheels-{named}"
    if folder.is_dir():
        return folder
    partial = cache / f"wheels-{named}.{os.getpid()}"
    journal.write("folder", path=str(partial))
    partial.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--python-version", python, "--dest", str(partial)]
    command += ["-r", str(requirements), "pip"]
    marked = {**os.environ, **journal.environment()}
    done = run_child(command, within_s=DEADLINE_S, environment=marked, stop=journal.stop)
    if done.code != 0:
        shown = "\n".join(f"    {line}" for line in done.err.splitlines()[-8:])
        shutil.rmtree(partial, ignore_errors=True)
        raise StartError(
            f"pip could not fetch the wheels of {requirements.name} for Python {python}; bring them along in "
            f"a folder and name it in CODEBLUE_WHEELHOUSE. pip said:\n{shown}"
        )
    partial.rename(folder)
    return folder
