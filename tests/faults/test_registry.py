"""The registry of fault kinds is what scenarios, the command line and the documentation are read from."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast, get_args

import pytest

from experiment.controls import Behaviour, Impairment, NodeAction, capability
from experiment.scenario import Schedule
from faults import KINDS
from runtimes.containers.nodes import ANY, ONLY_SERVICES, ONLY_STORES


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_is_registered_under_its_own_name(name: str) -> None:
    """The class knows its name, which control it takes and which capability it needs."""
    kind: Any = KINDS[name]  # its class variables are properties of the protocol
    assert vars(kind)["kind"] == name
    known = {"link": Impairment, "node": NodeAction, "behaviour": Behaviour}[kind.target_kind]
    assert vars(kind)["requires"] in map(capability, get_args(known))
    assert vars(kind)["fault_class"]


@pytest.mark.parametrize(
    "name", sorted(n for n, kind in KINDS.items() if cast(Any, kind).target_kind == "node")
)
def test_a_kind_of_nodes_says_on_which_it_acts(name: str) -> None:
    """What it counts as coverable on is what the runtime with the most abilities can do there."""
    kind = vars(KINDS[name])
    able = {"service": ONLY_SERVICES, "instrument": ONLY_SERVICES, "store": ONLY_STORES, "bus": ONLY_STORES}
    assert kind["roles"] == {role for role, only in able.items() if kind["requires"] in ANY | only}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_parameters_do_not_hide_the_keys_that_all_faults_share(name: str) -> None:
    """A parameter called `at` or `link` could never be given in a scenario."""
    own = fields(cast(Any, KINDS[name]))
    assert not {field.name for field in own} & {field.name for field in fields(Schedule)}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_says_in_its_docstring_what_it_does(name: str) -> None:
    """The generated docstring of a dataclass, its signature, says nothing."""
    assert not (KINDS[name].__doc__ or KINDS[name].__name__).startswith(KINDS[name].__name__)
