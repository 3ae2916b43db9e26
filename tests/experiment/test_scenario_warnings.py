"""What `validate` warns of: scenarios that can be run and judge less than they seem to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import harness
from execution.catalogue import default_catalogue
from execution.runs.preflight import warnings_in
from experiment.errors import ConfigError
from experiment.scenario_file import load_scenario
from experiment.scenario_warnings import told, warnings_of
from experiment.yaml_source import read_yaml
from faults import KINDS
from tests.simulation.reference import system

ROOT = Path(__file__).resolve().parents[2]
TEXT = """name: look
title: A look
load: {arrivals: ARRIVALS, journeys: {payment: 1}}
phases: {baseline: 4s, fault: 8s, recovery: 6s}
faults:
  - {kind: lost_response, link: billing -> payments, share: 20%, during: fault}
expect:
  invariants: [no_duplicate_charge]
  baseline: [{journey: pay, success: ">= 99%"}]
  fault: [{journey: pay, success: ">= 99%"}]
  recovery: {within: 5s, hold: 3s}
""".replace("ARRIVALS", "12/s")
Command = Callable[..., tuple[int, str, str]]


def scenario_of(folder: Path, text: str) -> Path:
    path = folder / "look.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def warned(folder: Path, text: str) -> list[str]:
    path = scenario_of(folder, text)
    scenario = load_scenario(path, system(), KINDS)
    return [told(one) for one in warnings_of(read_yaml(path), scenario)]


def mistakes(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_scenario(scenario_of(folder, text), system(), KINDS)
    return str(caught.value)


def test_a_scenario_that_judges_everything_is_not_warned_of(tmp_path: Path) -> None:
    """Nothing is left out, so nothing is said."""
    assert warned(tmp_path, TEXT) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("  invariants: [no_duplicate_charge]\n", "no property"),
        ('  baseline: [{journey: pay, success: ">= 99%"}]\n', "no objective for the baseline"),
        ("  recovery: {within: 5s, hold: 3s}\n", "no recovery"),
    ],
)
def test_each_part_that_is_missing_is_warned_of(tmp_path: Path, line: str, found: str) -> None:
    """One warning, at the place of `expect`, with what is not judged for want of it."""
    (said,) = warned(tmp_path, TEXT.replace(line, ""))
    assert f"look.yaml:7:1: warning: found {found}, expected " in said


def test_faults_that_nothing_judges_are_warned_of(tmp_path: Path) -> None:
    """Without a property and without an objective for their time only the recovery is judged."""
    lines = ("  invariants: [no_duplicate_charge]\n", '  fault: [{journey: pay, success: ">= 99%"}]\n')
    said = warned(tmp_path, TEXT.replace(lines[0], "").replace(lines[1], ""))
    assert [text.partition("found ")[2].partition(",")[0] for text in said] == [
        "no property",
        "no objective for the time of the faults",
    ]


def test_the_project_warns_of_few_scenarios_of_its_own() -> None:
    """What the warnings say would be passed over, if there were many."""
    catalogue = default_catalogue()
    found = [path for path in set(catalogue.scenario_files().values()) if warnings_in(path, catalogue)]
    assert len(found) <= 2, found


def test_an_objective_that_no_user_plays_is_a_mistake(tmp_path: Path) -> None:
    """It would have no data, ever."""
    said = mistakes(tmp_path, TEXT.replace("fault: [{journey: pay", "fault: [{journey: check_in"))
    assert 'found the journey "check_in", which the load does not play' in said


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("during: fault, at: 9s", "at 9s in the fault phase of 8s"),
        ("during: fault, at: 8s", "at 8s in the fault phase of 8s"),
        ("during: fault, at: 6s, lasting: 4s", "a fault that lasts 4s from 6s on in the fault phase of 8s"),
        ("during: fault, lasting: 9s", "a fault that lasts 9s from 0s on in the fault phase of 8s"),
    ],
)
def test_a_time_outside_of_its_phase_is_told_as_that(tmp_path: Path, when: str, found: str) -> None:
    """In the words of the file, not in seconds since the begin of the run."""
    said = mistakes(tmp_path, TEXT.replace("during: fault}", f"{when}}}"))
    assert f"found {found}, expected " in said and said.count("found") == 1
    assert ("with the phase" in said) is ("lasts" in found)


@pytest.mark.parametrize(
    ("content", "place", "found"),
    [
        (b"0.5\nsoon\n", "times.txt:2:1", 'found "soon", expected one arrival time in seconds a line'),
        (b"\xff\xfe", "times.txt:1:1", "found a file that is not text"),
        (b"90\n", "times.txt:1:1", "found 1 arrival times, none of them below"),
    ],
)
def test_a_replay_file_that_cannot_be_read_is_a_mistake(
    tmp_path: Path, content: bytes, place: str, found: str
) -> None:
    """Before anything starts, at the line of the file."""
    (tmp_path / "times.txt").write_bytes(content)
    said = mistakes(tmp_path, TEXT.replace("12/s", "{process: replay, file: times.txt}"))
    assert place in said and found in said


def test_warnings_are_no_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0, and objects with their places as JSON."""
    path = scenario_of(tmp_path, TEXT.replace("  recovery: {within: 5s, hold: 3s}\n", ""))
    words = ["harness.py", "validate", str(path), "--system", str(ROOT / "reference_system")]
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", [*words, *more])
        with pytest.raises(SystemExit) as ended:
            harness.main()
        assert not ended.value.code
    said = capsys.readouterr()
    assert "warning: found no recovery" in said.err
    first, _, document = said.out.partition("\n")
    assert first == "1 file, 1 valid, 0 with mistakes, 1 warning"
    (warning,) = json.loads(document)["result"]["warnings"]
    assert (warning["file"], warning["line"], warning["found"]) == (str(path), 7, "no recovery")
