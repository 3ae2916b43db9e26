"""What a container may do, where it stands and what it bears is decided by values alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiment.errors import StartError
from experiment.topology import System
from runtimes.containers import layout as plan
from runtimes.containers.building import check_engine
from runtimes.containers.layout import INSTANCE, Layout
from runtimes.containers.networks import Networks
from runtimes.containers.specs import ContainerSpec
from runtimes.containers.stores import HBA, new_secrets, statements
from runtimes.docker_engine import EngineFacts
from runtimes.keys import Keys
from tests.standin.systems import pair

FOLDER = Path("/instance")


def layout(system: System) -> Layout:
    return plan.place(
        system,
        Networks("10.9.0.0/24"),
        instance="containers-1-ab",
        owner="1:2:boot",
        run_id="r-1",
        network="codeblue-1-ab",
        ports=[40001],
        service_image="codeblue/service:current",
        keys=Keys("token of the run"),
    )


def specs() -> list[ContainerSpec]:
    system = pair(stores=True)
    placed = layout(system)
    found = [plan.toxiproxy_spec(placed, 1), plan.toolbox_spec(placed, system)]
    for name, service in system.services.items():
        if service.module:
            found.append(plan.service_spec(placed, name, service, FOLDER))
        else:
            found.append(plan.store_spec(placed, name, service, FOLDER, "secret"))
    return found


def test_every_part_has_an_address_of_its_own() -> None:
    """The first host of the subnet is the bridge; nobody else gets it, and nobody shares one."""
    placed = layout(pair(stores=True))
    assert {name: str(address) for name, address in placed.addresses.items()} == {
        "toxiproxy": "10.9.0.2:8474",
        "front": "10.9.0.3:8080",
        "back": "10.9.0.4:8080",
        "postgres": "10.9.0.5:5432",
        "bus": "10.9.0.6:4222",
    }


def test_a_front_door_that_is_not_started_is_not_published() -> None:
    """A run may start only some of a system's services, and not every journey's entry is among them."""
    system = pair(stores=True)
    elsewhere = replace(next(iter(system.journeys.values())), entry="annex")
    assert plan.front_doors(replace(system, journeys={**system.journeys, "other": elsewhere})) == ("front",)


def test_only_front_doors_are_published() -> None:
    """A service that no journey enters at, a store and Toxiproxy itself have no port outside."""
    published = {spec.hostname: dict(spec.published) for spec in specs() if spec.published}
    assert published == {"front": {8080: 40001}}
    assert str(layout(pair()).published["front"]) == "127.0.0.1:40001"


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.hostname)
def test_everything_bears_the_instance_and_its_owner(spec: ContainerSpec) -> None:
    """The labels are what the clean-up goes by."""
    assert spec.labels[INSTANCE] == "containers-1-ab"
    assert spec.labels["codeblue.owner"] == "1:2:boot"
    assert spec.labels["codeblue.first_run"] == "r-1"
    assert spec.name.startswith("codeblue-1-ab-")


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.hostname)
def test_only_the_toolbox_is_root_and_has_rights(spec: ContainerSpec) -> None:
    """It alone acts on packets and on other users' files."""
    if spec.hostname == "toolbox":
        assert set(spec.capabilities) == {"NET_ADMIN", "DAC_OVERRIDE"}
        assert spec.network == "container:codeblue-1-ab-toxiproxy"
    else:
        assert spec.capabilities == ()
        assert spec.user.split(":")[0] not in ("", "0")
        assert spec.network == "codeblue-1-ab"


def test_the_toolbox_keeps_the_files_of_all_stores() -> None:
    """A memory file system lives as long as somebody holds it: a crash must not lose what was committed."""
    toolbox = next(spec for spec in specs() if spec.hostname == "toolbox")
    assert set(toolbox.binds) == {
        "codeblue-1-ab-postgres-files:/volumes/postgres",
        "codeblue-1-ab-bus-files:/volumes/bus",
    }


def test_each_owner_gets_a_role_that_reaches_its_own_database_only() -> None:
    """So does the role that measures links; nobody gets in without a password."""
    known = new_secrets(["back", "shared"])
    passwords = dict(known.keys.passwords)
    text = statements(passwords)
    assert f"CREATE ROLE \"back\" LOGIN PASSWORD '{passwords['back']}';" in text
    assert 'CREATE DATABASE "back" OWNER "back" STRATEGY wal_log;' in text
    assert 'REVOKE CONNECT ON DATABASE "back" FROM PUBLIC;' in text
    assert len(set(passwords.values()) | {known.superuser, known.keys.token}) == 5
    assert {line.split()[-1] for line in HBA.splitlines()} == {"scram-sha-256"}


class _Engine:
    """An engine that only says what it is."""

    def __init__(self, url: str, facts: EngineFacts) -> None:
        self.url = url
        self._facts = facts

    def facts(self) -> EngineFacts:
        return self._facts


FACTS = EngineFacts("20.10", "Debian", "6.1", rootless=False)


def test_a_rootless_engine_is_refused_by_name() -> None:
    """Its networks live in a namespace of its own."""
    with pytest.raises(StartError, match="is rootless"):
        check_engine(_Engine("unix:///run/user/1/docker.sock", replace(FACTS, rootless=True)))  # type: ignore[arg-type]
