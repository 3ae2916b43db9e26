"""The models of a system's own folder: what is wrong with them is told by name, before anything starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiment.errors import ConfigError
from experiment.plan import Plan, make_plan
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.switches import Switch
from experiment.topology import System, WorkloadFiles
from experiment.workload import load_workload
from simulation.model.magnitudes import load_magnitudes
from simulation.model.models import magnitudes_of, models_of
from simulation.model.run import simulate
from simulation.workers import workers
from tests.standin.systems import pair, settings

GOOD = """\
from simulation.modelling import Node, Reply
from .parts import BODY

class Front(Node):
    def serve(self, request, deadline):
        return (yield from self.call("back", "work", BODY, deadline))

class Back(Node):
    def serve(self, request, deadline):
        yield from self.pause_for(0.01)
        return Reply(200)

MODELS = {"front": Front, "back": Back}
"""


BACK = "class Back(Node):\n"


def a_system(folder: Path, text: str, **files: str) -> System:
    """The stand-in system with a package of models."""
    twin = folder / "twin"
    twin.mkdir()
    (twin / "__init__.py").write_text(text)
    (twin / "parts.py").write_text("BODY = {}\n")
    for name, more in files.items():
        (twin / name).write_text(more)
    system = pair(stores=True)
    return replace(system, workload=WorkloadFiles(twin="twin"), source=str(folder / "system.yaml"))


def a_plan(system: System) -> Plan:
    scenario = Scenario("try", "Try", Load(Arrivals(rate=4.0), {"work": 1}), Phases(baseline=4.0, settle=2.0))
    given = settings(system)
    return make_plan(scenario, system, given.design, 1, given.population, load_workload(system))


def played_rows(one: Plan) -> list[tuple[Any, ...]]:
    return simulate(one, load_magnitudes()).operations.rows()


def told(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        models_of(a_system(folder, text))
    assert caught.value.exit_code == 64
    return str(caught.value)


def test_a_package_says_the_model_of_every_service(tmp_path: Path) -> None:
    """Stores and buses are the twin's own."""
    models = models_of(a_system(tmp_path, GOOD))
    assert sorted(models.nodes) == ["back", "front"]
    assert (models.operations, models.switches, models.sizes) == ({}, frozenset(), None)


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        (
            "MODELS = ",
            "MODEL = ",
            "found no MODELS, expected MODELS: a dictionary from",
        ),
        ('MODELS = {"front": Front', 'MODELS = [Front]\n{"front": Front', "found MODELS of the type list"),
        (', "back": Back}', "}", 'found no model of the service "back", expected a model of every service'),
        ('"back": Back', '"bakc": Back', 'a model of the unknown service "bakc"'),
        ('"back": Back', '"bakc": Back', 'did you mean "back"?'),
        ('"back": Back', '"back": Back, "bus": Back', 'a model of "bus", which is a store or a bus'),
        ('"back": Back', '"back": print', "'print' as the model of \"back\""),
        ("BODY\n", "BODI\n", "__init__.py:2:1: found ImportError while it was imported"),
        ("MODELS = ", "OPERATIONS = {'back': 'GET /'}\nMODELS = ", "found OPERATIONS of another shape"),
        ("MODELS = ", "OPERATIONS = {'bakc': {}}\nMODELS = ", 'the unknown service "bakc" in OPERATIONS'),
        (BACK, f"{BACK}    SWITCHES = 'keeps'\n", "found SWITCHES of Back of the type str"),
        (BACK, f"{BACK}    SWITCHES = ('keep',)\n", 'the unknown switch "keep" in SWITCHES of Back'),
        (BACK, f"{BACK}    SWITCHES = ('keep',)\n", 'did you mean "keeps"?'),
        (
            "def serve(self, request, deadline):\n        yield",
            "def sreve(self, request):\n        yield",
            "Back as the",
        ),
    ],
)
def test_a_mistake_in_a_package_is_told_by_name(tmp_path: Path, good: str, bad: str, words: str) -> None:
    """The place is the package's own file; nothing was started."""
    message = told(tmp_path, GOOD.replace(good, bad))
    assert message.startswith(f"{tmp_path}/twin/__init__.py")
    assert words in message


