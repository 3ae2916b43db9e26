"""`--json`: every command has it, and prints one document in one envelope, also where it fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import harness
from tests.execution.conftest import Command

SHOP = "examples/shop"
LAMPS = "tests/fixtures/lamps"
TWIN = ("--runtime", "simulation")
COMPOSE = "services: {web: {image: web, environment: {URL: 'http://api:80'}}, api: {image: api}}\n"
# Words with which each command is called here; RUN, OUT, NEW and FILES are places that the test makes.
CALLS = {
    "init": ("--compose", "FILES/compose.yaml"),
    "check-wiring": (SHOP,),
    "try": (LAMPS, *TWIN, "--time-scale", "0.5", "--out", "OUT"),
    "scan": (LAMPS, *TWIN, "--time-scale", "0.2", "--out", "OUT"),
    "describe": ("SLOW",),
    "run": ("smoke/control", *TWIN, "--out", "OUT"),
    "suite": ("nights", "--system", LAMPS, *TWIN, "--time-scale", "0.5", "--out", "OUT"),
    "compare": (
        *("as_it_is", "fixed", "--suite", "FILES/one.yaml", "--system", SHOP, *TWIN),
        *("--repeats", "1", "--time-scale", "0.5", "--out", "OUT"),
    ),
    "gate": (
        *("--baseline", "fixed", "--candidate", "fixed", "--suite", "FILES/one.yaml", "--system", SHOP),
        *(*TWIN, "--n-max", "2", "--time-scale", "0.5", "--out", "OUT"),
    ),
    "trend": ("nights", "--system", LAMPS, "--results", "OUT/results.sqlite3", "--out", "OUT"),
    "rescore": ("--all", "--system", LAMPS, "--results", "OUT/results.sqlite3"),
    "simulate": ("smoke/control", "resilient", "--seeds", "2"),
    "calibrate": ("RUN", "--out", "NEW/sizes.json"),
    "twin": ("smoke/control", "--design", "resilient", "--repeats", "1"),
    "selfcheck gate": (),
    "selfcheck simulation": ("mmc", "--customers", "1000", "--seeds", "2"),
    "selfcheck verdict": (),
    "linearizable": ("FILES/history.jsonl",),
    "validate": (f"{LAMPS}/system.yaml",),
    "schema": ("suite",),
    "list": ("suites",),
    "designs": ("--system", SHOP),
    "explain": ("latency",),
    "diff": ("fragile", "resilient"),
    "plan": ("smoke/control",),
    "check": ("RUN",),
    "report": ("RUN",),
    "open": ("RUN",),
    "manifests": ("resilient",),
    "doctor": (),
    "images": (),
    "clean": (),
    "completion": ("bash",),
}
# They need an engine, live runs or several minutes. How they fail is asked here all the same.
NOT_PLAYED = {"images", "twin", "selfcheck gate", "selfcheck verdict", "clean", "calibrate"}


def leaves(
    group: click.Group, context: click.Context, before: str = ""
) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, by its words."""
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group) and not found.invoke_without_command:
            yield from leaves(found, context, f"{before}{name} ")
        else:
            yield f"{before}{name}", found


COMMANDS = dict(leaves(harness.cli, click.Context(harness.cli)))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders that the calls name."""
    made = {name: tmp_path_factory.mktemp(name.lower()) for name in ("OUT", "NEW", "FILES")}
    files = made["FILES"]
    (files / "compose.yaml").write_text(COMPOSE, encoding="utf-8")
    entries = "entries: [{scenario: control, design: fixed, expect: pass}]\n"
    (files / "one.yaml").write_text(f"name: one\n{entries}", encoding="utf-8")
    (files / "history.jsonl").write_text("", encoding="utf-8")
    return made


@pytest.fixture
def play(command: Command, places: dict[str, Path]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Call a command with --json: (exit code, the one document that it prints)."""

    def called(name: str, *more: str) -> tuple[int, dict[str, Any]]:
        words = [_placed(word, places) for word in (*CALLS[name], *more)]
        code, said, _ = command(*name.split(), *words, "--json")
        return code, json.loads(said)

    return called


def _placed(word: str, places: dict[str, Path]) -> str:
    first, slash, rest = word.partition("/")
    return f"{places[first]}{slash}{rest}" if first in places else word


@pytest.fixture(scope="module", autouse=True)
def finished(places: dict[str, Path]) -> None:
    """Two finished runs, SLOW with a slow link, and the results of a suite."""
    words = ("suite", "nights", "--system", LAMPS, *TWIN, "--out", str(places["OUT"]))
    runs = {"RUN": ("smoke/control",), "SLOW": (f"{LAMPS}/scenarios/night/slow_lamp.yaml",)}
    for name, scenario in runs.items():
        harness.cli.main(["run", *scenario, *TWIN, "--out", str(places["NEW"] / name)], standalone_mode=False)
        (places[name],) = (places["NEW"] / name).iterdir()
    harness.cli.main(list(words), standalone_mode=False)


def test_every_command_has_it_and_a_call_here() -> None:
    """A new command cannot be forgotten: it needs the option, and words in this file."""
    without = [
        name for name, one in COMMANDS.items() if not any("--json" in option.opts for option in one.params)
    ]
    assert not without
    assert set(COMMANDS) == set(CALLS)


@pytest.mark.parametrize("name", sorted(set(CALLS) - NOT_PLAYED))
def test_what_a_command_found_is_one_document(
    name: str, play: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    """Its version, the command's own name, and a result: nothing else stands on standard output."""
    code, document = play(name)
    assert code in {0, 1, 2}, document
    kind = "selfcheck simulation mmc" if name == "selfcheck simulation" else name
    assert (document["version"], document["kind"]) == (1, kind)
    assert set(document) == {"version", "kind", "result"}
    assert document["result"] not in (None, "", [], {})


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_mistake_is_one_document_too(name: str, play: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    """Of every command: its exit code and each mistake as an object."""
    code, document = play(name, "--no-such-option")
    assert (code, document["kind"], document["exit_code"]) == (64, "error", 64)
    (mistake,) = document["errors"]
    assert "--no-such-option" in mistake["message"]
    assert set(mistake) == {"message", "file", "line", "column", "found", "expected", "hint"}
