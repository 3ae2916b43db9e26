"""Which system a call means, and how the names of its files are found."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from execution.campaigns.trials import trials_of, usual_scenarios
from execution.catalogue import REFERENCE, Catalogue, check_folders, default_catalogue
from execution.options import PROCESSES, SIMULATION
from execution.places import ROOT
from experiment.errors import ConfigError, UsageError
from tests.execution.conftest import Command
from tests.execution.test_pytest_plugin import pytest_on

LAMPS = ROOT / "tests" / "fixtures" / "lamps"
SLOW_LAMP = LAMPS / "scenarios" / "night" / "slow_lamp.yaml"
CONTROL = ROOT / "scenarios" / "smoke" / "control.yaml"


@pytest.fixture
def lamps(tmp_path: Path) -> Path:
    """A copy of the second system, to be changed."""
    return Path(shutil.copytree(LAMPS, tmp_path / "lamps"))


def test_a_system_is_named_or_that_of_the_files_or_the_reference_one() -> None:
    """By its folder, its file or a checkout; by a file in it, or in a folder that it names; else ours."""
    own = LAMPS / "system.yaml"
    for named in (LAMPS, own):
        assert default_catalogue(named).system_path == own
    assert default_catalogue(ROOT).system_path == REFERENCE
    assert default_catalogue(None, [str(SLOW_LAMP)]).system_path == own
    assert default_catalogue(None, [str(CONTROL), "resilient"]).system_path == REFERENCE
    assert default_catalogue(LAMPS, [str(CONTROL)]).system_path == own
    assert default_catalogue(None, ["smoke", "anything"]).system_path == REFERENCE
    assert default_catalogue().system_path == REFERENCE


def test_a_folder_beside_the_system_belongs_to_it_when_it_is_named(tmp_path: Path) -> None:
    """A system names a folder that lies beside it, as the reference system does; others stay nobody's."""
    folder = Path(shutil.copytree(LAMPS, tmp_path / "city" / "lamps"))
    scenarios = folder.rename(tmp_path / "city" / "system") / "scenarios"
    scenarios.rename(tmp_path / "city" / "trials")
    file = tmp_path / "city" / "trials" / "night" / "slow_lamp.yaml"
    assert default_catalogue(None, [str(file)]).system_path == REFERENCE
    system = tmp_path / "city" / "system" / "system.yaml"
    system.write_text(system.read_text(encoding="utf-8") + "scenarios: [../trials]\n", encoding="utf-8")
    found = default_catalogue(None, [str(file)])
    assert found.system_path == system
    assert found.scenario_path("slow_lamp") == file
    system.write_text("][", encoding="utf-8")
    assert default_catalogue(None, [str(file)]).system_path == REFERENCE


def test_names_are_paths_below_the_folders_that_the_system_names(lamps: Path) -> None:
    """Subfolders are walked; a bare name belongs to the first file; designs and suites are no scenarios."""
    catalogue = Catalogue(lamps / "system.yaml")
    assert set(catalogue.scenario_files()) == {"night/slow_lamp", "slow_lamp"}
    assert set(catalogue.design_files()) == {"patient"}
    (lamps / "scenarios" / "day").mkdir()
    shutil.copy(SLOW_LAMP, lamps / "scenarios" / "day" / "slow_lamp.yaml")
    shutil.move(lamps / "suites", lamps / "scenarios" / "suites")
    system = lamps / "system.yaml"
    text = system.read_text(encoding="utf-8").replace("suites: suites\n", "")
    system.write_text(text, encoding="utf-8")
    assert list(catalogue.scenario_files()) == ["day/slow_lamp", "night/slow_lamp", "slow_lamp"]
    assert catalogue.scenario_path("slow_lamp").parent.name == "day"
    assert catalogue.suite_path("nights") == lamps / "scenarios" / "suites" / "nights.yaml"
    assert len(catalogue.files()) == 5
    assert (
        catalogue.name_of("scenarios", lamps / "scenarios" / "night" / "slow_lamp.yaml") == "night/slow_lamp"
    )


