"""What a design tells each service to obey, and how that is compared with what the service shows it obeys.

Names are those of switches, `caller -> callee: pattern` of links, and of a service that knows nothing of the
harness the variables and arguments that a design decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from experiment.design import Design
from experiment.patterns import LINK_PATTERNS
from experiment.rows import Obeyed
from experiment.services import PLACEHOLDER, Service, filled
from experiment.switches import OWNED, with_effect
from experiment.topology import System
from experiment.variants import IMAGE

Wanted = Mapping[str, Any]  # name to value; None: off
# What the caller of a link of each protocol does itself; stores and buses get one attempt at a time.
PATTERNS: Mapping[str, Sequence[str]] = {
    "http": tuple(LINK_PATTERNS),
    "postgres": ("timeout", "breaker"),
    "nats": ("timeout",),
    "mllp": ("timeout", "retry"),
    "tcp": ("timeout", "retry"),
}
OF_DESIGN = ("timeout", "attempts", "backoff")  # the parts of a link that a design decides


def wanted_of(system: System, design: Design) -> dict[str, dict[str, Any]]:
    """Of every service that can show what it obeys: by the endpoint `design`, or by how it was started."""
    found: dict[str, dict[str, Any]] = {}
    for name, service in system.services.items():
        if service.is_code and service.control.design is not None:
            found[name] = told_to(system, design, name)
        elif service.foreign:
            found[name] = started_with(system, design, name)
    return found


def told_to(system: System, design: Design, service: str) -> dict[str, Any]:
    """Every switch that concerns the service, and the patterns of its links."""
    found: dict[str, Any] = {}
    protocols = {link.protocol for link in system.links if link.caller == service}
    for name, switch in system.switches.items():
        if switch.effect == "database":
            if switch.concerns(service) and "postgres" in protocols:
                found[name] = database_of(service, system, design)
        elif switch.concerns(service):
            found[name] = design.services[service][name]
    for link in system.links:
        if link.caller == service:
            patterns = asdict(design.links[link.name])
            found |= {f"{link.name}: {name}": patterns[name] for name in PATTERNS[link.protocol]}
    return found


def database_of(service: str, system: System, design: Design) -> str:
    """The database that a service uses under a design: its own, or the one that its switch names."""
    switch = with_effect(system.switches, "database")
    chosen = OWNED if switch is None else design.services[service][switch]
    return service if chosen == OWNED else str(chosen)


# Services that know nothing of the harness.


def started_with(system: System, design: Design, service: str) -> dict[str, Any]:
    """The variables and arguments that the design decides; None: a variable that must not be set."""
    spec = system.services[service]
    words = link_words(system, design, service)
    found: dict[str, Any] = {}
    for variable, text in spec.environment.items():
        if _decided(text, words):
            found[variable] = filled(text, _known(text, words))
    for number, text in enumerate(spec.command):
        if _decided(text, words):
            found[f"argument {number}"] = filled(text, _known(text, words))
    set_ = design.environment(system, service)
    for switch in system.switches.values():
        if switch.concerns(service):
            found |= {variable: set_.get(variable) for variable in switch.environment}
    if service in design.variants:
        found |= design.variants[service].started_with
    return found


def switch_of(system: System, service: str, name: str) -> str:
    """A variable with the switch that gives it: `send_key (SEND_KEY)`; any other name as it is."""
    for switch, one in system.switches.items():
        if name in one.environment and one.concerns(service) and system.services[service].foreign:
            return f"{switch} ({name})"
    return name


def link_words(system: System, design: Design, service: str) -> dict[str, str]:
    """How a design wants the callees of a service to be called: `timeout` and `backoff` in seconds, empty
    where the design has none."""
    found: dict[str, str] = {}
    for link in system.links:
        if link.caller != service:
            continue
        patterns = design.links[link.name]
        retry = patterns.retry
        found |= {
            f"{link.callee}.timeout": "" if patterns.timeout is None else f"{patterns.timeout:g}",
            f"{link.callee}.attempts": str(retry.attempts if retry is not None else 1),
            f"{link.callee}.backoff": f"{retry.backoff:g}" if retry is not None else "",
        }
    return found


def _decided(text: str, words: Mapping[str, str]) -> bool:
    """Whether a template holds what a design decides, and nothing that changes from start to start."""
    names = set(PLACEHOLDER.findall(text))
    return bool(names) and names <= words.keys()


def _known(text: str, words: Mapping[str, str]) -> dict[str, str]:
    return {name: words[name] for name in PLACEHOLDER.findall(text)}


def variables_of(service: Service, wanted: Wanted) -> tuple[list[str], list[int]]:
    """The names among `wanted` that are variables, and the numbers of those that are arguments."""
    arguments = [int(name.removeprefix("argument ")) for name in wanted if name.startswith("argument ")]
    known = {IMAGE, *(f"argument {number}" for number in arguments)}
    assert all(number < len(service.command) for number in arguments)
    return [name for name in wanted if name not in known], arguments


# Comparing.


def differences(wanted: Wanted, shown: Wanted) -> list[tuple[str, Any, Any]]:
    """Name, wanted and shown value of all that differs; what was not shown is `nothing`."""
    return [
        (name, value, shown.get(name, NOTHING))
        for name, value in wanted.items()
        if name not in shown or canonical(shown[name]) != canonical(value)
    ]


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


def canonical(value: Any) -> str:
    """JSON with sorted keys and without blanks; a whole number has no fraction, however it was written."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(obeys: Wanted) -> str:
    """SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(obeys).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def digest_of_rows(rows: Sequence[Obeyed]) -> str:
    """One digest of the design and the images that a whole run showed; empty when it showed nothing."""
    shown = sorted({(row.service, row.digest, row.image) for row in rows if row.digest})
    return hashlib.sha256(canonical(shown).encode()).hexdigest()[:16] if shown else ""
