"""Every command from its words to its exit code, on the twin: nothing is started, all of the rest is real."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import harness

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "reference_system" / "README.md"]
EXAMPLE = re.compile(r"(?:^|`| )python harness\.py ([^`#\n]*)", re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """(page, words) of every command line that the documentation shows."""
    return [
        (page.name, words.strip())
        for page in PAGES
        for words in EXAMPLE.findall(page.read_text(encoding="utf-8").replace("\\\n", " "))
        if words.strip() and "COMMAND" not in words
    ]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.chdir(ROOT)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["harness.py", *words])
        with pytest.raises(SystemExit) as ended:
            harness.main()
        found = capsys.readouterr()
        assert "Traceback" not in found.err, found.err
        return int(ended.value.code or 0), found.out, found.err

    return run


@pytest.mark.parametrize(("page", "words"), examples(), ids=lambda value: value)
def test_command_lines_in_the_documentation_parse(page: str, words: str) -> None:
    """What a page tells to type is a command that exists, with options that it has."""
    command: click.Command = harness.cli
    left = shlex.split(words)
    context = click.Context(command, info_name="harness.py")
    while isinstance(command, click.Group) and left and not left[0].startswith("-"):
        name, *left = left
        found = command.get_command(context, name)
        assert found is not None, f"{page}: {name} is no command"
        command, context = found, click.Context(found, info_name=name, parent=context)
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    asked = {word.split("=")[0] for word in left if word.startswith("--")}
    assert asked <= known | {"--help"}, f"{page}: {asked - known} of {command.name}"


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
    (run,) = json.loads(said)
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
    inputs = json.loads((Path(json.loads(said)[0]["folder"]) / "run.json").read_text(encoding="utf-8"))
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
    json.loads(said)


def test_a_sweep_writes_its_rows_and_its_plots(command: Command, tmp_path: Path) -> None:
    """`simulate` leaves a table and a page, and its summary as JSON."""
    rows, plots = tmp_path / "sweep" / "rows.csv", tmp_path / "plots.html"
    words = ("simulate", "smoke/payer_blackhole", "--seeds", "2", "--json")
    code, said, _ = command(*words, "--out", str(rows), "--plot", str(plots))
    assert code == 0 and json.loads(said)["runs"] == 4
    assert len(rows.read_text(encoding="utf-8").splitlines()) == 5
    assert "<svg" in plots.read_text(encoding="utf-8")


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
