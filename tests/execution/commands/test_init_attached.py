"""`init --attach`: the first files of a system that runs already, of its processes and what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution.catalogue import Catalogue
from execution.options import SIMULATION, Options
from execution.runs.preflight import Request, plans
from experiment.attaching import load_allowed
from experiment.errors import StartError, UsageError
from harness import cli
from tests.runtimes.attach.pair import Pair, running_pair


def run(*words: str) -> int:
    return int(cli.main(list(words), standalone_mode=False))


def written(pair: Pair, folder: Path) -> str:
    """The system's file, written by the command."""
    front, back = pair.ports
    places = (f"front=127.0.0.1:{front}", f"back=127.0.0.1:{back}")
    assert run("init", "--attach", places[0], "--attach", places[1], "--into", str(folder)) == 0
    return (folder / "system.yaml").read_text(encoding="utf-8")


def test_running_processes_are_a_system_whose_links_are_its_open_connections(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No text names the callee; every file validates, nothing is allowed yet, and a run can be planned."""
    folder = tmp_path / "into"
    with running_pair(tmp_path) as pair:
        text = written(pair, folder)
    assert "next: codeblue check-wiring" in capsys.readouterr().out
    assert "  # an open connection\n" in text and f'back: {{at: "127.0.0.1:{pair.ports[1]}"}}' in text
    catalogue = Catalogue(folder / "system.yaml")
    assert catalogue.system().link_names == ("front -> back",)
    assert run("validate", "--system", str(folder)) == 0
    assert run("check-wiring", str(folder)) == 0
    assert run("validate", str(folder / "allow.yaml"), "--system", str(folder)) == 0
    allowed = load_allowed(folder / "allow.yaml")
    assert (allowed.hosts, allowed.services, allowed.links, allowed.highest_load) == ((), (), (), 0.0)
    (plan,) = plans([Request("slow_link", "as_it_is", 1)], catalogue, Options(runtime=SIMULATION))
    assert [acting.target for acting in plan.activations] == ["front -> back"]


def test_an_address_in_the_variables_of_a_process_names_its_callee(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its scheme; no value of another variable is copied."""

    def door(port: int) -> int:
        monkeypatch.setenv("BACK_URL", f"http://me:hidden@127.0.0.1:{port}/x")
        monkeypatch.setenv("TOKEN", "hidden")
        return port

    with running_pair(tmp_path, door) as pair:
        text = written(pair, tmp_path / "into")
    assert "  # the variable BACK_URL, http://back:" in text and "; an open connection\n" in text
    assert "{caller: front, callee: back, protocol: http}" in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("targets", "error", "said"),
    [
        (("shop", "api=127.0.0.1:1"), UsageError, "expected one compose project, or NAME=HOST:PORT"),
        (("api=127.0.0.1:1", "api=127.0.0.1:2"), UsageError, "each name once"),
        (("api=127.0.0.1",), UsageError, "expected a host and a port"),
        (("api=127.0.0.1:1",), StartError, "found no process that listens at 127.0.0.1:1"),
    ],
)
def test_what_is_not_there_is_told_by_name(
    targets: tuple[str, ...], error: type[Exception], said: str, tmp_path: Path
) -> None:
    """Before any file is written."""
    words = [word for target in targets for word in ("--attach", target)]
    with pytest.raises(error, match=said):
        run("init", *words, "--into", str(tmp_path / "into"))
    assert not (tmp_path / "into").exists()
