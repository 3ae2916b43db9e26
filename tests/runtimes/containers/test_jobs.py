"""Jobs of a compose file: what they start after, where they find their callees, and which there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution.catalogue import read_system
from experiment.errors import ConfigError
from experiment.topology import System
from runtimes.containers.building import _waves
from runtimes.containers.foreign_images import Image
from runtimes.containers.jobs import job_spec, jobs_of
from runtimes.containers.layout import Layout
from runtimes.containers.networks import networks_of

COMPOSE = """\
services:
  web: {image: w, depends_on: {migrate: {condition: service_completed_successfully}}}
  migrate:
    image: m
    command: go
    environment: {DB: "db:5432"}
    depends_on: {seed: {condition: service_completed_successfully}}
  seed: {image: s, depends_on: [db]}
  db: {image: db}
"""
SYSTEM = """\
name: it
services:
  web: {compose: web, port: 80}
  db: {compose: db, port: 5432}
links: [{caller: web, callee: db, protocol: tcp, wired: name}]
journeys: {look: {entry: web, request: {path: /}, writes: off}}
mixes: {visit: [{journey: look}]}
"""


@pytest.fixture
def system(tmp_path: Path) -> System:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "system.yaml").write_text(SYSTEM)
    return read_system(tmp_path / "system.yaml")


def test_jobs_run_in_the_order_that_the_file_says(system: System) -> None:
    """After the services that they need, and before those that wait for them."""
    jobs = jobs_of(system)
    assert set(jobs) == {"migrate", "seed"}
    parts = dict.fromkeys(system.services)
    images = {name: Image("i", said) for name, said in jobs.items()}
    waves = list(_waves(system, parts, images))  # type: ignore[arg-type]  # names are all it looks at
    assert waves == [["db"], ["job seed"], ["job migrate"], ["web"]]


def test_a_job_finds_callees_under_their_names(system: System) -> None:
    """In the network in which a caller of each finds the proxy, at an address that nobody else has there."""
    networks = networks_of(system, "10.9.0.0/16", "net")
    layout = Layout("i", "o", "r", "net", {}, {}, networks=networks)
    spec = job_spec(system, layout, "migrate", Image("m:1", jobs_of(system)["migrate"]))
    door = networks.doors["web -> db"]
    assert (spec.network, spec.joins, spec.image, spec.command) == (door.name, (), "m:1", ("go",))
    assert spec.address not in (door.server, door.service, None)
    assert spec.environment == {"DB": "db:5432"}


def test_a_job_is_not_named_as_a_service(tmp_path: Path) -> None:
    """A run starts it by itself, and it ends."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    text = SYSTEM.replace("links:", "  seed: {compose: migrate}\nlinks:")
    (tmp_path / "system.yaml").write_text(text)
    with pytest.raises(ConfigError, match='"migrate", for whose end web waits: a run starts it by itself'):
        read_system(tmp_path / "system.yaml")
