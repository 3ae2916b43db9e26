"""`linearizable` on files: one, several, standard input, and what is not quite a history."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from execution.places import ROOT
from experiment.errors import ConfigError, UsageError
from harness import cli

WRITE = '{"process": 0, "type": "invoke", "f": "write", "value": 1}\n'
WRITTEN = '{"process": 0, "type": "ok", "f": "write", "value": 1}\n'
READ = '{"process": 1, "type": "invoke", "f": "read", "value": null}\n'
STALE = '{"process": 1, "type": "ok", "f": "read", "value": null}\n'
GOOD, BAD = WRITE + WRITTEN, WRITE + WRITTEN + READ + STALE


def linearizable(files: Sequence[Path], *words: str, initial: str | None = None) -> int:
    """The command on these files."""
    start = [] if initial is None else ["--initial", initial]
    code: int = cli.main(["linearizable", *map(str, files), *start, *words], standalone_mode=False)
    return code


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def judged(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = linearizable([written(folder, "one.jsonl", text)], "--json")
    return code, json.loads(capsys.readouterr().out)["result"]


def test_several_files_give_the_worst_code_and_a_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named; one that is refused stops none of the others."""
    files = [
        written(tmp_path, "good.jsonl", GOOD),
        written(tmp_path, "bad.jsonl", BAD),
        written(tmp_path, "empty.jsonl", ""),
    ]
    assert linearizable(files[:1], "--json") == 0
    assert json.loads(capsys.readouterr().out)["result"]["verdict"] == "linearizable"
    assert linearizable([files[0], files[2]], "--json") == 2
    capsys.readouterr()
    assert linearizable(files, "--json") == 1
    found = json.loads(capsys.readouterr().out)["result"]
    assert [Path(one["file"]).name for one in found] == ["good.jsonl", "bad.jsonl", "empty.jsonl"]
    assert [one["linearizable"] for one in found] == [True, False, None]
    refused = written(tmp_path, "refused.jsonl", "nonsense\n")
    assert linearizable([refused, *files]) == 64
    said = capsys.readouterr()
    assert "4 files: 1 linearizable, 1 not linearizable, 1 not known, 1 refused" in said.out
    assert "refused.jsonl:1:1: found no JSON" in said.err
    with pytest.raises(ConfigError):
        linearizable([refused])


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("", 2, "the file has no event"),
        ('{"process": "nemesis", "type": "info", "f": "kill"}\n', 2, "only lines of the nemesis"),
        (
            WRITE + WRITTEN.replace("ok", "fail"),
            0,
            "no operation of 1 succeeded, so that no order is ruled out",
        ),
        (WRITE + WRITTEN.replace("ok", "info"), 0, ""),
        (WRITE + READ, 0, ""),
    ],
)
def test_a_history_that_rules_nothing_out_is_linearizable(
    text: str, code: int, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only where no event is there at all nothing is known; the answer says which."""
    found_code, found = judged(text, tmp_path, capsys)
    assert (found_code, found["reason"]) == (code, reason)
    if code == 0 and not reason:
        (register,) = found["registers"]
        assert register["reason"] == "no operation completed, so that no order is ruled out"


def test_a_byte_order_mark_and_odd_line_ends_are_no_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a line feed ends a line; JSON text may hold what Python takes for one."""
    text = "\ufeff" + GOOD.replace("\n", "\r\n").replace("1}", '"a\u2028b"}')
    assert judged(text, tmp_path, capsys)[0] == 0


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', "a", "[" * 100_000])
def test_an_initial_value_that_no_register_holds_is_refused(text: str, tmp_path: Path) -> None:
    """It ends as a message, not as a traceback."""
    with pytest.raises(UsageError, match="--initial: found"):
        linearizable([written(tmp_path, "one.jsonl", GOOD)], initial=text)


def test_a_dash_is_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict is that of the bytes that come in."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(BAD.encode())))
    assert linearizable([Path("-")]) == 1
    assert "fits no order" in capsys.readouterr().out


def test_judging_a_file_imports_no_other_command(tmp_path: Path) -> None:
    """Its start is most of its time: neither the libraries of a run nor other commands' options are read."""
    path = written(tmp_path, "one.jsonl", GOOD)
    program = (
        "import sys, harness\n"
        f"harness.cli.main(['linearizable', {str(path)!r}], standalone_mode=False)\n"
        "ours = {n for n in sys.modules if n.startswith(('execution', 'measurement', 'experiment'))}\n"
        "print(sorted(ours), [n for n in ('numpy', 'polars', 'yaml', 'difflib') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = [
        "execution", "execution.commands", "execution.commands.command_line",
        "execution.commands.interrupts", "execution.commands.lazy",
        "execution.commands.linearizable", "execution.commands.parameters",
        "execution.commands.saying", "execution.commands.terminal", "execution.places", "execution.program",
        "experiment", "experiment.errors", "experiment.plain_text", "experiment.regular_files",
            "experiment.stop", "experiment.units",
        "measurement", "measurement.linearizability", "measurement.register_events",
        "measurement.register_graph", "measurement.register_search", "measurement.register_zones",
    ]  # fmt: skip
    assert done.stdout.splitlines()[-1] == f"{ours} []"


def test_every_command_is_where_the_root_says() -> None:
    """The help names each with a sentence, and an unknown one is refused."""
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    for name in cli.list_commands(None):  # type: ignore[arg-type]
        assert f"  {name} " in shown.output
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0
    assert CliRunner().invoke(cli, ["lineariseable"]).exit_code == 2
