"""`init` and `check-wiring`: the first files of a compose application."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from execution.catalogue import Catalogue
from execution.options import SIMULATION, Options
from execution.places import ROOT
from execution.runs.preflight import Request, plans
from experiment.errors import ConfigError, UsageError
from harness import cli
from tests.load.test_tasks import BASIC

COMPOSE = """\
services:
  web: {image: web, environment: {API_URL: "http://me:hidden@api:8080"}, ports: ["80:80"]}
  api: {image: api, environment: {API_TOKEN: hidden}, healthcheck: {test: "curl -f http://localhost:8080/healthz"}}
"""


def run(*words: str) -> int:
    return int(cli.main(list(words), standalone_mode=False))


def started(folder: Path, text: str, *words: str) -> Path:
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    assert run("init", "--compose", str(folder / "compose.yaml"), *words) == 0
    return folder / "resilience"


def test_every_file_validates_and_plays_on_the_twin(tmp_path: Path) -> None:
    """The shop's own compose file, which is left as it is; a run of the first scenario can be planned."""
    shutil.copy(ROOT / "examples" / "shop" / "compose.yaml", tmp_path)
    before = (tmp_path / "compose.yaml").read_bytes()
    assert run("init", "--compose", str(tmp_path / "compose.yaml"), "--into", str(tmp_path / "into")) == 0
    assert (tmp_path / "compose.yaml").read_bytes() == before
    catalogue = Catalogue(tmp_path / "into" / "system.yaml")
    assert run("validate", "--system", str(tmp_path / "into")) == 0
    assert len(catalogue.system().links) == 9
    assert run("check-wiring", str(tmp_path / "into")) == 0
    request = Request("slow_link", catalogue.usual_design(), 1)
    (plan,) = plans([request], catalogue, Options(runtime=SIMULATION))
    assert [acting.target for acting in plan.activations] == ["storefront -> orders"]


def test_no_value_is_copied_and_what_is_to_be_filled_in_is_marked(tmp_path: Path) -> None:
    """Variables may hold secrets: only their names and the addresses in them are written down."""
    folder = started(tmp_path, COMPOSE)
    texts = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.yaml"))
    assert "hidden" not in texts
    assert "# the variable API_URL, http://api:8080\n" in texts
    assert texts.count("FILL IN") >= 4
    assert "  api: {compose: api, port: 8080, endpoints: {health: /healthz}}\n" in texts


def test_a_system_without_a_link_has_right_files_too(tmp_path: Path) -> None:
    """There is nothing to slow down: a control alone."""
    folder = started(tmp_path, "services: {web: {image: web}}")
    assert run("validate", "--system", str(folder)) == 0
    assert [path.name for path in (folder / "scenarios").glob("*.yaml")] == ["control.yaml"]


