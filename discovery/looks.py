"""Scenarios that no file has yet: a first look at a whole system, and one for each place where it may break.

They are written as scenario files, so that what was played is read, checked and repeated like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from experiment.scenario import PHASES
from experiment.services import CODE
from experiment.topology import ANSWERED, Link, System
from experiment.units import DURATION, quantity_text

WARM_UP_S, BASELINE_S, RECOVERY_S, SETTLE_S = 1.0, 10.0, 4.0, 4.0  # of a first look
EACH_S, GAP_S = 3.0, 0.5  # of one link in it, and after it
MOST_S = 47.0  # of all phases of a first look; the rest of a minute is for the start
SCAN_S = (1.0, 5.0, 5.0, 6.0, 5.0)  # the phases of each run of a scan
LEAST_EACH_S = 1.5  # what comes and goes faster is not met by every caller
# What a scan plays on each link and each service; what a link's fault takes beside its kind.
ON_LINKS = {
    "latency": "delay: 800ms",
    "blackhole": "",
    "refusal": "",
    "reset": "",
    "lost_response": "share: 50%",
}
ON_SERVICES = ("crash", "pause")
IN_CALLEE = frozenset(("lost_response",))  # only where answers are messages of a known form
SUCCESS = "95%"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scan breaks the system once: a target, a kind of fault, and the scenario that plays it."""

    target: str
    kind: str
    name: str
    text: str


def met_links(system: System, mixes: Sequence[str]) -> tuple[str, ...]:
    """The links that the journeys of these mixes may travel, in the order of the system's file."""
    used = {
        name for mix in mixes for step in system.mixes[mix] for name in system.journeys[step.journey].uses
    }
    return tuple(name for name in system.link_names if name in used)


def first_look(
    system: System, rate: str, invariants: Sequence[str], losing: Collection[str] = ()
) -> tuple[str, tuple[str, ...]]:
    """(text, links that have no turn): ten seconds of load, then latency on one link after the other. With
    too many links for a minute each has a shorter turn, and of more still the last ones none. Then every
    answer is lost for a moment on one of `losing` at least, on more where there is time, the ends of call
    chains first. Where nothing is known that must never happen, answers are judged meanwhile."""
    links = met_links(system, tuple(system.mixes))
    whole = MOST_S - WARM_UP_S - BASELINE_S - RECOVERY_S - SETTLE_S
    ends = [name for name in _ends_first(system, links) if name in losing]
    room = whole - (LEAST_EACH_S + GAP_S if ends else 0.0)
    most = int(room // (LEAST_EACH_S + GAP_S))
    played, left = links[:most], links[most:]
    each = min(EACH_S, room / len(played) - GAP_S) if played else 0.0
    each = int(each * 10) / 10
    turns = [(name, "latency", _parameters(system.link(name), "latency"), each) for name in played]
    spare = whole - len(played) * (each + GAP_S)
    fitting = ends[: int(spare // (LEAST_EACH_S + GAP_S))]
    turns += [(name, "lost_response", "share: 100%", LEAST_EACH_S) for name in fitting]
    faults, length = [], 0.0
    for name, kind, parameters, lasting in turns:
        when = f"during: fault, at: {_seconds(length)}, lasting: {_seconds(lasting)}"
        faults.append(f"  - {{kind: {kind}, link: {name}, {parameters}, {when}}}")
        length += lasting + GAP_S
    phases = (WARM_UP_S, BASELINE_S, length, RECOVERY_S if played else 0.0, SETTLE_S)
    head = ("try", "Each link is slow for a moment" if played else "A first load")
    success = "" if invariants else SUCCESS
    return _scenario(system, head, rate, phases, faults, invariants, success), left


def _ends_first(system: System, links: Sequence[str]) -> list[str]:
    """Links by how many others their callee calls: where a chain ends, effects are made."""
    return sorted(links, key=lambda name: len(system.callees(system.link(name).callee)))


def places(system: System, rate: str, invariants: Sequence[str]) -> tuple[Place, ...]:
    """Every link with every fault of links, every service with every fault of services."""
    found = []
    for target, kind, key in _targets(system):
        name = f"{kind}_{target.replace(' -> ', '_to_')}"[:80]
        told = _parameters(system.link(target), kind) if key == "link" else ""
        more = f", {told}" if told else ""
        fault = f"  - {{kind: {kind}, {key}: {target}{more}, during: fault}}"
        head = (name, f"{kind} on {target}")
        text = _scenario(system, head, rate, SCAN_S, [fault], invariants, SUCCESS)
        found.append(Place(target, kind, name, text))
    return tuple(found)


def _targets(system: System) -> Iterator[tuple[str, str, str]]:
    """(link or service, kind of fault, the key that names the target)."""
    for link in system.links:
        for kind in ON_LINKS:
            if kind not in IN_CALLEE or link.protocol in ANSWERED:
                yield link.name, kind, "link"
    for name, service in system.services.items():
        if service.role in CODE:
            yield from ((name, kind, "service") for kind in ON_SERVICES)


def _scenario(
    system: System,
    head: tuple[str, str],
    rate: str,
    lengths: Sequence[float],
    faults: Sequence[str],
    invariants: Sequence[str],
    success: str,
) -> str:
    """The text of a scenario file; `head` is its name and title. `success` is the share that must succeed
    while faults act; empty: it is not asked for."""
    phases = ", ".join(f"{one}: {_seconds(length)}" for one, length in zip(PHASES, lengths, strict=True))
    mixes = ", ".join(f"{mix}: 1" for mix in system.mixes)
    journeys = list(dict.fromkeys(step.journey for steps in system.mixes.values() for step in steps))
    lines = [f"name: {head[0]}", f"title: {head[1]}"]
    lines += [f"load: {{arrivals: {rate}, journeys: {{{mixes}}}}}", f"phases: {{{phases}}}"]
    lines += ["faults:", *faults] if faults else []
    lines += ["expect:", "  minimum_operations: 5"]
    lines += [f"  invariants: [{', '.join(invariants)}]"] if invariants else []
    lines += ["  baseline:"]
    lines += [f'    - {{journey: {one}, success: ">= {SUCCESS}"}}' for one in journeys]
    if success and faults:
        lines += ["  fault:"]
        lines += [f"    - {{journey: {one}, {_bearable(system, one, success)}}}" for one in journeys]
    if faults:
        lines += [f"  recovery: {{within: {_seconds(lengths[3] - 1)}, hold: 2s}}"]
    return "\n".join(lines) + "\n"


def _parameters(link: Link, kind: str) -> str:
    """What a fault of a link takes beside its kind. A server whose protocol is not known may speak first:
    then only what is late on the way back can be measured."""
    late_back = kind == "latency" and link.protocol == "tcp"
    return ON_LINKS[kind] + (", direction: to_caller" if late_back else "")


def _bearable(system: System, journey: str, success: str) -> str:
    """What users may be asked to bear: most are served, within what they are promised."""
    one = system.journeys[journey]
    return f'success: ">= {success}", p95: "<= {_seconds(min(one.deadline, one.patience))}", degraded: on'


def _seconds(value: float) -> str:
    return quantity_text(round(value, 3), DURATION)
