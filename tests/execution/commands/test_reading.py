"""Commands that explain what there is: in words, side by side, and for shells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from execution.commands.open import has_browser, pages

ROOT = Path(__file__).resolve().parents[3]
Command = Callable[..., tuple[int, str, str]]


def test_a_scenario_is_explained_in_words(command: Command) -> None:
    """Load, what breaks when, whom it may meet, what must hold, and why."""
    code, said, _ = command("explain", "smoke/charge_response_lost")
    assert code == 0
    for part in (
        "A lost payment response never charges a patient twice",
        "12 a second on average, at random times; they do not wait for answers",
        "5 s to 11 s  lost_response on billing -> payments, share 20%",
        "users who may meet it: pay",
        "while faults act     pay: success >= 99%, p95 <= 2s, degraded answers count",
        "back to 95% of the baseline within 5s, for 3s",
        "A violation is a veto.",
        "codeblue run smoke/charge_response_lost --runtime simulation",
    ):
        assert part in said, (part, said)


def test_every_scenario_of_the_project_can_be_explained(command: Command) -> None:
    """Bursts, ramps, changes and feeds included."""
    names = json.loads(command("list", "scenarios", "--json")[1])["result"]["scenarios"]
    assert len(names) > 40
    for name in names:
        code, said, _ = command("explain", name)
        assert code == 0 and "what must hold" in said and "None" not in said, (name, said)


def test_every_kind_of_fault_can_be_explained(command: Command) -> None:
    """What it does, and each of its keys with what it takes."""
    kinds = json.loads(command("list", "faults", "--json")[1])["result"]["faults"]
    for kind in kinds:
        code, said, _ = command("explain", kind)
        assert code == 0 and said.startswith(kind) and "keys" in said
    assert (
        "share  The part of requests that are carried out and get no answer. (a share"
        in command("explain", "lost_response")[1]
    )


def test_designs_are_listed_with_their_roles_and_distances(command: Command) -> None:
    """The strong one differs from itself in nothing."""
    rows = json.loads(command("designs", "--json")[1])["result"]
    found = {row["name"]: row for row in rows}
    assert found["resilient"]["role"] == "strong" and found["resilient"]["differences"] == "0"
    assert found["fragile"]["role"] == "weak" and int(found["fragile"]["differences"]) > 10
    assert found["no_key"]["differences"] == "1"


def test_two_designs_are_told_apart_setting_by_setting(command: Command) -> None:
    """As files write them, with units; nothing of what is alike."""
    code, said, _ = command("diff", "resilient", "no_key")
    assert code == 0
    head, row, count = said.splitlines()
    assert head.split() == ["resilient", "no_key"] and count == "1 difference"
    assert row.split() == ["billing:", "idempotency_key", "on", "off"]
    rows = json.loads(command("diff", "fragile", "resilient", "--json")[1])["result"]
    shown = {row["what"]: (row["first"], row["second"]) for row in rows}
    assert shown["billing -> payments: timeout"][1].endswith(("ms", "s"))
    assert shown["billing -> payments: retry"][1].startswith("{attempts: ")
    assert "do not differ" in command("diff", "resilient", "resilient")[1]


def test_two_scenarios_are_told_apart(command: Command, tmp_path: Path) -> None:
    """Faults, objectives and times; a file counts as much as a name."""
    text = (ROOT / "scenarios/smoke/charge_response_lost.yaml").read_text(encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("share: 20%", "share: 30%").replace("12/s", "10/s"), encoding="utf-8")
    rows = json.loads(command("diff", "smoke/charge_response_lost", str(other), "--json")[1])["result"]
    shown = {row["what"]: (row["first"], row["second"]) for row in rows}
    assert shown["load.arrivals.rate"] == ("12/s", "10/s")
    fault = shown["fault lost_response on billing -> payments"]
    assert ("share 20%" in fault[0], "share 30%" in fault[1]) == (True, True)
    assert len(shown) == 2


def test_a_design_and_a_scenario_are_not_compared(command: Command) -> None:
    """The second is looked for among the kind of the first, and refused by name."""
    code, _, said = command("diff", "resilient", "smoke/control")
    assert code == 64 and "found the design resilient and the scenario smoke/control" in said


def test_the_newest_page_is_opened(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of runs and suites; without a browser its path is printed, and without a page it is said what writes
    one."""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    code, _, said = command("open", str(tmp_path))
    assert code == 64 and "found no report in" in said
    for number, page in enumerate(("a/report.html", "b/suite.html", "c/report.html")):
        path = tmp_path / page
        path.parent.mkdir()
        path.write_text("", encoding="utf-8")
        os.utime(path, ns=(number, number))
    assert [path.parent.name for path in pages(tmp_path)] == ["c", "b", "a"]
    assert not has_browser()
    assert command("open", str(tmp_path)) == (0, f"{tmp_path}/c/report.html\n", "")
    marker = tmp_path / "opened"
    monkeypatch.setenv("BROWSER", f"sh -c 'echo %s > {marker}'")
    monkeypatch.setattr("webbrowser._tryorder", None)
    assert command("open", str(tmp_path / "b"))[0] == 0
    assert marker.read_text(encoding="utf-8").strip() == f"file://{tmp_path}/b/suite.html"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("codeblue expl", "explain"),
        ("codeblue run smoke/char", "smoke/charge_response_lost"),
        ("codeblue run smoke/control --design resil", "resilient"),
        ("codeblue run smoke/control --design fragile,resil", "fragile,resilient"),
        ("codeblue suite smo", "smoke"),
        ("codeblue explain lost_r", "lost_response"),
        ("codeblue list fau", "faults"),
        ("codeblue gate --candidate no_k", "no_key"),
        ("codeblue run smoke/control --system tests/fixtures/lamps --design pat", "patient"),
    ],
)
def test_shells_are_offered_names(line: str, offered: str) -> None:
    """Commands, scenarios, designs, suites and kinds of faults, of the system that the line names."""
    words = line.split()
    asked = {"_CODEBLUE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "harness.py"], cwd=ROOT, env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert f"plain,{offered}" in done.stdout.splitlines(), done.stdout + done.stderr


def test_a_shell_that_pastes_the_line_completes(tmp_path: Path) -> None:
    """The line of `completion bash` defines a completion for `codeblue`."""
    shim = tmp_path / "codeblue"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/harness.py "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    line = subprocess.run(["codeblue", "completion", "bash"], env=path, capture_output=True, text=True).stdout
    shown = subprocess.run(
        ["bash", "-c", f"{line}\ncomplete -p codeblue"], env=path, capture_output=True, text=True
    )
    assert shown.returncode == 0 and "codeblue" in shown.stdout, shown.stderr


SCHEMA = json.loads((ROOT / "docs/schemas/output.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("designs",),
        ("explain", "latency"),
        ("diff", "fragile", "resilient"),
        ("plan", "smoke/control"),
    ],
)
def test_json_has_one_envelope(command: Command, words: tuple[str, ...]) -> None:
    """Version, kind and result, by the published schema."""
    code, said, _ = command(*words, "--json")
    document = json.loads(said)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert code == 0 and document["kind"] == words[0] and document["result"]


@pytest.mark.parametrize(
    ("words", "found", "hint"),
    [
        (("plan", "smoke/contrl"), 'no scenario "smoke/contrl"', 'did you mean "smoke/control"?'),
        (("run", "smoke/control", "--runtime", "docker"), None, None),
        (("check", "nowhere"), None, None),
    ],
)
def test_failures_are_json_too(
    command: Command, words: tuple[str, ...], found: str | None, hint: str | None
) -> None:
    """Whoever asked for JSON can read why there is none, whatever went wrong."""
    code, said, told = command(*words, "--json")
    document = json.loads(said)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert code == document["exit_code"] == 64 and document["kind"] == "error" and told
    (error,) = document["errors"]
    assert error["message"]
    if found is not None:
        assert (error["found"], error["hint"]) == (found, hint)


def test_mistakes_in_a_file_are_objects(command: Command, tmp_path: Path) -> None:
    """Each with file, line, column, found, expected and hint."""
    text = (ROOT / "scenarios/smoke/control.yaml").read_text(encoding="utf-8")
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("arrivals:", "arivals:"), encoding="utf-8")
    code, said, _ = command("plan", str(broken), "--system", "reference_system", "--json")
    document = json.loads(said)
    assert code == document["exit_code"] == 64
    first = document["errors"][0]
    assert first["file"] == str(broken) and first["line"] > 1 and first["column"] >= 1
    assert any(error["hint"] == 'did you mean "arrivals"?' for error in document["errors"])
    assert all(error["expected"] for error in document["errors"])
