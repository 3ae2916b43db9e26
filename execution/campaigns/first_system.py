"""The first files of a compose application, written and checked: nothing of the user's is overwritten."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import requests

from discovery.composed import Found, FoundService, found_in
from discovery.first_attached import ALLOW_FILE, allow_file, found_running, of_running
from discovery.first_files import FILL_IN, Origin, entry_of, first_files, of_compose
from discovery.first_processes import found_processes, of_processes
from discovery.first_tasks import tasks_text
from discovery.openapi import FoundOperation, journeys_text, operations_of
from discovery.process_file import read_processes
from execution.catalogue import SYSTEM_FILE, default_catalogue
from execution.places import ROOT
from execution.runs.preflight import validate_file
from execution.whole_files import write_whole
from experiment.children import ChildTimeout, run_child
from experiment.compose_file import ComposeService, read_compose
from experiment.compose_text import read_variables
from experiment.decoding import plain
from experiment.errors import ConfigError, Location, Problem, UsageError, nearest, told_of
from experiment.names import require_name
from experiment.regular_files import read_regular
from experiment.yaml_source import parse_yaml

MOST_BYTES = 10_000_000  # of an API's description
ANSWERED_WITHIN_S = 10.0
LOADED_WITHIN_S = 60.0
MOST_SAID = 1000  # characters


@dataclass(frozen=True, slots=True)
class Written:
    """What was found and written: names of services, links as `caller -> callee`. `remarks` say what a reader
    of the files must know beside."""

    files: tuple[Path, ...]
    services: tuple[str, ...]
    links: tuple[str, ...]
    to_fill_in: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files are to be about beside the compose file: empty, and nothing, where it is left to us.
    `openapi` is a file or an address of an API's description, `entry` the service where users come in."""

    name: str = ""
    profiles: Sequence[str] = ()
    openapi: str = ""
    entry: str = ""
    locust: Path | None = None
    """A locustfile whose tasks are the journeys."""


def write_first_processes(file: Path, folder: Path, wanted: Wanted) -> Written:
    """As `write_first_system`, of a Procfile and the variables of `.env` beside it. Raises ConfigError,
    UsageError."""
    text = read_regular(file, MOST_BYTES).decode()
    variables = file.parent / ".env"
    known = read_variables(variables) if variables.is_file() else {}
    processes = read_processes(text, known, str(file))
    found = found_processes(processes)
    refuse_names([one.name for one in processes], file)
    beside, home = (os.path.relpath(path.resolve(), folder.resolve()) for path in (file, file.parent))
    return _write(
        folder, wanted.name or name_of(file), of_processes(beside, home, processes, found), found, wanted
    )


def write_first_system(compose: Path, folder: Path, wanted: Wanted) -> Written:
    """Write the files into a folder and validate each. Raises ConfigError for a compose file that cannot be
    wired, by name of what stands against it, and UsageError for files that are there."""
    profiles = wanted.profiles
    services = read_compose(compose)
    _refuse(services, profiles, compose)
    found = found_in(services, profiles)
    if not found.services:
        left = f"; in profiles: {', '.join(found.left_out)}" if found.left_out else ""
        raise ConfigError([Problem(Location(str(compose)), f"no service to start{left}", "one at least")])
    beside = os.path.relpath(compose.resolve(), folder.resolve())
    return _write(folder, wanted.name or name_of(compose), of_compose(beside, found), found, wanted)


def write_first_attached(targets: Sequence[str], folder: Path, wanted: Wanted) -> Written:
    """As `write_first_system`, of a system that runs already: a compose project by its name, or its parts,
    each as NAME=HOST:PORT. Raises UsageError, StartError."""
    from runtimes.attach.seen import see_processes, see_project

    places = {name: place for name, equals, place in (one.partition("=") for one in targets) if equals}
    if len(places) not in (0, len(targets)) or (not places and len(targets) > 1):
        raise UsageError(
            f"found --attach {' --attach '.join(targets)}, expected one compose project, or NAME=HOST:PORT "
            "of every part, each name once"
        )
    project = "" if places else targets[0]
    try:
        seen = see_processes(places) if places else see_project(project)
    except ValueError as error:
        raise UsageError("found {}, expected {}".format(*told_of(error))) from None
    refuse_names(seen.parts, Path(project or "--attach"))
    found = found_running(seen.parts, seen.connected)
    written = _write(
        folder,
        wanted.name or project or folder.resolve().parent.name,
        of_running(project, places, found),
        found,
        wanted,
        {ALLOW_FILE: allow_file(project, places, found)},
    )
    remarks = [f"left out, since they do not run: {', '.join(seen.ended)}"] if seen.ended else []
    return replace(written, remarks=(*written.remarks, *remarks))


