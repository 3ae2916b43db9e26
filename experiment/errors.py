"""Errors a user can act on: where, what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from experiment.plain_text import block, line, seen


class ExitCode(IntEnum):
    """What a command says to the shell; the only place these numbers stand."""

    PASS = 0
    FAIL = 1
    INCONCLUSIVE = 2
    INVALID = 3
    SAFETY_VETO = 4
    CLEANUP_INCOMPLETE = 5
    BAD_CONFIGURATION = 64
    INTERNAL_ERROR = 70
    CANNOT_WRITE = 73
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MOST_PROBLEMS = 50  # that are told of one file

# The signals that end a command in order, by their names in a history, and what it then says to the shell.
SIGNALS = {
    "SIGINT": ExitCode.INTERRUPTED,
    "SIGTERM": ExitCode.TERMINATED,
    "SIGHUP": ExitCode.HUNG_UP,
}


GRAVITY = (
    ExitCode.CLEANUP_INCOMPLETE,
    ExitCode.TERMINATED,
    ExitCode.INTERRUPTED,
    ExitCode.HUNG_UP,
    ExitCode.SAFETY_VETO,
    ExitCode.INVALID,
    ExitCode.FAIL,
    ExitCode.INCONCLUSIVE,
    ExitCode.PASS,
)


def gravest(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code of several runs together; of none it is inconclusive, since nothing was seen."""
    return min(codes, key=GRAVITY.index, default=ExitCode.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: `found` and `expected` read as the two halves of a sentence, and quote at most
    so much of the file as a person reads."""

    where: Location
    found: str
    expected: str
    hint: str = ""

    def __post_init__(self) -> None:
        for name, most in (("found", 300), ("expected", 1_000), ("hint", 1_000)):
            object.__setattr__(self, name, line(seen(getattr(self, name)), most))

    def __str__(self) -> str:
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{self.where}: found {self.found}, expected {self.expected}{hint}"


class CodeBlueError(Exception):
    """Base of every error that is reported as a message and an exit code, not as a traceback. The message may
    quote logs and files: it is plain text from here on."""

    exit_code = ExitCode.INTERNAL_ERROR

    def __init__(self, message: str = "") -> None:
        super().__init__(block(message))


class ConfigError(CodeBlueError):
    """One or more mistakes in scenario, design, suite or system files; nothing was started."""

    exit_code = ExitCode.BAD_CONFIGURATION

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        told = [str(problem) for problem in self.problems[:MOST_PROBLEMS]]
        if left := len(self.problems) - len(told):
            told.append(f"and {left:,} more {'mistake' if left == 1 else 'mistakes'}")
        super().__init__("\n".join(told))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        """Across processes it travels as its problems."""
        return ConfigError, (self.problems,)


class UsageError(CodeBlueError):
    """A mistake on the command line that names a thing which does not exist."""

    exit_code = ExitCode.BAD_CONFIGURATION

    def __init__(self, message: str = "") -> None:
        super().__init__(seen(message))


class UnsupportedError(CodeBlueError):
    """The chosen runtime cannot do what a scenario asks; refused by name before anything starts."""

    exit_code = ExitCode.BAD_CONFIGURATION


class StartError(CodeBlueError):
    """A part of the system did not become ready; the message carries status and last log lines."""

    exit_code = ExitCode.INVALID


class CleanupError(CodeBlueError):
    """Something that was started or injected could not be stopped or healed."""

    exit_code = ExitCode.CLEANUP_INCOMPLETE


class HistoryError(CodeBlueError):
    """A run folder or history file that cannot be read."""

    exit_code = ExitCode.BAD_CONFIGURATION


class OutputError(CodeBlueError):
    """Results cannot be written where they were to go: another user's folder, read-only, a full output."""

    exit_code = ExitCode.CANNOT_WRITE


class StorageError(CodeBlueError):
    """The disk did not take what a run has to keep; its history holds what was written until then."""

    exit_code = ExitCode.INVALID


def told_of(error: ValueError) -> tuple[str, str]:
    """(found, expected) of a mistake that a value found in itself; its message is `found; expected ...`."""
    found, _, expected = str(error).partition("; expected ")
    return found, expected or "values that fit together"


def nearest(name: str, names: Iterable[str], listed: Iterable[str] | None = None) -> str:
    """A sentence naming the nearest right name, or the list of right names when none is near: of all, or of
    those `listed`, where some things have several names."""
    from difflib import get_close_matches  # only mistakes need it, and it is slow to import

    known = sorted(names)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        # Letters of other scripts look like ours: two words that seem equal are told apart by them.
        odd = dict.fromkeys(f"U+{ord(one):04X}" for one in name if one not in close[0] and not one.isascii())
        return f'did you mean "{close[0]}"?' + (f" (found {', '.join(odd)})" if odd else "")
    known = known if listed is None else sorted(listed)
    return f"known: {', '.join(known)}" if known else "none is defined"