def test_a_folder_that_is_named_and_not_there_is_told_by_its_place(lamps: Path) -> None:
    """Nothing is silently empty."""
    system = lamps / "system.yaml"
    system.write_text(
        system.read_text(encoding="utf-8").replace("suites: suites", "suites: [suites, sweets]")
    )
    with pytest.raises(ConfigError, match=r"system.yaml:4:9: found the folder .*sweets, which is not there"):
        check_folders(system)
    with pytest.raises(ConfigError, match=r"the folder .*sweets, which is not there"):
        Catalogue(system).suite_path("days")


def test_without_a_design_the_only_one_is_meant(lamps: Path) -> None:
    """Of several it is the one that the system calls strong; none is guessed."""
    catalogue = Catalogue(lamps / "system.yaml")
    assert (catalogue.usual_design(), catalogue.usual_designs()) == ("patient", ("patient",))
    text = (lamps / "designs" / "patient.yaml").read_text(encoding="utf-8")
    (lamps / "designs" / "hasty.yaml").write_text(text.replace("patient", "hasty"), encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"one of the system lamps: hasty, patient; `roles: \{strong: NAME\}`"
    ):
        catalogue.usual_design()
    assert catalogue.usual_designs() == ("hasty", "patient")
    system = lamps / "system.yaml"
    text = system.read_text(encoding="utf-8")
    system.write_text(f"{text}roles: {{strong: patient, weak: hasty}}\n", encoding="utf-8")
    assert (catalogue.usual_design(), catalogue.usual_designs()) == ("patient", ("hasty", "patient"))
    system.write_text(f"{text}roles: {{strong: patent}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r'the unknown design "patent", .*\n.*did you mean "patient"'):
        catalogue.system()
    assert Catalogue(REFERENCE).usual_design() == "resilient"


def test_the_gates_own_trials_take_their_designs_from_the_system(lamps: Path) -> None:
    """The strong design and what lacks one pattern of it; planted bugs only where the system has some."""
    catalogue = Catalogue(lamps / "system.yaml")
    same, bugs = trials_of(catalogue, ["slow_lamp"], PROCESSES)
    assert same.name == "patient against itself" and "minus_timeout" in [bug.name for bug in bugs]
    with pytest.raises(UsageError, match=r"no suite gate_trials of the system lamps that names some"):
        usual_scenarios(catalogue)
    with pytest.raises(UsageError, match=r"the system lamps, which brings no twin models"):
        trials_of(catalogue, ["slow_lamp"], SIMULATION)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("list --system nowhere", "--system: found no folder or file nowhere, expected the folder"),
        ("list --system tests/fixtures", "found no system.yaml in the folder tests/fixtures, expected one; "
         "systems below it: tests/fixtures/lamps"),
        ("run a --system tests --system docs", "found tests and docs, expected one system in a call"),
        (f"run {SLOW_LAMP} {CONTROL}", "found files of two systems"),
        (f"gate --suite {LAMPS}/suites/nights.yaml --candidate {CONTROL}", "found files of two systems"),
        (f"plan smoke/control --system {LAMPS}", 'found no scenario "smoke/control", expected a file or '
         "a scenario of the system lamps: known: night/slow_lamp"),
        (f"plan {SLOW_LAMP} --design patent", 'did you mean "patient"?'),
    ],
)  # fmt: skip
def test_mistakes_are_told_by_name(command: Command, words: str, told: str) -> None:
    """Exit 64 with what was found and what was expected, before anything starts."""
    code, _, said = command(*words.split())
    assert code == 64
    assert told in said


def test_every_command_that_takes_scenarios_knows_another_system(command: Command) -> None:
    """`list` shows its parts, `validate` its files, `plan` its timeline: by --system or by a file of it."""
    listed = json.loads(command("list", "--system", str(LAMPS), "--json")[1])["result"]
    assert listed["system"] == {"lamps": "Street lamps and the switchboard that turns them on"}
    assert list(listed["scenarios"]) == ["night/slow_lamp"] and list(listed["designs"]) == ["patient"]
    assert list(listed["links"]) == ["switchboard -> lamp"] and list(listed["suites"]) == ["nights"]
    assert list(listed["journeys"]) == ["light_up"] and list(listed["mixes"]) == ["evening"]
    assert command("validate", "--system", str(LAMPS))[1].startswith("4 files, 4 valid, 0 with mistakes")
    assert command("validate", str(SLOW_LAMP), str(CONTROL))[1].startswith(
        "2 files, 2 valid, 0 with mistakes"
    )
    assert command("plan", str(SLOW_LAMP))[1] == command("plan", "slow_lamp", "--system", str(LAMPS))[1]