def _write(
    folder: Path,
    name: str,
    origin: Origin,
    found: Found,
    wanted: Wanted,
    beside: Mapping[str, str] = MappingProxyType({}),
) -> Written:
    """`beside` are files more, path to text."""
    refuse_names([name], folder)
    entry = _entry(found, wanted.entry)
    journeys, played = "", list[str]()
    uses = [f"{link.caller} -> {link.callee}" for link in found.reached(entry.name)]
    if wanted.locust:
        file = os.path.relpath(wanted.locust.resolve(), folder.resolve())
        journeys, played = tasks_text(file, _tasks(wanted.locust), entry.name, uses)
    elif wanted.openapi:
        journeys, played = journeys_text(_operations(wanted.openapi), entry.name, uses)
    texts = first_files(name, origin, found, entry, journeys, played) | dict(beside)
    files = write_checked(folder, texts)
    to_fill_in = sum(FILL_IN in line for text in texts.values() for line in text.splitlines())
    links = tuple(f"{one.caller} -> {one.callee}" for one in found.links)
    names = tuple(one.name for one in found.services)
    return Written(files, names, links, to_fill_in, tuple(_remarks(found)))


def write_checked(folder: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the files of a system, path in its folder to text, and validate each. Raises UsageError when one
    is there."""
    there = [str(folder / path) for path in texts if (folder / path).exists()]
    if there:
        raise UsageError(f"found {', '.join(there)}, expected a folder without them: nothing is overwritten")
    files = tuple(folder / path for path in texts)
    for path, text in zip(files, texts.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    for path in files:
        error = (
            validate_file(path, default_catalogue(folder / SYSTEM_FILE)) if path.suffix == ".yaml" else None
        )
        if error is not None:
            raise error
    return files


def _entry(found: Found, name: str) -> FoundService:
    """The service of that name; of none the one that users probably call. Raises UsageError."""
    known = {one.name: one for one in found.services}
    if not name:
        return entry_of(found)
    if name not in known:
        raise UsageError(f'found no service "{name}", expected one of the file: {nearest(name, known)}')
    return known[name]


def _tasks(file: Path) -> dict[str, float]:
    """Task to share of a locustfile, which a process of its own loads. Raises ConfigError."""
    try:
        told = run_child(
            [sys.executable, "-m", "load.tasks", str(file.resolve())], within_s=LOADED_WITHIN_S, cwd=ROOT
        )
    except ChildTimeout:
        found = f"a file that did not load within {LOADED_WITHIN_S:g} s"
        raise ConfigError([Problem(Location(str(file)), found, "a locustfile")]) from None
    if told.code != 0:
        found = told.err.strip()[-MOST_SAID:]
        raise ConfigError([Problem(Location(str(file)), found, "a locustfile that can be loaded")])
    shares: dict[str, float] = json.loads(told.out.splitlines()[-1])
    return shares


def _operations(named: str) -> tuple[FoundOperation, ...]:
    """The operations of an API's description, in a file or at an address. Raises ConfigError."""
    try:
        text = _text_of(named)
        document = (
            plain(parse_yaml(text, named, aliases=True)) if text.lstrip()[:1] != "{" else json.loads(text)
        )
        found = operations_of(document)
        if not found:
            raise ValueError("an API without an operation; expected one at least")
    except (OSError, ValueError, RecursionError) as error:
        what, expected = told_of(error) if isinstance(error, ValueError) else (str(error), "a description")
        raise ConfigError([Problem(Location(named), what, expected)]) from None
    return found


def _text_of(named: str) -> str:
    if not named.startswith(("http://", "https://")):
        return read_regular(Path(named), MOST_BYTES).decode()
    answer = requests.get(named, timeout=ANSWERED_WITHIN_S)
    answer.raise_for_status()
    return answer.text


def _refuse(services: dict[str, ComposeService], profiles: Sequence[str], compose: Path) -> None:
    """Every reason at once why the file's services cannot be played as they are."""
    problems = [problem for one in services.values() for problem in one.refused]
    known = {profile for one in services.values() for profile in one.profiles}
    for profile in profiles:
        if profile not in known:
            expected = f"one of the file's profiles: {', '.join(sorted(known)) or 'it has none'}"
            problems.append(Problem(Location(str(compose)), f'the profile "{profile}"', expected))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    refuse_names(services, compose)


def refuse_names(names: Iterable[str], file: Path) -> None:
    """Raises ConfigError for what no service and no system can be called."""
    problems: list[Problem] = []
    for name in names:
        try:
            require_name(name)
        except ValueError as error:
            problems.append(Problem(Location(str(file)), *told_of(error)))
    if problems:
        raise ConfigError(problems)


def name_of(compose: Path) -> str:
    """The folder's name, as far as it can be the name of a system."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", compose.resolve().parent.name).strip("-._")
    return name[:80] or "system"


def _remarks(found: Found) -> list[str]:
    guessed: dict[str, list[str]] = {}
    for link in found.links:
        if not link.sure:
            guessed.setdefault(link.mentions[0].where, []).append(f"{link.caller} -> {link.callee}")
    remarks = [
        f"only {where} says that these may be links: {', '.join(names)}" for where, names in guessed.items()
    ]
    if found.left_out:
        remarks.append(f"left out, since they are in a profile: {', '.join(found.left_out)}")
    return remarks
