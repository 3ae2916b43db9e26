"""Switches as services read them: by name and type, and nothing starts when one is missing."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from execution.catalogue import default_catalogue
from reference_system.common import server
from reference_system.common.config import Config, Design
from reference_system.common.service import Reset, Service
from reference_system.common.switches import (
    Admission,
    Disclosing,
    Keeping,
    Publishing,
    Speaking,
    Telling,
    read_switches,
)
from reference_system.services.billing.service import Billing
from reference_system.services.pharmacy.service import Pharmacy
from runtimes.certificates import Authority
from simulation.model.models import models_of

CATALOGUE = default_catalogue()
SYSTEM = CATALOGUE.system()
RESILIENT = CATALOGUE.design("resilient", SYSTEM)
CERTIFICATES = asdict(Authority().of("tested"))
OURS = [name for name, service in SYSTEM.services.items() if service.module]
# The registry of the twin is only read: nobody writes a patient there at the same time as another.
NOT_MODELLED = {"registry": {"if_match"}, "registry_b": {"if_match"}}
TYPES: dict[str, Any] = {"switch": bool, "count": int, "duration": float, "rate": float, "text": str}


def kind_of(name: str) -> type[Service]:
    """The class of a service."""
    module = import_module(f"{SYSTEM.services[name].module}.service")
    return next(
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Service) and one is not Service
    )


def read_by(name: str) -> dict[str, Any]:
    """What a service reads: name to type."""
    kinds: list[type[msgspec.Struct]] = [kind_of(name).SWITCHES, Admission, Telling, Speaking]
    if f"{name} -> bus" in SYSTEM.link_names:
        kinds.append(Publishing)
    kinds += [Disclosing] if kind_of(name).DISCLOSES else []
    kinds += [Keeping] if kind_of(name).SEALS else []
    return {field.name: field.type for kind in kinds for field in msgspec.structs.fields(kind)}


def wire(service: str, **changes: Any) -> dict[str, Any]:
    """The resilient design as services get it, with other values for one of them."""
    plain = RESILIENT.to_wire()
    plain["services"][service] |= changes
    return plain


def configuration(service: str, design: dict[str, Any]) -> dict[str, Any]:
    links = {"bus": {"protocol": "nats", "host": "h", "port": 1}}
    return {
        "service": service,
        "listen": {},
        "links": links,
        "design": design,
        "secret": "of tests",
        "certificates": CERTIFICATES,
    }


@pytest.mark.parametrize("name", OURS)
def test_what_a_service_reads_is_declared_for_it_with_the_same_type(name: str) -> None:
    """The two places of a switch agree: its declaration, and the code that obeys it."""
    for switch, kind in read_by(name).items():
        declared = SYSTEM.switches[switch]
        assert declared.concerns(name), switch
        if declared.type == "choice":
            assert get_args(kind) == declared.choices, switch
        elif declared.type == "record":
            assert {f.name for f in msgspec.structs.fields(get_args(kind)[0])} == set(declared.fields)
        else:
            plain = TYPES[declared.type]
            assert kind == (plain | None if declared.optional else plain), switch


def test_every_declared_switch_is_obeyed_by_a_service_that_it_concerns() -> None:
    """A switch that nobody reads would do nothing, and say nothing; the database is chosen by the runtime."""
    for name, switch in SYSTEM.switches.items():
        if switch.effect != "database":
            assert any(name in read_by(service) for service in OURS if switch.concerns(service)), name


@pytest.mark.parametrize("name", OURS)
def test_the_twin_obeys_what_the_service_obeys(name: str) -> None:
    """Of a switch that only one of them obeyed, a prediction would say something else than a run."""
    model = set(models_of(SYSTEM).nodes[name].obeyed()) & {
        switch for switch, declared in SYSTEM.switches.items() if declared.concerns(name)
    }
    assert set(read_by(name)) - model == NOT_MODELLED.get(name, set())


@pytest.mark.parametrize("name", OURS)
def test_every_design_has_what_the_services_read(name: str) -> None:
    """Each design of the project starts each service."""
    for path in set(CATALOGUE.design_files().values()):
        plain = CATALOGUE.design(str(path), SYSTEM).to_wire()
        made = msgspec.convert(configuration(name, plain), Config)
        kind_of(name)(made)


def test_a_service_does_not_start_without_a_switch_that_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at once, and names file, design, service and switch: no request ever meets the lack."""
    design = wire("billing")
    del design["services"]["billing"]["saga"]
    path = tmp_path / "billing.json"
    path.write_text(json.dumps(configuration("billing", design)))
    monkeypatch.setattr(sys, "argv", ["billing", "--config", str(path)])
    message = r"billing\.json: the design 'resilient' for billing: .*required field `saga`"
    with pytest.raises(SystemExit, match=message):
        server.serve(Billing)


@pytest.mark.parametrize(
    ("switch", "value", "message"),
    [
        ("dispense_check", "guess", "Invalid enum value 'guess' - at `$.dispense_check`"),
        ("dedupe", "yes", "Expected `bool`, got `str` - at `$.dedupe`"),
        ("shedding", 3, "Expected `object | null`, got `int` - at `$.shedding`"),
    ],
)
def test_a_switch_of_another_type_is_refused_by_its_name(switch: str, value: Any, message: str) -> None:
    """At the start, and at a reset before anything is emptied."""
    wrong = msgspec.convert(configuration("pharmacy", wire("pharmacy", **{switch: value})), Config)
    with pytest.raises(ValueError, match=re.escape(message)):
        Pharmacy(wrong)
    right = Pharmacy(msgspec.convert(configuration("pharmacy", wire("pharmacy")), Config))
    with pytest.raises(ValueError, match="the design 'resilient' for pharmacy"):
        right.check(Reset("r-2", design=wrong.design))
    assert right.switches.dispense_check == "reservation"


def test_a_service_reads_its_own_part_of_the_design() -> None:
    """A service that the design does not name has no switches, and says so."""
    design = msgspec.convert(wire("billing"), Design)
    assert read_switches(Admission, design, "billing").max_rate is None
    with pytest.raises(ValueError, match="for nobody"):
        read_switches(Admission, design, "nobody")
