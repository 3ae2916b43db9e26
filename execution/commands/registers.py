"""Judging register histories; in a file of its own, since it must start quickly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from execution.commands.saying import dump, say
from experiment.errors import ConfigError, ExitCode, Location, Problem, UsageError
from measurement.linearizability import KeyVerdict, RegisterVerdict, check_register
from measurement.register_events import read_events

WORDS = {True: "linearizable", False: "not linearizable", None: "not known"}
CODES = {True: ExitCode.PASS, False: ExitCode.FAIL, None: ExitCode.INCONCLUSIVE}


def linearizable(file: Path, initial: str | None, within_s: float, as_json: bool) -> int:
    """0 linearizable, 1 not, 2 not known within the time or nothing to judge."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = f"no readable file ({error})"
        raise ConfigError([Problem(Location(str(file)), found, "events as JSON Lines")]) from None
    verdict = check_register(read_events(lines, str(file)), _initial(initial), within_s)
    if as_json:
        dump(_json(verdict))
    else:
        for key in verdict.keys:
            say(_line(key))
        say(f"{WORDS[verdict.linearizable]} ({len(verdict.keys)} registers, {verdict.elapsed_s:.2f} s)")
    return int(CODES[verdict.linearizable])


def _initial(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        mend = "text needs quotes of its own: --initial '\"a\"'"
        raise UsageError(f"--initial: found {text}, expected a JSON value; {mend}") from None


def _line(key: KeyVerdict) -> str:
    name = "register" if key.key is None else f"register {key.key}"
    counts = f"{key.operations} operations, {key.indeterminate} indeterminate"
    why = f": {key.witness}" if key.witness else f": {key.reason}" if key.reason else ""
    return f"{name}: {WORDS[key.linearizable]} ({counts}){why}"


def _json(verdict: RegisterVerdict) -> dict[str, Any]:
    return {
        "verdict": WORDS[verdict.linearizable],
        "linearizable": verdict.linearizable,
        "elapsed_s": round(verdict.elapsed_s, 6),
        "registers": [
            {
                "key": key.key,
                "linearizable": key.linearizable,
                "operations": key.operations,
                "indeterminate": key.indeterminate,
                "witness": str(key.witness) if key.witness else None,
                "reason": key.reason,
            }
            for key in verdict.keys
        ],
    }