def test_a_command_names_its_system_when_its_words_do_not() -> None:
    """What repeats a run is short where names say it all, and whole where they do not."""
    lamps, ours = Catalogue(LAMPS / "system.yaml"), Catalogue(REFERENCE)
    assert lamps.system_words(["night/slow_lamp"]) == ["--system", "tests/fixtures/lamps"]
    assert lamps.system_words([str(SLOW_LAMP)]) == []
    assert ours.system_words(["smoke/control", "resilient"]) == []
    assert shlex.join(ours.system_words([str(SLOW_LAMP)])) == "--system reference_system"


def test_what_a_run_of_another_system_says_to_type_repeats_it(command: Command, tmp_path: Path) -> None:
    """The command of a run's report names the system, and works when it is pasted."""
    shop, scenario = "examples/shop", "examples/shop/scenarios/charge_response_lost.yaml"
    words = ("run", scenario, "--design", "as_it_is", "--runtime", "simulation", "--json")
    code, said, _ = command(*words, "--out", str(tmp_path / "first"))
    (run,) = json.loads(said)["result"]
    inputs = json.loads((Path(run["folder"]) / "run.json").read_text(encoding="utf-8"))
    again = shlex.split(inputs["run"]["header"]["command"])
    assert again[again.index("--system") + 1] == shop
    assert command(*again[2:], "--out", str(tmp_path / "again"))[0] == code


def test_scenarios_of_another_system_are_tests_when_they_are_named(tmp_path: Path) -> None:
    """By --system or by where they lie; a folder above the system collects none of them."""
    for words in (
        ("--system", str(LAMPS), str(SLOW_LAMP)),
        ("tests/fixtures/lamps",),
        ("tests/fixtures/lamps/scenarios",),
    ):
        code, said = pytest_on(tmp_path, *words, "--collect-only", "-q")
        assert code == 0 and "slow_lamp[patient]" in said, said
    code, said = pytest_on(tmp_path, "tests/fixtures", "--collect-only", "-q")
    assert code == 5 and "slow_lamp" not in said, said


def test_a_suite_says_which_expectations_a_twin_without_models_cannot_answer(
    command: Command, tmp_path: Path
) -> None:
    """It is inconclusive, exit 2, and names the properties; a failure that the twin can show still counts."""
    out = ["--runtime", "simulation", "--out", str(tmp_path)]
    code, said, _ = command("suite", "shop", "--system", str(ROOT / "examples" / "shop"), *out)
    assert code == 2, said
    lines = [line for line in said.splitlines() if line.startswith("charge_response_lost  as_it_is")]
    assert "EXPECTED fail; not modelled: no_duplicate_charge  " in lines[0]
    assert "8 cannot be answered by a twin without models (no_duplicate_charge, " in said.splitlines()[-2]
    (page,) = tmp_path.glob("*/suite.md")
    assert "pass; not modelled: no\\_duplicate\\_charge" in page.read_text(encoding="utf-8")
    (cases,) = tmp_path.glob("*-suite-shop*/junit.xml")
    assert 'failures="0" errors="3"' in cases.read_text(encoding="utf-8")


def test_a_file_that_is_written_while_the_program_runs_is_found_and_read_anew(lamps: Path) -> None:
    """Folders and scenarios are read once as long as they stay as they are: also those that are older."""
    catalogue, file = default_catalogue(lamps), lamps / "scenarios" / "night" / "slow_lamp.yaml"
    for path in (lamps, *lamps.rglob("*")):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    known = catalogue.scenario_files()
    first = catalogue.scenario("slow_lamp", catalogue.system())
    assert catalogue.scenario_files() == known
    assert catalogue.scenario("slow_lamp", catalogue.system()) is first
    (file.parent / "another.yaml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    assert catalogue.scenario_files().keys() - known == {"night/another", "another"}
    changed = file.read_text(encoding="utf-8").replace(f"title: {first.title}", "title: Another one")
    file.write_text(changed, encoding="utf-8")
    assert catalogue.scenario("slow_lamp", catalogue.system()).title == "Another one"
