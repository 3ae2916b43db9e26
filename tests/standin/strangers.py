"""A system of two services that know nothing of the harness, for tests of both live runtimes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiment.design import Design
from experiment.patterns import LinkPatterns
from experiment.record_sources import RecordSource
from experiment.services import Endpoints, Service
from experiment.topology import Journey, Link, Step, System
from runtimes.http_calls import call
from runtimes.runtime import Address

FOLDER = Path(__file__).resolve().parent / "stranger"
LINK = "front -> back"


def strangers(dies_first: Path | None = None) -> System:
    """`front -> back`. Front's image is built from its folder, back is a service of a compose file."""
    variables = {
        "LISTEN": "{host}:{port}",
        "CALLEE_URL": "http://{back}",
        "CALLEE_TIMEOUT_S": "{back.timeout}",
        "DIES_FIRST": str(dies_first or ""),
    }
    command = ("{python}", "stranger.py")
    alive = Endpoints(health="/alive")
    services = {
        "front": Service(command=command, build=".", environment=variables, endpoints=alive),
        "back": Service(
            role="instrument", command=command, compose="back", environment={"LISTEN": "{host}:{port}"}
        ),
    }
    journeys = {"work": Journey("front", (LINK,))}
    ledger = RecordSource("back", "entry", http="/ledger", entries="entries", fields={"key": "reference"})
    return System(
        "strangers",
        services,
        (Link("front", "back"),),
        journeys,
        {"work": (Step("work"),)},
        records=(ledger,),
        source=str(FOLDER / "system.yaml"),
    )


def by_name() -> System:
    """The same two, where front calls back by its own name and port."""
    system = strangers()
    front = system.services["front"]
    front = replace(front, environment={**front.environment, "CALLEE_URL": "http://back:8080"})
    services = {**system.services, "front": front}
    return replace(system, services=services, links=(Link("front", "back", wired="name"),))


def with_timeout(design: Design, seconds: float) -> Design:
    """Another timeout on the link, which reaches the service by a variable."""
    return Design(f"timeout_{seconds:g}", {LINK: LinkPatterns(timeout=seconds)}, design.services)


def told(address: Address, path: str) -> Any:
    """The JSON that a service answers."""
    answer = call(address, "GET", path, deadline_s=3.0)
    assert answer.status == 200, answer
    return json.loads(answer.body)
