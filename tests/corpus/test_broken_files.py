"""Files with mistakes: each is refused quickly, at the right place, and says what was found there."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from execution.catalogue import default_catalogue
from execution.runs.preflight import validate_file
from experiment.errors import MOST_PROBLEMS, ConfigError, ExitCode
from tests.corpus.broken import Broken, broken_files

ROOT = Path(__file__).resolve().parents[2]
LAMPS = ROOT / "tests" / "fixtures" / "lamps"
HAND_MADE = sorted((ROOT / "tests" / "fixtures" / "broken").glob("*.yaml"))
VALID = {
    "scenario": (ROOT / "scenarios" / "smoke" / "charge_response_lost.yaml", 340),
    "flapping": (ROOT / "scenarios" / "smoke" / "registry_flapping.yaml", 420),
    "waivers": (ROOT / "tests" / "fixtures" / "waived.yaml", 280),
    "system": (LAMPS / "system.yaml", 180),
    "design": (LAMPS / "designs" / "patient.yaml", 40),
    "suite": (LAMPS / "suites" / "nights.yaml", 40),
}
# What may stand there all the same: free text, what may be off, and keys that may be left out.
MAY_STAND = re.compile(
    r"unknown name@(.*\.)?(name|title|command\.[0-9])|blank@(.*\.)?(title|command\.[1-9])"
    r"|unknown name@waivers\.[0-9]\.(reason|by)"
    r"|null@.*\.(success|p95|timeout|health)|misspelt key@mixes\..*"
    r"|no key@(covers|faults|title|suites|seed|link_defaults|waivers)"
)
LONGEST_S = 2.0  # of CPU time, to read one file and tell its mistakes


def refused(file: Path, system: Path | None) -> ConfigError | None:
    """The mistakes of a file, as `validate` finds them."""
    error = validate_file(file, default_catalogue(system))
    assert error is None or isinstance(error, ConfigError), f"{file}: {error}"
    return error


@pytest.mark.parametrize("kind", VALID)
def test_every_mistake_is_refused_at_its_place(kind: str, tmp_path: Path) -> None:
    """Exit code, line, and what was found, for each kind of mistake at every place where it can be made."""
    valid, least = VALID[kind]
    shutil.copytree(LAMPS, tmp_path / "lamps")
    system = tmp_path / "lamps" if valid.is_relative_to(LAMPS) else None
    made, wrong = 0, []
    for one in broken_files(valid.read_text(encoding="utf-8")):
        file = tmp_path / "lamps" / "broken.yaml"
        file.write_text(one.text, encoding="utf-8")
        before = time.process_time()
        error = refused(file, system)
        spent = time.process_time() - before
        made += error is not None
        if fault := _fault(one, error, spent):
            wrong.append(f"{one.kind}@{one.at}: {fault}")
    assert not wrong, "\n".join(wrong)
    assert made >= least


def _fault(one: Broken, error: ConfigError | None, spent_s: float) -> str:
    """What is wrong with the answer; empty: nothing."""
    if error is None:
        return "" if MAY_STAND.fullmatch(f"{one.kind}@{one.at}") else "accepted"
    told = str(error)
    if error.exit_code is not ExitCode.BAD_CONFIGURATION or spent_s > LONGEST_S:
        return f"exit code {error.exit_code}, {spent_s:.1f} s"
    if one.line and one.line not in {problem.where.line for problem in error.problems}:
        return f"not told at line {one.line}: {told[:200]}"
    if one.found not in told:
        return f"does not quote {one.found}: {told[:200]}"
    if not all(problem.found and problem.expected for problem in error.problems):
        return f"without found or expected: {told[:200]}"
    return "" if len(told) < 100_000 and "\x1b" not in told else f"{len(told)} characters"


@pytest.mark.parametrize("file", HAND_MADE, ids=lambda file: file.stem)
def test_what_makes_no_sense_is_refused(file: Path) -> None:
    """The first line of each file says where its mistake is, and words of the message."""
    expected = re.fullmatch(r"# (\d+):(\d+) (.+)", file.read_text(encoding="utf-8").split("\n")[0])
    assert expected is not None
    error = refused(file, None)
    assert error is not None
    line, column, words = expected.groups()
    told = [str(problem) for problem in error.problems]
    assert any(one.startswith(f"{file}:{line}:{column}: ") and words in one for one in told), told


def test_there_are_eight_hundred_and_more() -> None:
    """What the tests above play, counted."""
    made = sum(least for _, least in VALID.values())
    assert made + len(HAND_MADE) >= 800


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a list of 240 kB", "name: x\ntitle: [" + "1," * 118_000 + "1]\n", "50,000 keys and values"),
        ("22,000 unknown keys", "".join(f"k{n}: 1\n" for n in range(22_000)), "more mistakes"),
        ("22,000 faults", "faults: [" + "{kind: x}," * 16_000 + "]\n", "more mistakes"),
        ("one property of 240 kB", f"expect: {{invariants: [{'x' * 240_000}]}}\n", "characters)"),
        (
            "many properties",
            "expect: {invariants: [" + ",".join(f"p{n}" for n in range(20_000)) + "]}\n",
            "more",
        ),
    ],
    ids=lambda value: value if len(value) < 40 else "",
)
def test_a_large_file_is_answered_within_two_seconds_on_one_page(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    """Of thousands of mistakes fifty are told, and the others counted."""
    file = tmp_path / "large.yaml"
    file.write_text(text, encoding="utf-8")
    default_catalogue().system()  # read once, for all files
    before = time.process_time()
    error = refused(file, None)
    assert time.process_time() - before < LONGEST_S, name
    assert error is not None and words in str(error)
    assert len(str(error).splitlines()) <= 2 * MOST_PROBLEMS + 1
    assert len(str(error)) < 50_000
