"""Tasks of somebody's locustfile in the load process for real: each at its instant, each request a row."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from execution.catalogue import read_system
from experiment.design import Design
from experiment.errors import ConfigError, StartError
from experiment.history import History, load_history
from experiment.plan import make_plan
from experiment.scenario import Arrivals, Load, Phases, Scenario
from experiment.workload import load_workload
from load.process import LoadProcess, start_load
from tests.load.local_system import Heard, Respond, Say, local_system
from tests.load.plans import started_history

LIMIT_S = 120.0
ROOT = Path(__file__).resolve().parents[2]
# In the form of the first example of Locust's own: functions and methods as tasks of a set, one user class.
BASIC = """\
from locust import HttpUser, TaskSet, between, task

def index(l):
    l.client.get("/")

def stats(l):
    l.client.get("/stats/requests")

class UserTasks(TaskSet):
    tasks = [index, stats]

    @task
    def page404(self):
        self.client.get("/does_not_exist")

class WebsiteUser(HttpUser):
    host = "http://127.0.0.1:8089"
    wait_time = between(2, 5)
    tasks = [UserTasks]
"""
# Users that begin with a login, ask twice, say themselves what is wrong, make a mistake, or wait too long.
MORE = """\
from locust import HttpUser, task

class Buyer(HttpUser):
    def on_start(self):
        self.client.post("/login")

    @task(3)
    def basket(self):
        self.client.get("/a")
        with self.client.get("/b", catch_response=True) as answer:
            answer.failure("wrong") if "wrong" in answer.text else answer.success()

    @task
    def mistaken(self):
        self.client.get("/a")
        return {}["nothing"]
"""
SYSTEM = """\
name: theirs
services: {{front: {{command: [front, "{{port}}"]}}}}
links: []
workload: {{locustfile: theirs.py}}
journeys:
{journeys}
mixes:
{mixes}
"""


def played(folder: Path, file: str, names: list[str], respond: Respond, patience: str = "1s") -> History:
    """The history of a second in which every task begins five times."""
    (folder / "theirs.py").write_text(file)
    journeys = [
        f"  j{n}: {{entry: front, task: {name}, writes: off, p95: 500ms, patience: {patience}}}"
        for n, name in enumerate(names)
    ]
    mixes = [f"  j{n}: [{{journey: j{n}}}]" for n in range(len(names))]
    (folder / "system.yaml").write_text(SYSTEM.format(journeys="\n".join(journeys), mixes="\n".join(mixes)))
    system = read_system(folder / "system.yaml")
    load = Load(Arrivals("constant", 5.0 * len(names)), {f"j{n}": 1.0 for n in range(len(names))})
    scenario = Scenario("local", "local", load, Phases(warm_up=0.0, baseline=1.0, settle=1.0))
    workload = load_workload(system)
    made = make_plan(scenario, system, Design("plain", {}, {}), 1, workload.population(None, 1), workload)
    process = LoadProcess(folder, 1)
    with local_system(respond) as here:
        path = started_history(folder / "h.jsonl", made.run_id)
        running = start_load(made, {"front": here.base}, path, folder, 1, process)
        try:
            running.ready(LIMIT_S)
            running.go(time.monotonic() + 0.2)
            running.wait(LIMIT_S)
        finally:
            running.stop()
    return load_history(path)


def test_the_first_example_of_locust_is_played_unchanged(tmp_path: Path) -> None:
    """Its host leads to the entry service, its waiting times to nothing: every operation of the plan has its
    row in time, and each request one of its own with the name that Locust gives it."""
    names = [f"WebsiteUser.UserTasks.{name}" for name in ("index", "stats", "page404")]
    asked: list[Heard] = []

    def respond(heard: Heard) -> Say:
        asked.append(heard)
        return Say(404 if heard.path == "/does_not_exist" else 200)

    history = played(tmp_path, BASIC, names, respond)
    rows = history.operations
    assert rows.height == len(asked) and {"j0", "j1", "j2"} == set(rows["journey"])
    assert rows.filter(rows["journey"] != "j2")["outcome"].unique().to_list() == ["acknowledged"]
    refused = rows.filter(rows["journey"] == "j2")
    assert refused["error"].unique().to_list() == ["not_found"] and set(refused["status"]) == {404}
    assert ((rows["sent"] - rows["intended"]) < 0.5).all()
    traces = {one.headers["traceparent"].split("-")[1] for one in asked}
    assert traces == set(rows["trace"])
    samples = [one for one in history.samples if one.source == "locust"]
    assert len(samples) == len(asked)
    assert {one.name.partition(":")[0] for one in samples} == {
        "GET /",
        "GET /stats/requests",
        "GET /does_not_exist",
    }
    assert [note.level for note in history.notes if "no business keys" in note.text] == ["info"]


def test_a_user_begins_once_and_what_his_requests_say_is_what_came_of_the_task(tmp_path: Path) -> None:
    """The first request that failed, in the file's own eyes too; who waits too long gives up; an error of the
    file's own makes the run invalid."""
    asked: list[str] = []

    def respond(heard: Heard) -> Say:
        asked.append(heard.path)
        count = asked.count("/b")
        if heard.path == "/b" and count == 2:
            return Say(200, "wrong")
        if heard.path == "/b" and count == 3:
            return Say(how="hang")
        return Say(503 if heard.path == "/b" and count == 4 else 200)

    history = played(tmp_path, MORE, ["Buyer.basket"], respond)
    outcomes = sorted(history.operations["error"].fill_null("fine").to_list())
    assert outcomes[:1] == ["fine"] and {"timeout", "workload_error"} <= set(outcomes)
    assert "unavailable" not in outcomes  # the file says that this answer is fine
    assert 1 <= asked.count("/login") < asked.count("/a")
    assert not [note for note in history.notes if note.level == "invalid"]