def test_a_model_obeys_its_own_switches_and_those_of_its_bases(tmp_path: Path) -> None:
    """What a package obeys is what its models say, and no list beside them."""
    text = GOOD.replace(BACK, "class Back(Front):\n    SWITCHES = ('slow',)\n")
    text = text.replace("class Front(Node):\n", "class Front(Node):\n    SWITCHES = ('keeps',)\n")
    system = a_system(tmp_path, text)
    models = models_of(replace(system, switches=system.switches | {"slow": Switch("switch", default=False)}))
    assert models.nodes["back"].obeyed() == ("slow", "keeps")
    assert models.nodes["front"].obeyed() == ("keeps",)
    assert models.switches == {"keeps", "slow"}


def test_a_package_brings_its_own_sizes(tmp_path: Path) -> None:
    """They are laid over the general ones, which stay for what the file does not say."""
    own = '{"constants": {"patience_s": 4}, "processing": {"back": {"family": "constant", "value": 0.5}}}'
    sizes = magnitudes_of(a_system(tmp_path, GOOD, **{"uncalibrated.json": own}))
    assert sizes.constants["patience_s"] == 4.0
    assert sizes.constants["restart_s"] == magnitudes_of(pair()).constants["restart_s"]
    assert list(sizes.processing) == ["back"]
    assert sizes.name == "uncalibrated"


def test_a_model_may_answer_at_once(tmp_path: Path) -> None:
    """A model that waits for nothing returns its reply."""
    text = GOOD.replace("        yield from self.pause_for(0.01)\n", "")
    history = simulate(a_plan(a_system(tmp_path, text)), load_magnitudes())
    assert history.operations["status"].to_list() == [200] * len(history.operations)
    assert len(history.operations) > 5


@pytest.mark.parametrize(
    ("good", "bad", "line", "found"),
    [
        (
            "return Reply(200)",
            "return Reply(missing)",
            11,
            "NameError while the model played: name 'missing'",
        ),
        ("BODY, deadline", "BODY['x'], deadline", 6, "KeyError while the model played: 'x'"),
        ("class Back(Node):", "class Back(Node):\n    opened = None\n", 0, "TypeError"),
    ],
)
def test_a_model_that_raises_is_told_at_its_line(
    tmp_path: Path, good: str, bad: str, line: int, found: str
) -> None:
    """It is a mistake in the system's folder, not one of the harness."""
    one = a_plan(a_system(tmp_path, GOOD.replace(good, bad)))
    if not line:  # no line of the model's own: nothing is blamed on it
        with pytest.raises(TypeError):
            simulate(one, load_magnitudes())
        return
    with pytest.raises(ConfigError) as caught:
        simulate(one, load_magnitudes())
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/twin/__init__.py:{line}:1: found {found}")


def test_a_mistake_in_a_model_travels_from_a_worker_whole(tmp_path: Path) -> None:
    """A sweep over processes tells it as one process does."""
    one = a_plan(a_system(tmp_path, GOOD.replace("return Reply(200)", "return Reply(missing)")))
    with pytest.raises(ConfigError) as here:
        simulate(one, load_magnitudes())
    with workers(1) as pool, pytest.raises(ConfigError) as there:
        pool.submit(simulate, one, load_magnitudes()).result()
    assert str(there.value) == str(here.value)
    assert there.value.problems == here.value.problems


def test_models_are_loaded_in_workers_by_their_path(tmp_path: Path) -> None:
    """A process that never saw the package plays it, and gives the same history."""
    one = a_plan(a_system(tmp_path, GOOD))
    with workers(1) as pool:
        rows = pool.submit(played_rows, one).result()
    assert rows == simulate(one, load_magnitudes()).operations.rows()
