"""`docker compose up`, as people type it: up, seeded, a check-in through the front door, and gone again."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from runtimes.containers.engine import Engine
from runtimes.containers.recipes import SYSTEM
from tests.standin.containers import require_engine

pytestmark = [pytest.mark.docker, pytest.mark.slow]
PROJECT = "codeblue-test"
LABEL = f"com.docker.compose.project={PROJECT}"
DIRECT = build_opener(ProxyHandler({}))
UP_WITHIN_S = 120


def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Version 2 is a plugin of `docker`, version 1 a program of its own; this file means the same to both."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    program = ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]
    if program == ["docker-compose"] and shutil.which("docker-compose") is None:
        pytest.skip("neither `docker compose` nor docker-compose is installed")
    command = [*program, "-p", PROJECT, *arguments]
    return subprocess.run(command, cwd=SYSTEM, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture
def engine() -> Iterator[Engine]:
    require_engine()
    found = Engine()
    compose("down", "-v")
    yield found
    compose("down", "-v")
    found.close()


def test_compose_brings_up_a_seeded_system_and_removes_it(engine: Engine) -> None:
    """After one command a patient can be checked in, with insurance; after another nothing is left."""
    checked = compose("config", "-q")
    assert checked.returncode == 0, checked.stderr
    up = compose("up", "-d")
    assert up.returncode == 0, up.stderr
    containers = engine.containers(LABEL)
    (seed,) = [name for name, one in containers.items() if one["com.docker.compose.service"] == "seed"]
    ended = engine.api.wait(seed, timeout=UP_WITHIN_S)
    assert ended["StatusCode"] == 0, engine.logs(seed).decode()
    encounter = {
        "resourceType": "Encounter",
        "identifier": [{"system": "urn:codeblue:encounter", "value": "enc-by-hand"}],
        "status": "arrived",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/pat-00007"},
        "extension": [
            {"url": "urn:codeblue:coverage", "valueReference": {"reference": "Coverage/cov-00007"}}
        ],
    }
    headers = {
        "content-type": "application/fhir+json",
        "idempotency-key": "enc-by-hand",
        "x-user": "usr-clerk",
    }
    order = Request("http://127.0.0.1:8081/checkins", json.dumps(encounter).encode(), headers)
    with DIRECT.open(order, timeout=10) as answer:
        assert answer.status in (200, 201)
        assert b"enc-by-hand" in answer.read()
    down = compose("down", "-v")
    assert down.returncode == 0, down.stderr
    assert not [*engine.containers(LABEL), *engine.networks(LABEL), *engine.volumes(LABEL)]
