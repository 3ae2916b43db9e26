"""The bugs that the gate must find: planted designs, worse figures, designs that lack one switch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from experiment.design import Design
from experiment.patterns import LINK_PATTERNS, LinkPatterns
from experiment.suite import Suite
from experiment.switches import Lack, with_effect
from experiment.topology import System
from gate.selfcheck import MINUS, Candidate, Variant, lost_margin

UNKNOWN = "no scenario is named in system.yaml that shows its lack"


def minus_one(complete: Design, system: System) -> dict[str, tuple[Design, Lack]]:
    """The design without one pattern or switch, and what the system's file says of the lack, for every one
    that the design has on."""
    same = (complete.links, complete.services)
    return {
        name: (design, lack)
        for name, design, lack in _without(complete, system)
        if (design.links, design.services) != same
    }


def _without(complete: Design, system: System) -> Iterator[tuple[str, Design, Lack]]:
    for name in LINK_PATTERNS:
        off = {name: getattr(LinkPatterns(), name)}
        links = {link: replace(one, **off) for link, one in complete.links.items()}
        lack = system.link_patterns.get(name, Lack())
        yield name, replace(complete, name=f"{MINUS}{name}", links=links), lack
    for name, switch in system.switches.items():
        if switch.can_be_lacking:
            services = {one: {**values, name: switch.resolved} for one, values in complete.services.items()}
            yield name, replace(complete, name=f"{MINUS}{name}", services=services), switch.lack


def seeded_bugs(
    strong: Design,
    design: Callable[[str], Design],
    system: System,
    planted_by: Suite | None,
    safety: Collection[str],
    scenarios: tuple[str, ...],
    simulated: bool,
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """(the strong design against itself, every seeded bug that can be played). `design` gives one of the
    `system` by its name; `planted_by` has the planted ones, `safety` the properties that veto. Simulated
    services can also be made slower."""
    planted = [
        Candidate(
            entry.design,
            Variant(design(entry.design)),
            (entry.scenario,),
            any(name in safety for name in entry.violates),
        )
        for entry in (planted_by.entries if planted_by is not None else ())
    ]
    slow = Candidate("doubled p95", Variant(strong, slower=2.0), scenarios, must_be_found=True)
    half = Candidate("halved goodput", Variant(strong, capacity=0.5), scenarios, must_be_found=True)
    lost = Candidate("lost the margin", Variant(strong), scenarios, must_not_pass=True, shifted=lost_margin)
    limited = (half,) if with_effect(system.switches, "rate_limit") else ()
    worse = (slow, *limited, lost) if simulated else (*limited, lost)
    minus = (
        Candidate(
            lacking.name,
            Variant(lacking),
            lack.shown_by[:1] or scenarios,
            must_be_found=bool(lack.shown_by),
            unseen=lack.not_shown or ("" if lack.shown_by else UNKNOWN),
        )
        for lacking, lack in minus_one(strong, system).values()
    )
    return Candidate(f"{strong.name} against itself", Variant(strong), scenarios), (*planted, *worse, *minus)
