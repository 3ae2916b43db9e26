"""Every command from its words to its exit code, on the twin: nothing is started, all of the rest is real."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import harness

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
    ROOT / "reference_system" / "README.md",
]
# In a block of commands, in backquotes, or in a help text's example.
EXAMPLE = re.compile(r"(?:^ *(?:Examples?: )?|`)codeblue ([^`#\n]+)", re.MULTILINE)
PLACEHOLDERS = re.compile(
    r"\b(my_system|resilience|COMMAND|NAME|RUN|FILE|FILES|DIR|SUITE)\b|\.\.\.|\.\./| new\b"
)
STARTS_NOTHING = {
    *("list", "designs", "explain", "diff", "completion", "validate", "plan", "schema", "doctor"),
    *("check-wiring", "--version", "--help"),
}


def examples() -> list[tuple[str, str]]:
    """(page, words) of every command that the documentation or a help text shows."""
    texts = {
        str(page.relative_to(ROOT)): page.read_text(encoding="utf-8").replace("\\\n", " ") for page in PAGES
    }
    root = click.Context(harness.cli, info_name="codeblue")
    texts |= {"the help": harness.cli.help or ""}
    for name in harness.cli.list_commands(root):
        found = harness.cli.get_command(root, name)
        assert found is not None
        texts[f"the help of {name}"] = f"{found.help}\n{found.epilog or ''}"
    shown = [(page, words) for page, text in texts.items() for words in EXAMPLE.findall(text)]
    return [(page, re.split(r"\s{4,}", words.strip())[0]) for page, words in shown]


def is_cheap(words: str) -> bool:
    """Whether pasting the command costs seconds and starts nothing."""
    first, *rest = shlex.split(words)
    simulated = first == "run" and "simulation" in rest
    here = all((ROOT / word).exists() for word in rest if word.endswith(".yaml"))  # else the reader writes it
    return here and not PLACEHOLDERS.search(words) and (first in STARTS_NOTHING or simulated)


CHEAP = sorted({words for _, words in examples() if is_cheap(words)})


@pytest.mark.parametrize(("page", "words"), examples(), ids=lambda value: value)
def test_commands_that_are_shown_parse(page: str, words: str, tmp_path: Path, monkeypatch: Any) -> None:
    """What a page or a help text tells to type is a command that exists, with options and values that it
    takes."""
    monkeypatch.chdir(tmp_path)
    command: click.Command = harness.cli
    left = shlex.split(words)
    context = click.Context(command, info_name="codeblue")
    while (
        isinstance(command, click.Group)
        and left
        and left[0].replace("-", "_").isidentifier()
        and left[0].islower()
    ):
        name, *left = left
        found = command.get_command(context, name)
        assert found is not None, f"{page}: {name} is not a command"
        command, context = found, click.Context(found, info_name=name, parent=context)
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    asked = {word.split("=")[0] for word in left if word.startswith("--")}
    assert asked <= known | {"--help"}, f"{page}: {asked - known} of {command.name}"
    if left and not PLACEHOLDERS.search(words) and not isinstance(command, click.Group):
        command.make_context(command.name, left, parent=context.parent)


def test_commands_that_are_shown_work_when_they_are_pasted(tmp_path: Path) -> None:
    """Those that start nothing are run by a shell from the checkout, as a reader would."""
    assert {words.split()[0] for words in CHEAP} >= {"list", "validate", "plan", "run"}
    shim = tmp_path / "bin" / "codeblue"
    shim.parent.mkdir()
    call = 'import sys, codeblue; sys.argv[0] = "codeblue"; codeblue.main()'
    shim.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{call}' \"$@\"\n", encoding="utf-8")
    shim.chmod(0o755)
    path = f"{shim.parent}:{os.environ['PATH']}"
    for words in CHEAP:
        out = f" --out {tmp_path}" if words.startswith("run") else ""
        done = subprocess.run(
            f"codeblue {words}{out}", shell=True, cwd=ROOT, env={**os.environ, "PATH": path},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        verdicts = {0, 1, 4} if words.startswith("run") else {0}  # a page also shows designs that break
        assert done.returncode in verdicts, f"codeblue {words}: {done.stdout}{done.stderr}"


def every_command(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, str]]:
    """Each command with its help on a screen of 80 columns, those of groups too."""
    yield command, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from every_command(inner, inner.context_class(inner, parent=context, info_name=name))


def test_helps_are_paragraphs_that_fit_a_small_screen() -> None:
    """Sentences run on without gaps, and no line of words or options is longer than 80 columns, whatever the
    tool is called here; examples are for pasting, each on one line."""
    root = harness.cli.context_class(harness.cli, info_name="codeblue", terminal_width=80)
    for _, shown in every_command(harness.cli, root):
        words = re.split("\n(?:Example|  First steps)", shown)[0] + shown.partition("\n  Exit codes")[2]
        told = words.partition("\nOptions:")[0].partition("\n")[2]
        assert not re.search(r"\w[.,]? {3,}\w", told), told
        assert all(len(line) <= 80 for line in words.splitlines()), words


def test_every_summary_and_option_is_told_whole() -> None:
    """No summary is cut off, and each help of an option is a phrase that stands alone."""
    root = click.Context(harness.cli, info_name="codeblue", terminal_width=80)
    found = list(every_command(harness.cli, root))
    assert len(found) > 30
    for command, shown in found:
        assert not re.search(r"\.\.\.$", shown.partition("Commands:")[2], re.MULTILINE), shown
        assert "None" not in shown
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                text = parameter.help or ""
                told = f"{command.name} {parameter.opts}: {text!r}"
                assert text[:1].isupper() and re.search(r"[.)\]]$", text), told


def test_the_version_has_a_number_and_a_commit(command: Command) -> None:
    """As it is told to whoever receives a report."""
    code, said, _ = command("--version")
    assert code == 0 and re.fullmatch(r"codeblue \d+\.\d+\.\d+(, commit [0-9a-f]{12}\+?)?\n", said)


def test_without_a_command_it_explains_itself(command: Command) -> None:
    """The first words a newcomer sees name the first steps and the exit codes."""
    code, said, _ = command()
    assert code == 0 and "First steps" in said and "Exit codes" in said


def test_a_run_says_its_verdict_and_its_json(command: Command, tmp_path: Path) -> None:
    """One simulated run: exit code by verdict, a folder with the reports, the same facts as JSON."""
    out = str(tmp_path / "runs here")
    code, said, _ = command("run", "smoke/control", "--runtime", "simulation", "--out", out)
    assert code == 0 and "PASS" in said
    words = ("run", "smoke/charge_response_lost", "--design", "no_key", "--runtime", "simulation", "--json")
    code, said, _ = command(*words, "--out", out)
    (run,) = json.loads(said)["result"]
    assert code == run["exit_code"] == 4
    folder = Path(run["folder"])
    assert {"report.html", "report.md", "junit.xml", "history.jsonl"} <= {
        path.name for path in folder.iterdir()
    }
    for again in ("check", "report"):
        code, said, _ = command(again, str(folder))
        assert (code == 4) is (again == "check")


def test_the_command_of_a_run_repeats_it_whatever_its_paths_hold(command: Command, tmp_path: Path) -> None:
    """Words with blanks are quoted, so that the reproduce command can be pasted."""
    scenario = tmp_path / "a scenario.yaml"
    scenario.write_text((ROOT / "scenarios/smoke/control.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    words = ("run", str(scenario), "--runtime", "simulation", "--time-scale", "1.5", "--json")
    _, said, _ = command(*words, "--out", str(tmp_path / "runs"))
    (run,) = json.loads(said)["result"]
    inputs = json.loads((Path(run["folder"]) / "run.json").read_text(encoding="utf-8"))
    program, script, *again = shlex.split(inputs["run"]["header"]["command"])
    assert (program, script, again[0], again[1]) == ("python", "harness.py", "run", str(scenario))
    assert command(*again, "--out", str(tmp_path / "again"))[0] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "smoke/contrl"), 'found no scenario "smoke/contrl"'),
        (("run", "smoke/control", "--design", "resilent"), 'found no design "resilent"'),
        (("run", "smoke/control", "--runtime", "docker"), "'docker' is not one of"),
        (("run", "smoke/control", "--time-scale", "nan"), "found nan, expected a finite number"),
        (("suite", "smok"), 'found no suite "smok"'),
        (("plan", "nothing"), 'found no scenario "nothing"'),
        (("check", "nowhere"), "expected a run folder"),
        (("report", "nowhere"), "expected a run folder"),
        (("simulate", "smoke/control", "--out", "rows.txt"), "ends with .parquet or .csv"),
        (("simulate", "smoke/control", "--out", "/dev/null/rows.csv"), "cannot be written"),
        (("calibrate", "nowhere"), "expected a run folder"),
        (("compare", "resilient", "--suite", "smok"), 'found no suite "smok"'),
        (("compare", "resilient", "--runtime", "simulation"), "found 1 design, expected at least two"),
        (
            ("compare", "fragile", "resilient", "--screen", "simulation", "--runtime", "simulation"),
            "found the runtime simulation to screen and to run the finalists",
        ),
        (("gate", "--margin", "nan"), "found nan, expected a finite number"),
        (("linearizable", "x.jsonl", "--within", "nan"), "found nan, expected a finite number"),
        (("run", "smoke/control", "--seed", "-5"), "-5 is not in the range"),
        (("run", "smoke/control", "--seed", str(2**64)), "is not in the range"),
        (("run", "smoke/control", "--out", "/dev/null"), "cannot be written to"),
        (("run", "smoke/control", "--out", "/dev/null/runs"), "cannot be written to"),
        (("run", "smoke/control", "--population", "/dev/null"), "found no such folder"),
        (("trend", "smoke", "--results", "none.sqlite3"), "found no file none.sqlite3, expected one of"),
        (("rescore", "--results", "none.sqlite3"), "found no file none.sqlite3, expected one of"),
        (("linearizable", "nowhere.jsonl"), "nowhere.jsonl"),
        (("nonsense",), "No such command 'nonsense': known: "),
        (("simulat",), "No such command 'simulat': did you mean \"simulate\"?"),
        (("selfcheck", "gates"), "No such command 'gates': did you mean \"gate\"?"),
        (("selfcheck", "simulation", "mmk"), "No such command 'mmk': did you mean \"mmck\"?"),
        (("selfcheck", "simulation", "nosuch"), "No such command 'nosuch': known: backoff, "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_told_before_anything_starts(
    command: Command, words: tuple[str, ...], told: str
) -> None:
    """A mistake is exit code 64 with what was found and what was expected, never a traceback."""
    code, _, said = command(*words)
    assert code == 64
    assert told in said


def test_a_damaged_run_folder_is_told_by_its_file(command: Command, tmp_path: Path) -> None:
    """Whatever is missing or torn in a folder, `check` and `report` name it, and never trace back."""
    command("run", "smoke/control", "--runtime", "simulation", "--out", str(tmp_path / "runs"))
    (whole,) = (tmp_path / "runs").iterdir()
    for name in ("history.jsonl", "run.json", "scenario.json", "system.json", "facts.json"):
        for number, content in enumerate((b"\xff{", b'{"a": 1}', None)):
            folder = tmp_path / f"{name}-{number}"
            shutil.copytree(whole, folder)
            (folder / name).unlink()
            if content is not None:
                (folder / name).write_bytes(content)
            for word in ("check", "report"):
                code, _, said = command(word, str(folder))
                assert code == 0 or (code == 64 and str(folder) in said and name in said), (code, said)


@pytest.mark.parametrize(
    "words", [("list",), ("plan", "smoke/registry_flapping"), ("validate",), ("list", "--runs")]
)
def test_what_starts_nothing_speaks_json(command: Command, words: tuple[str, ...]) -> None:
    """`--json` puts one JSON document on standard output and nothing else."""
    code, said, _ = command(*words, "--json")
    assert code == 0
    document = json.loads(said)
    assert (document["version"], document["kind"]) == (1, words[0]) and document["result"]


def test_a_sweep_writes_its_rows_and_its_page(command: Command, tmp_path: Path) -> None:
    """`simulate` leaves a table and a page, says what `*` does not touch, and its summary as JSON."""
    rows, page = tmp_path / "sweep" / "rows.csv", tmp_path / "sweep.html"
    words = ("simulate", "smoke/payer_blackhole", "--seeds", "2", "--vary", "*.retry.attempts=2", "--json")
    code, said, told = command(*words, "--out", str(rows), "--plot", str(page), "--design", "resilient")
    result = json.loads(said)["result"]
    assert code == 0 and result["runs"] == 2
    (variant,) = result["report"]["variants"]
    assert (variant["values"], variant["outcomes"]) == (
        {"*.retry.attempts": "2"}, {"verdicts": {"pass": 2}, "vetoed": 0}
    )  # fmt: skip
    assert len(rows.read_text(encoding="utf-8").splitlines()) == 3
    leaves = "*.retry.attempts does not touch, in resilient, "
    assert leaves in told and "where retry is off: checkin -&gt; registry" in page.read_text(encoding="utf-8")


def test_stored_runs_are_found_from_another_folder(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--out` may be relative: results name absolute folders, so that `rescore` works from anywhere."""
    monkeypatch.chdir(tmp_path)
    entry = "[{scenario: smoke/control, design: resilient, expect: pass}]"
    Path("one.yaml").write_text(f"name: one\ntitle: One run\nseed: 1\nentries: {entry}\n", encoding="utf-8")
    assert command("suite", "one.yaml", "--runtime", "simulation", "--out", "kept")[0] == 0
    monkeypatch.chdir(ROOT)
    code, said, _ = command("rescore", "--all", "--results", str(tmp_path / "kept" / "results.sqlite3"))
    assert (code, said) == (0, "1 run scored again, 0 could not be\n")


def test_a_run_of_another_system_is_told(command: Command, tmp_path: Path) -> None:
    """--system says where the run's own system lies now; another one is refused by both names."""
    command("run", "smoke/control", "--runtime", "simulation", "--out", str(tmp_path))
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert command("check", str(folder), "--system", "reference_system")[0] == 0
    lamps = str(ROOT / "tests" / "fixtures" / "lamps")
    for word in ("check", "report", "calibrate"):
        code, _, said = command(word, str(folder), "--system", lamps)
        assert code == 64
        assert f"found the system lamps in {lamps}, expected reference_healthcare" in said
