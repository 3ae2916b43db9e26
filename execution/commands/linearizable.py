"""`linearizable`: register histories of any system, judged. Starts quickly: that is most of its time."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from execution.commands.lazy import Pasteable
from execution.commands.parameters import FiniteRange, json_option
from execution.commands.saying import dump, say, tell
from experiment.errors import ConfigError, ExitCode, Location, Problem, UsageError

if TYPE_CHECKING:
    from measurement.linearizability import KeyVerdict, RegisterVerdict

WORDS = {True: "linearizable", False: "not linearizable", None: "not known"}
CODES = {True: ExitCode.PASS, False: ExitCode.FAIL, None: ExitCode.INCONCLUSIVE}
WORST_FIRST = (ExitCode.BAD_CONFIGURATION, ExitCode.FAIL, ExitCode.INCONCLUSIVE, ExitCode.PASS)
STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one file: None where it could not be read, `why` where no register says it."""

    file: str
    verdict: RegisterVerdict | None
    linearizable: bool | None
    skipped: int = 0
    why: str = ""
    error: ConfigError | None = None

    @property
    def code(self) -> ExitCode:
        return ExitCode.BAD_CONFIGURATION if self.error is not None else CODES[self.linearizable]


@click.command(cls=Pasteable, epilog="Example: codeblue linearizable history.jsonl --initial 0")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--initial", metavar="JSON", help="Value of every register at the start, as JSON. [default: empty]"
)
@click.option(
    "--within",
    "within_s",
    type=FiniteRange(0.001),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time that the search may take for each file.",
)
@json_option
def linearizable(files: tuple[Path, ...], initial: str | None, within_s: float, as_json: bool) -> int:
    """FILES are JSON Lines; - is standard input. Exit 0 linearizable, 1 not, 2 not known; of several files
    the worst, 64 when one is refused. Not known is what the time allowed did not suffice for, and a file
    without any event. A history in which no operation completed is linearizable: it rules no order out.
    Lines of the process "nemesis" are skipped.
    """
    from experiment.units import noun

    start = _initial(initial)
    if len(files) == 1:
        judged = _judge(files[0], start, within_s)
        if as_json:
            dump(_json(judged))
        else:
            _say_alone(judged)
        return int(judged.code)
    found = []
    for file in files:
        try:
            found.append(_judge(file, start, within_s))
        except ConfigError as error:
            found.append(Judged(str(file), None, None, error=error))
        if not as_json:
            _say_among(found[-1])
    if as_json:
        dump([{"file": one.file, **_json(one)} for one in found])
    else:
        counts = {
            word: sum(o.linearizable is value and not o.error for o in found) for value, word in WORDS.items()
        }
        refused = sum(one.error is not None for one in found)
        words = [f"{count} {word}" for word, count in {**counts, "refused": refused}.items() if count]
        say(f"{noun(len(found), 'file')}: {', '.join(words)}")
    return int(min((one.code for one in found), key=WORST_FIRST.index))


def _judge(file: Path, initial: Any, within_s: float) -> Judged:
    from experiment.regular_files import read_regular
    from measurement.linearizability import check_register
    from measurement.register_events import read_events

    name = "standard input" if file == STDIN else str(file)
    try:
        text = (sys.stdin.buffer.read() if file == STDIN else read_regular(file)).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        found = f"no readable file ({getattr(error, 'strerror', None) or error})"
        raise ConfigError([Problem(Location(name), found, "events as JSON Lines")]) from None
    # Only \n ends a line: JSON may hold the other characters that Python takes for line ends.
    events = read_events(text.split("\n"), name)
    verdict = check_register(events.operations, initial, within_s)
    if verdict.keys or events.nothing:
        return Judged(name, verdict, verdict.linearizable, events.skipped, events.nothing)
    why = f"no operation of {events.failed} succeeded, so that no order is ruled out"
    return Judged(name, verdict, True, events.skipped, why)


def _initial(text: str | None) -> Any:
    import json

    from measurement.register_events import is_plain

    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        hint = "text needs quotes of its own: --initial '\"a\"'"
        raise UsageError(f"--initial: found {text}, expected a JSON value; {hint}") from None
    if not is_plain(value):
        raise UsageError(f"--initial: found {text}, expected a plain JSON value, which a register can hold")
    return value


def _say_alone(judged: Judged) -> None:
    from experiment.units import noun

    assert judged.verdict is not None
    for key in judged.verdict.keys:
        say(_line(key))
    if judged.skipped:
        say(f"{noun(judged.skipped, 'line')} of the nemesis skipped")
    say(_closing(judged))


def _say_among(judged: Judged) -> None:
    if judged.error is not None or judged.verdict is None:
        tell(str(judged.error))
        return
    say(f"{judged.file}: {_closing(judged)}")
    for key in judged.verdict.keys:
        if not key.linearizable:
            say(f"  {_line(key)}")


def _closing(judged: Judged) -> str:
    from experiment.units import noun

    assert judged.verdict is not None
    why = f": {judged.why}" if judged.why else ""
    counts = f"{noun(len(judged.verdict.keys), 'register')}, {judged.verdict.elapsed_s:.2f} s"
    return f"{WORDS[judged.linearizable]} ({counts}){why}"


def _line(key: KeyVerdict) -> str:
    from experiment.units import noun

    name = "register" if key.key is None else f"register {key.key}"
    counts = f"{noun(key.operations, 'operation')}, {key.indeterminate} indeterminate"
    return f"{name}: {WORDS[key.linearizable]} ({counts})" + (f": {key.why}" if key.why else "")


def _json(judged: Judged) -> dict[str, Any]:
    if judged.verdict is None:
        return {"verdict": "refused", "linearizable": None, "reason": str(judged.error), "registers": []}
    return {
        "verdict": WORDS[judged.linearizable],
        "linearizable": judged.linearizable,
        "elapsed_s": round(judged.verdict.elapsed_s, 6),
        "reason": judged.why,
        "skipped": judged.skipped,
        "registers": [
            {
                "key": key.key,
                "linearizable": key.linearizable,
                "operations": key.operations,
                "indeterminate": key.indeterminate,
                "witness": str(key.witness) if key.witness else None,
                "reason": key.reason,
            }
            for key in judged.verdict.keys
        ],
    }
