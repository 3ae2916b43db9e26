"""The first files of a compose application, written and checked: nothing of the user's is overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from discovery.composed import Found, found_in
from discovery.first_files import FILL_IN, first_files
from execution.catalogue import SYSTEM_FILE, default_catalogue
from execution.runs.preflight import validate_file
from execution.whole_files import write_whole
from experiment.compose_file import ComposeService, read_compose
from experiment.errors import ConfigError, Location, Problem, UsageError
from experiment.names import require_name


@dataclass(frozen=True, slots=True)
class Written:
    """What was found and written. `remarks` say what a reader of the files must know beside."""

    files: tuple[Path, ...]
    found: Found
    to_fill_in: int
    remarks: tuple[str, ...]


def write_first_system(compose: Path, folder: Path, name: str, profiles: Sequence[str]) -> Written:
    """Write the files into a folder and validate each. Raises ConfigError for a compose file that cannot be
    wired, by name of what stands against it, and UsageError for files that are there."""
    services = read_compose(compose)
    _refuse(services, profiles, compose)
    found = found_in(services, profiles)
    if not found.services:
        left = f"; in profiles: {', '.join(found.left_out)}" if found.left_out else ""
        raise ConfigError([Problem(Location(str(compose)), f"no service to start{left}", "one at least")])
    texts = first_files(name or _name(compose), os.path.relpath(compose.resolve(), folder.resolve()), found)
    there = [str(folder / path) for path in texts if (folder / path).exists()]
    if there:
        raise UsageError(f"found {', '.join(there)}, expected a folder without them: nothing is overwritten")
    files = tuple(folder / path for path in texts)
    for path, text in zip(files, texts.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    for path in files:
        error = validate_file(path, default_catalogue(folder / SYSTEM_FILE))
        if error is not None:
            raise error
    to_fill_in = sum(FILL_IN in line for text in texts.values() for line in text.splitlines())
    return Written(files, found, to_fill_in, tuple(_remarks(found)))


def _refuse(services: dict[str, ComposeService], profiles: Sequence[str], compose: Path) -> None:
    """Every reason at once why the file's services cannot be played as they are."""
    problems = [problem for one in services.values() for problem in one.refused]
    known = {profile for one in services.values() for profile in one.profiles}
    for profile in profiles:
        if profile not in known:
            expected = f"one of the file's profiles: {', '.join(sorted(known)) or 'it has none'}"
            problems.append(Problem(Location(str(compose)), f'the profile "{profile}"', expected))
    for name in services:
        try:
            require_name(name)
        except ValueError as error:
            found, _, expected = str(error).partition("; expected ")
            problems.append(Problem(Location(str(compose)), found, expected))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _name(compose: Path) -> str:
    """The folder's name, as far as it can be the name of a system."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", compose.resolve().parent.name).strip("-._")
    return name[:80] or "system"


def _remarks(found: Found) -> list[str]:
    guessed = [f"{link.caller} -> {link.callee}" for link in found.links if not link.sure]
    remarks = []
    if guessed:
        remarks.append(f"only depends_on says that these may be links: {', '.join(guessed)}")
    if found.left_out:
        remarks.append(f"left out, since they are in a profile: {', '.join(found.left_out)}")
    return remarks
