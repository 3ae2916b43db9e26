"""What the models of a system obey of a design: read back from the world, as live services are asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from experiment.design import Design
from experiment.obeyed import PATTERNS, digest_of
from experiment.patterns import Breaker, Bulkhead, Retry
from experiment.rows import Obeyed
from experiment.topology import Link, System
from simulation.engine.channels import Channel
from simulation.model.models import models_of
from simulation.model.world import World


def modelled(system: System, design: Design) -> dict[str, dict[str, Any]]:
    """What the models are to show under a design: the switches that each obeys, and the patterns of links.

    A retry of one attempt is none."""
    found: dict[str, dict[str, Any]] = {
        name: {switch: design.services[name][switch] for switch in model.obeyed()}
        for name, model in models_of(system).nodes.items()
        if name in system.services
    }
    for link in system.links:
        patterns = design.links[link.name]
        if patterns.retry is not None and patterns.retry.attempts == 1:
            patterns = replace(patterns, retry=None)
        plain = asdict(patterns)
        found[link.caller] |= {f"{link.name}: {name}": plain[name] for name in PATTERNS[link.protocol]}
    return found


def shown(world: World, t: float) -> Iterator[Obeyed]:
    """One row a service, from the switches of its node and the protection of its channels."""
    for name in world.models.nodes:
        if name not in world.nodes:
            continue  # the scenario does not need it
        obeys: dict[str, Any] = dict(world.nodes[name].switches)
        for link in world.plan.system.links:
            if link.caller == name:
                obeys |= _of_channel(world, link)
        yield Obeyed(t, name, digest_of(obeys), obeys)


def _of_channel(world: World, link: Link) -> dict[str, Any]:
    channel = world.channels[link.name]
    breaker = channel.breaker
    found: dict[str, Any] = {
        "timeout": channel.timeout,
        "breaker": asdict(Breaker(breaker.failures, breaker.open_for)) if breaker is not None else None,
    }
    if link.protocol == "http":
        shared = channel.bulkhead is None or channel.bulkhead is world.shared_pool(link.caller)
        found["bulkhead"] = None
        if channel.bulkhead is not None and not shared:
            found["bulkhead"] = asdict(Bulkhead(channel.bulkhead.concurrent, channel.bulkhead.queue))
        found["propagate_deadline"] = world.site.design.links[link.name].propagate_deadline
    if "retry" in PATTERNS[link.protocol]:
        found["retry"] = _retry(channel, world.only_idempotent(link))
    return {f"{link.name}: {name}": found[name] for name in PATTERNS[link.protocol]}


def _retry(channel: Channel, only_idempotent: bool) -> dict[str, Any] | None:
    if channel.max_attempts == 1:
        return None
    backoff, budget = channel.backoff, channel.budget
    ratio = budget.ratio if budget is not None else None
    return asdict(
        Retry(channel.max_attempts, backoff.base, backoff.cap, backoff.jitter, ratio, only_idempotent)
    )
