"""Stand-in systems and run settings for tests."""

from __future__ import annotations

from experiment.design import Design
from experiment.patterns import LinkPatterns
from experiment.switches import Switch
from experiment.topology import Journey, Link, Service, Step, System
from experiment.workload import Population
from runtimes.runtime import RunSettings

MODULE = "tests.standin.service"
PEOPLE = Population("three people", ({}, {}, {}), {"patients": [{"id": f"p-{n}"} for n in range(3)]})
KEEPS = Switch("choice", choices=("owned", "shared"), default="owned", effect="database")


def pair(*, stores: bool = False) -> System:
    """`front -> back`; with stores also `back -> postgres` and `back -> bus`."""
    services = {
        "front": Service(module=MODULE),
        "back": Service(role="instrument", module=MODULE, changes=("new_tables",)),
    }
    links = [Link("front", "back")]
    if stores:
        services |= {"postgres": Service(role="store"), "bus": Service(role="bus")}
        links += [Link("back", "postgres", "postgres"), Link("back", "bus", "nats")]
    journeys = {"work": Journey("front", ("front -> back",))}
    mixes: dict[str, tuple[Step, ...]] = {"work": (Step("work"),)}
    return System("pair", services, tuple(links), journeys, mixes, switches={"keeps": KEEPS})


def settings(system: System, run_id: str = "r-1", design: str = "plain") -> RunSettings:
    """A run of the stand-in under a design of that name."""
    patterns = {link: LinkPatterns() for link in system.link_names}
    values = {name: switch.resolved for name, switch in system.switches.items()}
    if design == "shared":
        values["keeps"] = "shared"
    services = {name: values.copy() for name in system.services}
    return RunSettings(run_id, 7, Design(design, patterns, services), PEOPLE)
