"""What a system's file says of its other files: designs of its roles, scenarios that show a lack."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from experiment.decoding import Decoder
from experiment.topology import System
from experiment.yaml_source import place, read_yaml


def check_roles(system: System, designs: Collection[str]) -> None:
    """Raises ConfigError for a role of a design that there is not."""
    said = {"strong": system.roles.strong, "weak": system.roles.weak}
    unknown = {role: name for role, name in said.items() if name and name not in designs}
    if not unknown:
        return
    node, decoder = read_yaml(Path(system.source)), Decoder()
    for role, name in unknown.items():
        hint = decoder.nearest(name, designs)
        decoder.fail(
            place(node, "roles", role), f'the unknown design "{name}"', "a design of the system", hint
        )
    decoder.finish()


def check_shown_by(system: System, scenarios: Collection[str]) -> None:
    """What its switches and link patterns say of scenarios. Raises ConfigError for one that there is not."""
    said = {("switches", name): switch.shown_by for name, switch in system.switches.items()}
    said |= {("link_patterns", name): lack.shown_by for name, lack in system.link_patterns.items()}
    unknown = [
        ((*path, "shown_by", index), scenario)
        for path, named in said.items()
        for index, scenario in enumerate(named)
        if scenario not in scenarios
    ]
    if not unknown:
        return
    node, decoder = read_yaml(Path(system.source)), Decoder()
    for where, scenario in unknown:
        found, hint = f'the unknown scenario "{scenario}"', decoder.nearest(scenario, scenarios)
        decoder.fail(place(node, *where), found, "a scenario of the system", hint)
    decoder.finish()
