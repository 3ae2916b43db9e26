"""The bugs that the gate must find: planted designs, worse figures, designs that lack one switch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from experiment.design import Design, LinkPatterns, ServicePatterns
from experiment.suite import Suite
from gate.selfcheck import MINUS, Candidate, Variant, lost_margin

SETTINGS = frozenset({"inline_wait", "retry_schedule", "outbox_poll", "max_rate"})  # sizes, no switches

# The design without the switch fails there and the resilient one passes, on the twin with every seed tried.
SHOWN_BY: Mapping[str, str] = {
    "timeout": "catalogue/registry_starved",
    "retry": "catalogue/prescriptions_busy",
    "breaker": "catalogue/registry_silent",
    "eligibility": "smoke/payer_blackhole",
    "registry_fallback": "catalogue/registry_starved",
    "idempotency_key": "smoke/charge_response_lost",
    "outbox": "catalogue/publish_cut",
    "dispense_check": "smoke/delayed_dose_event",
    "saga": "smoke/billing_crash",
}
# Of those that no scenario shows, why.
NOT_SHOWN: Mapping[str, str] = {
    "propagate_deadline": "the timeouts of the single links end before the deadline of their caller",
    "bulkhead": "timeouts and breakers keep calls few; the pool that remains holds 100 of a service's calls",
    "shedding": "256 requests at once in one service are more than any load here makes",
    "eligibility_cache": "an answer from the cache counts as much as a pending one",
    "dedupe": "an event that is applied twice leaves what it left the first time",
    "version_fence": "the bus keeps the order, and the pharmacy reserves the current version",
    "if_match": "no two users of a journey write the same prescription at once",
    "lookup_before_retry": "with a key a charge that is repeated is the first one",
}


def minus_one(resilient: Design) -> dict[str, Design]:
    """The resilient design without one switch, by the switch, for every switch that it has on."""
    found: dict[str, Design] = {}
    link_default, service_default = LinkPatterns(), ServicePatterns()
    for switch in LinkPatterns.__slots__:
        off = getattr(link_default, switch)
        links = {name: replace(link, **{switch: off}) for name, link in resilient.links.items()}
        found[switch] = replace(resilient, name=f"{MINUS}{switch}", links=links)
    for switch in ServicePatterns.__slots__:
        off = getattr(service_default, switch)
        services = {name: replace(one, **{switch: off}) for name, one in resilient.services.items()}
        found[switch] = replace(resilient, name=f"{MINUS}{switch}", services=services)
    same = (resilient.links, resilient.services)
    return {
        switch: design
        for switch, design in found.items()
        if (design.links, design.services) != same and switch not in SETTINGS
    }


def seeded_bugs(
    design: Callable[[str], Design],
    suite: Suite,
    safety: Collection[str],
    scenarios: tuple[str, ...],
    simulated: bool,
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """(resilient against itself, every seeded bug that can be played). `design` gives one by its name;
    `suite` has the planted ones, `safety` the properties that veto. Simulated services can also be made
    slower."""
    resilient = design("resilient")
    planted = [
        Candidate(
            entry.design,
            Variant(design(entry.design)),
            (entry.scenario,),
            any(name in safety for name in entry.violates),
        )
        for entry in suite.entries
    ]
    slow = Candidate("doubled p95", Variant(resilient, slower=2.0), scenarios, must_be_found=True)
    half = Candidate("halved goodput", Variant(resilient, capacity=0.5), scenarios, must_be_found=True)
    lost = Candidate(
        "lost the margin", Variant(resilient), scenarios, must_not_pass=True, shifted=lost_margin
    )
    worse = (slow, half, lost) if simulated else (half, lost)
    minus = (
        Candidate(
            lacking.name,
            Variant(lacking),
            (SHOWN_BY[switch],) if switch in SHOWN_BY else scenarios,
            must_be_found=switch in SHOWN_BY,
            unseen=NOT_SHOWN.get(switch, ""),
        )
        for switch, lacking in minus_one(resilient).items()
    )
    return Candidate("resilient against itself", Variant(resilient), scenarios), (*planted, *worse, *minus)
