"""What each runtime says it can do: no kind is refused everywhere, and docs/faults.md says the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from execution.runs.runtime_choice import choose
from experiment.controls import Fault, capability
from faults import KINDS
from runtimes.containers.abilities import abilities_with
from runtimes.containers.toolbox import PacketAbilities
from simulation.model.controls import CAPABILITIES, IN_BYTES
from tests.contract.test_faults_on_runtimes import CASES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
# Live they need a kernel with netem: where continuous integration has none, only the twin plays them.
NEED_NETEM = {"corruption", "reordering"}
NEED_NFTABLES = {"packet_loss"}
Abilities = Mapping[str, frozenset[str]]
ROLES = {"service": "services", "instrument": "", "store": "stores and bus", "bus": ""}
PLACES = {
    "front -> back": "a call",
    "back -> postgres": "the database's link",
    "back -> bus": "the bus's link",
    "front": "a service",
    "back": "a service",
    "postgres": "the database",
    "bus": "the bus",
}


def reach(kind: type[Fault], can: Abilities) -> str:
    """Where a runtime with these abilities can do it; empty: nowhere."""
    needed, target_kind = vars(kind)["requires"], cast(Any, kind).target_kind
    if needed in can[target_kind]:
        return "yes"
    roles = [ROLES[role] for role in ROLES if target_kind == "node" and needed in can.get(role, ())]
    return " and ".join(role for role in roles if role)


def on_containers(kind: type[Fault], *, nftables: bool, netem: bool) -> str:
    return reach(kind, abilities_with(PacketAbilities(nftables, netem)))


def table() -> str:
    """The table of the page: a line a kind, in the order of KINDS."""
    lines = [
        "| kind | processes | containers | simulation | under contract on |",
        "|---|---|---|---|---|",
    ]
    for name, kind in KINDS.items():
        there = on_containers(kind, nftables=True, netem=True)
        there = "with nftables" if name in NEED_NFTABLES else "with netem" if name in NEED_NETEM else there
        places = dict.fromkeys(PLACES[target] for fault, target in CASES if fault.kind == name)
        here = reach(kind, choose("processes").can(frozenset())) or "refused"
        cells = (name, here, there, reach(kind, CAPABILITIES) or "refused", ", ".join(places))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_is_possible_on_a_live_runtime_and_on_the_twin(name: str) -> None:
    """A kind that every live runtime refused would pass the contract without ever having acted."""
    kind = KINDS[name]
    live = [
        reach(kind, choose("processes").can(frozenset())),
        on_containers(kind, nftables=True, netem=name in NEED_NETEM),
    ]
    assert any(live), f"{name} is refused by every live runtime"
    in_bytes = vars(kind)["requires"] in map(capability, IN_BYTES)
    assert bool(reach(kind, CAPABILITIES)) is not in_bytes, f"{name} is refused by the twin, or should be"


def test_only_named_kinds_depend_on_the_kernel() -> None:
    """What continuous integration cannot play live for want of netem or nftables is this list and no more."""

    def lost(*, nftables: bool, netem: bool) -> set[str]:
        return {
            name for name, kind in KINDS.items() if not on_containers(kind, nftables=nftables, netem=netem)
        }

    assert lost(nftables=True, netem=False) == NEED_NETEM
    assert lost(nftables=False, netem=True) == NEED_NFTABLES


def test_the_page_has_the_table() -> None:
    """docs/faults.md says of every kind which runtime can do it and where the contract plays it."""
    assert table() in PAGE.read_text(), f"expected in {PAGE.name}:\n{table()}"
