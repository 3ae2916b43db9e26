"""Services that know nothing of the harness, in images of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.controls import Crash, SkewClock
from experiment.errors import StartError, UnsupportedError
from experiment.history import Record
from experiment.services import Service
from runtimes.containers.runtime import ContainersRuntime
from runtimes.docker_engine import EngineError
from runtimes.http_calls import call
from runtimes.runtime import Zero
from tests.standin.containers import require_engine
from tests.standin.strangers import LINK, strangers, told, with_timeout
from tests.standin.systems import settings

pytestmark = pytest.mark.docker
RUN = settings(strangers(), "work-plain-s1-aaaaaa")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainersRuntime]:
    """Front is built from its folder; back is as its compose file says, but for what the system says."""
    require_engine()
    runtime = ContainersRuntime(strangers(), tmp_path_factory.mktemp("var"))
    runtime.start(RUN)
    yield runtime
    runtime.stop()


def test_variables_come_from_the_compose_file_and_the_system_goes_before(running: ContainersRuntime) -> None:
    """Every call goes over the proxy of its link, also from an image that somebody brought."""
    back = running._running()[1].parts["back"]
    assert back.spec.environment == {"FROM_COMPOSE": "yes", "LISTEN": "0.0.0.0:8080"}
    front = running.address("front")
    built = running._running()[1]
    assert told(front, "/env")["CALLEE_URL"] == f"http://{built.doors[LINK]}"
    assert told(front, "/call") == {"status": "ok"}
    assert running.unhealed() == []


def test_another_design_replaces_the_containers_whose_variables_differ(running: ContainersRuntime) -> None:
    """At the same address, so that proxies and doors stay as they are."""
    nodes = running.controls()
    before = {name: nodes.node(name).probe(2.0).identity for name in ("front", "back")}
    running.reset(replace(RUN, run_id="work-patient-s1-cccccc", design=with_timeout(RUN.design, 0.25)))
    after = {name: nodes.node(name).probe(2.0).identity for name in before}
    assert after["front"] != before["front"] and after["back"] == before["back"]
    assert told(running.address("front"), "/env")["CALLEE_TIMEOUT_S"] == "0.25"
    assert told(running.address("front"), "/call") == {"status": "ok"}


def test_a_crash_is_healed_and_the_clock_of_its_image_is_not_ours(running: ContainersRuntime) -> None:
    """What needs our own image is refused by name."""
    node = running.controls().node("back")
    with pytest.raises(UnsupportedError, match="containers cannot do skew_clock to back"):
        node.act("f1", SkewClock(60.0))
    node.act("f2", Crash())
    assert node.probe(0.5).state == "absent"
    node.undo("f2")
    assert told(running.address("front"), "/call") == {"status": "ok"}
    assert running.unhealed() == []


def test_records_are_read_past_the_proxies_by_the_token_of_the_run(running: ContainersRuntime) -> None:
    """The same run again begins with nothing: its keys would be those of before."""
    running.reset(replace(RUN, run_id="work-plain-s3-dddddd"))
    built = running._running()[1]
    for key in (b"ord-dddddd-1", b"ord-eeeeee-1"):
        call(built.layout.addresses["back"], "POST", "/book", key, deadline_s=2.0)
    rows = running.records(Zero(0.0, 0.0))
    assert [row.key for row in rows if isinstance(row, Record)] == ["ord-dddddd-1"]
    running.reset(replace(RUN, run_id="work-plain-s3-dddddd"))
    assert told(running._running()[1].layout.addresses["back"], "/ledger") == {"entries": []}


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (Service(command=("true",)), "found no image of front, expected image, build or compose"),
        (Service(image="codeblue/nobody-has-this:1"), "codeblue/nobody-has-this"),
    ],
)
def test_an_image_that_is_not_there_is_told_before_anything_starts(
    service: Service, words: str, tmp_path: Path
) -> None:
    """By the name of the service or of the image."""
    require_engine()
    system = strangers()
    system = replace(system, services={**system.services, "front": service})
    runtime = ContainersRuntime(system, tmp_path / "var")
    with pytest.raises((StartError, EngineError), match=words):
        runtime.start(RUN)
    runtime.stop()
