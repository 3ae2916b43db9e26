"""What `--json` prints: one envelope for every command, and one for what failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from experiment.errors import CodeBlueError, ConfigError, Problem

VERSION: Literal[1] = 1
# `found A, expected B: did you mean "C"?`, where a message that has no place is told so.
SAID = re.compile(
    r"(?:.*?: )?found (?P<found>.+?), expected (?P<expected>.+?)(?:: (?P<hint>(?:did you mean|known:).*))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found. `kind` is the command, such as `run` or `selfcheck gate`; what `result` holds
    depends on it."""

    version: Literal[1]  # of this envelope; it counts up when a reader would have to change
    kind: str  # the command, without its options
    result: Any  # what it found


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake; a part that is not known is null."""

    message: str  # the whole sentence, as it is told without --json
    file: str | None = None  # the file that it stands in
    line: int | None = None  # counted from 1
    column: int | None = None  # counted from 1
    found: str | None = None  # what stands there
    expected: str | None = None  # what was expected
    hint: str | None = None  # what to do


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command found nothing."""

    version: Literal[1]  # of this envelope; it counts up when a reader would have to change
    kind: Literal["error"]  # always `error`
    exit_code: int  # what the command ends with
    errors: tuple[Mistake, ...]  # every mistake, in the order of the files


def failure(message: str, code: int, error: Exception | None = None) -> Failure:
    """The envelope of an error and its message."""
    problems = error.problems if isinstance(error, ConfigError) else ()
    mistakes = tuple(map(mistake, problems)) or (_said(message),)
    return Failure(VERSION, "error", code, mistakes)


def mistakes_of(error: CodeBlueError) -> tuple[Mistake, ...]:
    """The objects of an error; of one that names no place its message alone."""
    return failure(str(error), int(error.exit_code), error).errors


def mistake(problem: Problem) -> Mistake:
    """A problem of a file as an object."""
    where, hint = problem.where, problem.hint or None
    return Mistake(str(problem), where.file, where.line, where.column, problem.found, problem.expected, hint)


def _said(message: str) -> Mistake:
    told = SAID.fullmatch(message)
    if told is None:
        return Mistake(message)
    return Mistake(message, found=told["found"], expected=told["expected"], hint=told["hint"])