def test_an_error_of_the_files_own_makes_the_run_invalid(tmp_path: Path) -> None:
    """Where the system answered well; once for the same error."""
    history = played(tmp_path, MORE, ["Buyer.mistaken"], lambda _: Say(200))
    (note,) = [note for note in history.notes if note.level == "invalid"]
    assert "Buyer.mistaken raised KeyError: 'nothing'" in note.text
    assert history.operations["error"].unique().to_list() == ["workload_error"]


def test_a_task_that_is_not_there_ends_the_load_before_it_begins(tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(StartError, match=r'no task "WebsiteUser\.indx"'):
        played(tmp_path, BASIC, ["WebsiteUser.indx"], lambda _: Say(200))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("writes: off", "writes: on", "expected `writes: off` and neither key"),
        ("writes: off", "writes: off, key: x", "neither key"),
        ("workload: {locustfile: theirs.py}", "workload: {}", "no locustfile"),
        ("locustfile: theirs.py", "locustfile: other.py", '"other.py", which is not there'),
    ],
)
def test_what_a_task_cannot_be_is_told_where_it_stands(old: str, new: str, said: str, tmp_path: Path) -> None:
    """Nothing is known of what it wrote, and so nothing is claimed."""
    (tmp_path / "theirs.py").write_text(BASIC)
    text = SYSTEM.format(
        journeys="  j: {entry: front, task: WebsiteUser.index, writes: off}", mixes="  v: [{journey: j}]"
    )
    (tmp_path / "system.yaml").write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=said):
        read_system(tmp_path / "system.yaml")


def test_the_tasks_of_a_file_are_told_with_their_weights(tmp_path: Path) -> None:
    """As `init` asks for them; a file that cannot be loaded says why."""
    (tmp_path / "theirs.py").write_text(MORE)
    words = [sys.executable, "-m", "load.tasks", str(tmp_path / "theirs.py")]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == {"Buyer.basket": 0.75, "Buyer.mistaken": 0.25}
    (tmp_path / "theirs.py").write_text("import nothing_like_this")
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode != 0 and "ModuleNotFoundError" in told.stderr
