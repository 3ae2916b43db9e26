"""What services show of their design: their own answer, or what the kernel shows of their process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.design import Design
from experiment.obeyed import digest_of, wanted_of
from experiment.patterns import LinkPatterns
from experiment.rows import Obeyed
from experiment.services import Endpoints, Service
from experiment.switches import Switch
from experiment.topology import Link, System
from runtimes.obeying import of_process, told
from runtimes.readings import Readings
from runtimes.runtime import Address, Point
from tests.runtimes.scripted_server import Line, scripted

SYSTEM = System(
    name="pair",
    services={
        "front": Service(
            command=("./front", "--limit", "{back.timeout}"), environment={"BACK_ATTEMPTS": "{back.attempts}"}
        ),
        "back": Service(command=("back",)),
    },
    links=(Link("front", "back"),),
    journeys={},
    mixes={},
    switches={
        "keyed": Switch("switch", optional=True, environment={"KEYED": "{value}"}, services=("front",))
    },
)


def design(keyed: bool | None) -> Design:
    return Design("d", {"front -> back": LinkPatterns(timeout=2.0)}, {"front": {"keyed": keyed}, "back": {}})


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A program that is named by the first line of a script, as many services are."""
    path = tmp_path / "front"
    path.write_text(f"#!{sys.executable}\nimport time\nprint('up', flush=True)\ntime.sleep(60)\n")
    path.chmod(0o755)
    return path


def shown(script: Path, variables: dict[str, str], limit: str, claimed: Design) -> dict[str, object]:
    """What the kernel shows of the script started so, where `claimed` is what it was to obey."""
    argv = [str(script), "--limit", limit]
    environment = {"PATH": os.environ["PATH"], "OTHER": "x", **variables}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            row = of_process(SYSTEM, claimed, "front", process.pid, 1.5)
        finally:
            process.kill()
    assert (row.t, row.service, row.trouble, row.digest) == (1.5, "front", "", digest_of(row.obeys))
    return dict(row.obeys)


def test_a_process_that_was_started_as_the_design_says_shows_just_that(script: Path) -> None:
    """Variables and arguments that the design decides, and no other."""
    claimed = design(True)
    obeys = shown(script, {"BACK_ATTEMPTS": "1", "KEYED": "true"}, "2", claimed)
    assert obeys == wanted_of(SYSTEM, claimed)["front"]
    assert obeys == {"BACK_ATTEMPTS": "1", "KEYED": "true", "argument 2": "2"}


def test_what_the_process_really_has_is_shown(script: Path) -> None:
    """A variable that is off and set all the same, one that is lost, another argument."""
    assert shown(script, {"KEYED": "true"}, "9", design(None)) == {
        "BACK_ATTEMPTS": None,
        "KEYED": "true",
        "argument 2": "9",
    }


def test_a_process_that_is_gone_shows_nothing() -> None:
    """Its row says why."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    row = of_process(SYSTEM, design(True), "front", process.pid, 0.0)
    assert row.digest == ""
    assert row.trouble.startswith("its environment cannot be read")


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (200, b'{"digest":"%s","obeys":{"keyed":true}}' % digest_of({"keyed": True}).encode(), ""),
        (200, b'{"digest":"1","obeys":{"keyed":true}}', "its digest is not that of what it shows"),
        (200, b'{"digest":"1"}', "missing required field `obeys`"),
        (200, b"\xff", "malformed"),
        (404, b"{}", "status 404"),
    ],
)
def test_a_service_is_asked_at_its_own_endpoint(status: int, body: bytes, trouble: str) -> None:
    """What it answers is taken as it is, and believed only where it fits together."""

    def script(line: Line) -> None:
        assert line.until(b"\r\n\r\n").startswith(b"GET /own/design ")
        line.say(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))

    with scripted(script) as address:
        (row,) = readings_of(address)
    assert trouble in row.trouble if trouble else row.trouble == ""
    assert (row.obeys == {"keyed": True}) == (b'"obeys"' in body)


def test_a_service_that_does_not_answer_is_told() -> None:
    """Its row says which call failed."""
    with scripted(lambda _: None) as address:
        pass
    (row,) = readings_of(address)
    assert row.service == "front" and row.digest == ""
    assert "/own/design" in row.trouble


def readings_of(address: Address) -> list[Obeyed]:
    points = {"front": Point(address, Endpoints(design="/own/design")), "back": Point(address, Endpoints())}
    readings = Readings(points)
    try:
        return told(readings, 0.0)
    finally:
        readings.close()