def test_operations_of_an_api_become_journeys_of_the_first_scenarios(tmp_path: Path) -> None:
    """From a file in YAML or JSON; every file is right."""
    api = {"openapi": "3.1.0", "paths": {"/orders/{id}": {"get": {"operationId": "show"}, "post": {}}}}
    (tmp_path / "api.json").write_text(json.dumps(api), encoding="utf-8")
    words = ("--openapi", str(tmp_path / "api.json"), "--entry", "api")
    folder = started(tmp_path, COMPOSE, *words)
    assert run("validate", "--system", str(folder)) == 0
    system = Catalogue(folder / "system.yaml").system()
    assert [(name, one.entry) for name, one in system.journeys.items()] == [
        ("show", "api"),
        ("post_orders_id", "api"),
    ]
    assert "journey: show" in (folder / "scenarios" / "control.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not YAML"), ("{", "api.txt"), ("openapi: 3.0.0\npaths: {}", "an API without an operation")],
)
def test_a_description_that_cannot_be_read_is_a_mistake(text: str, said: str, tmp_path: Path) -> None:
    """Told by its name."""
    (tmp_path / "api.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        started(tmp_path, COMPOSE, "--openapi", str(tmp_path / "api.txt"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second call names what is there."""
    started(tmp_path, COMPOSE)
    with pytest.raises(UsageError, match=r"found .*system\.yaml.*nothing is overwritten"):
        run("init", "--compose", str(tmp_path / "compose.yaml"))


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("services: {web: {image: a, network_mode: host}}", (), "network_mode of web"),
        ("services: {web: {image: a, profiles: [x]}}", (), "no service to start; in profiles: web"),
        (COMPOSE, ("--profile", "debug"), 'the profile "debug", expected one of the file\'s profiles'),
        ("services: {}", (), "no service"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(
    text: str, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Before any file is written."""
    with pytest.raises(ConfigError, match=said):
        started(tmp_path, text, *words)
    assert not (tmp_path / "resilience").exists()


def test_a_text_that_passes_a_proxy_by_is_invalid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, as a run would end."""
    folder = started(tmp_path, COMPOSE)
    system = folder / "system.yaml"
    system.write_text(
        system.read_text(encoding="utf-8").replace("port: 8080}\n\n", "port: 9}\n\n"), encoding="utf-8"
    )
    capsys.readouterr()
    assert run("check-wiring", str(folder), "--json") == 3
    told = json.loads(capsys.readouterr().out)["result"]
    assert told["problems"] == ["web -> api: web names port 8080, and the link is wired at port 9"]
    assert told["links"][0]["found"] == [
        {"where": "compose.yaml, the variable API_URL", "shown": "http://api:8080"}
    ]


def test_a_procfile_is_a_system_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file validates and can be planned on the twin; no secret is copied, and what needs a person is
    marked."""
    (tmp_path / "Procfile").write_text("web: node w.js\napi: node a.js --port 8100\nworker: node jobs.js\n")
    (tmp_path / ".env").write_text("API_URL=http://localhost:8100\nTOKEN=hidden\n")
    assert run("init", "--processes", str(tmp_path / "Procfile")) == 0
    assert "next: codeblue try" in capsys.readouterr().out
    catalogue = Catalogue(tmp_path / "resilience" / "system.yaml")
    system = catalogue.system()
    assert system.link_names == ("web -> api", "worker -> api")
    assert system.services["web"].environment == {"API_URL": "http://{api}", "PORT": "{port}"}
    assert run("validate", "--system", str(tmp_path / "resilience")) == 0
    (plan,) = plans([Request("slow_link", "as_it_is", 1)], catalogue, Options(runtime=SIMULATION))
    assert [acting.target for acting in plan.activations] == ["web -> api"]
    text = (tmp_path / "resilience" / "system.yaml").read_text()
    assert "hidden" not in text and "whose values are not copied: TOKEN" in text


@pytest.mark.parametrize("words", [(), ("--compose", "FILE", "--processes", "FILE")])
def test_one_file_says_what_the_system_is(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Neither and both are refused."""
    path = tmp_path / "Procfile"
    path.write_text("web: x\n")
    with pytest.raises(UsageError, match="expected one of them"):
        run("init", *(str(path) if word == "FILE" else word for word in words))


def test_a_new_folder_gets_a_system_that_is_right_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file validates, the wiring is found, and each link and switch has a scenario."""
    folder = tmp_path / "mine"
    assert run("init", str(folder)) == 0
    assert f"next: codeblue suite first --system {folder}" in capsys.readouterr().out
    assert run("validate", "--system", str(folder)) == 0
    assert capsys.readouterr().out == "7 files, 7 valid, 0 with mistakes\n"
    assert run("check-wiring", str(folder)) == 0
    catalogue = Catalogue(folder / "system.yaml")
    assert catalogue.system().name == "mine"
    assert sorted(catalogue.scenario_files()) == ["answers_late", "control", "slow_ledger"]
    assert not (folder / "resilience").exists()


@pytest.mark.parametrize("file", ["compose.yml", "docker-compose.yaml", "Procfile"])
def test_what_starts_a_system_is_found_in_its_folder(file: str, tmp_path: Path) -> None:
    """As Docker and foreman call their files; the folder need not be named where one stands in it."""
    (tmp_path / file).write_text("web: node w.js\n" if file == "Procfile" else COMPOSE, encoding="utf-8")
    assert run("init", str(tmp_path)) == 0
    assert run("validate", "--system", str(tmp_path / "resilience")) == 0


def test_other_files_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system in small is written to an empty place only, and never twice."""
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"found neither compose\.yaml nor Procfile"):
        run("init")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert run("init", "new") == 0
    with pytest.raises(UsageError, match="nothing is overwritten"):
        run("init", "new")
    with pytest.raises(ConfigError, match="letters"):
        run("init", "other", "--name", "no name")
    assert not (tmp_path / "other").exists()


def test_tasks_of_a_locustfile_become_journeys(tmp_path: Path) -> None:
    """One task an arrival, as often as the file weighs it; every file is right and can be planned."""
    (tmp_path / "mine.py").write_text(BASIC, encoding="utf-8")
    folder = started(tmp_path, COMPOSE, "--locust", str(tmp_path / "mine.py"))
    assert run("validate", "--system", str(folder)) == 0
    catalogue = Catalogue(folder / "system.yaml")
    system = catalogue.system()
    assert {name: one.task for name, one in system.journeys.items()} == {
        name: f"WebsiteUser.UserTasks.{name}" for name in ("index", "stats", "page404")
    }
    assert [round(step.share, 2) for step in system.mixes["visit"]] == [0.33] * 3
    (plan,) = plans([Request("control", "as_it_is", 1)], catalogue, Options(runtime=SIMULATION))
    assert {op.journey for op in plan.operations} == set(system.journeys)


@pytest.mark.parametrize(
    ("text", "said"), [("import nothing_like_this", "nothing_like_this"), ("", "no task")]
)
def test_a_locustfile_that_cannot_be_loaded_says_why(text: str, said: str, tmp_path: Path) -> None:
    """Before any file is written; and nobody gives the journeys twice."""
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        started(tmp_path, COMPOSE, "--locust", str(tmp_path / "mine.py"))
    with pytest.raises(UsageError, match="found --locust and --openapi, expected one of them"):
        started(tmp_path, COMPOSE, "--locust", str(tmp_path / "mine.py"), "--openapi", "x")
    assert not (tmp_path / "resilience").exists()
