"""A design: the link patterns and switches that a system uses, per link and service. One file, also read by
the twin.

Link patterns are the harness's own (`experiment/patterns.py`), switches are those that the system declares
(`experiment/switches.py`). What a design does not name has its default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from experiment.decoding import FAILED, Decoder, describe, hints_of
from experiment.errors import ConfigError, Problem
from experiment.names import require_name
from experiment.patterns import LINK_PATTERNS, LinkPatterns
from experiment.switches import Value, read_value
from experiment.topology import System
from experiment.variants import Variant, read_variants, variant_differences
from experiment.yaml_source import Mapping, Node, Scalar, place, read_yaml


@dataclass(frozen=True, slots=True)
class Design:
    """A resolved design: `links` holds every link of the system, `services` every service with the value of
    every switch that the system declares."""

    name: str
    links: dict[str, LinkPatterns]
    services: dict[str, dict[str, Value]]
    title: str = ""
    source: str = ""
    variants: dict[str, Variant] = field(default_factory=dict)
    """What services that know nothing of the harness are started with otherwise."""

    def environment(self, system: System, service: str) -> dict[str, str]:
        """The variables that a service gets by its switches, where the system declares some, and those of
        its variant."""
        found: dict[str, str] = {}
        for name, switch in system.switches.items():
            if switch.concerns(service):
                found |= switch.variables(self.services[service][name])
        if service in self.variants:
            found |= self.variants[service].environment
        return found

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON data for the services: durations in seconds, shares in 0..1."""
        return {name: value for name, value in asdict(self).items() if name != "variants"}


@dataclass(frozen=True, slots=True)
class DesignFile:
    """The file as written: defaults for every link and service, then single ones."""

    name: str
    """What the design is called; best as its file."""
    title: str = ""
    """What it does otherwise, in one sentence."""
    extends: str | None = None
    """A design to build on: one beside this file, or one of the system."""
    link_defaults: Any = None
    """Patterns of every link."""
    service_defaults: Any = None
    """Switches of every service."""
    links: Any = None
    """Patterns of single links, by `caller -> callee`; they go before those of every link."""
    services: Any = None
    """Switches of single services, by name; they go before those of every service."""
    variants: Any = None
    """Images and variables of services that know nothing of the harness, by name."""


def load_design(path: Path, system: System) -> Design:
    """Read a design, merge what it `extends` (a file beside it or one of the system's own designs), fill in
    defaults. Raises ConfigError."""
    decoder = Decoder()
    chain = _chain(decoder, path, system)
    links = dict.fromkeys(system.link_names, LinkPatterns())
    values = {name: switch.resolved for name, switch in system.switches.items()}
    services = {name: values.copy() for name in system.services}
    variants: dict[str, Variant] = {}
    for node in chain:
        # What a design says of all links holds for those that its base has named one by one, too.
        for_links = _patterns(decoder, node.get("link_defaults"))
        links = {name: replace(one, **for_links) for name, one in links.items()}
        for link, child in _section(decoder, node.get("links"), system.link_names, "link"):
            links[link] = replace(links[link], **_patterns(decoder, child))
        for_services = _switches(decoder, node.get("service_defaults"), system)
        services = {name: one | for_services for name, one in services.items()}
        for service, child in _section(decoder, node.get("services"), tuple(system.services), "service"):
            services[service] |= _switches(decoder, child, system, service)
        for service, variant in read_variants(decoder, node.get("variants"), system.services).items():
            variants[service] = variant.on(variants.get(service, Variant()))
    last = chain[-1]
    name, title = _text(decoder, last, "name"), _text(decoder, last, "title", "")
    if name:
        _check_name(decoder, name, last)
    decoder.finish()
    return Design(name, links, services, title, str(path), variants)


def _check_name(decoder: Decoder, name: str, node: Mapping) -> None:
    try:
        require_name(name)
    except ValueError as error:
        decoder.refuse(place(node, "name"), error)


def _chain(decoder: Decoder, path: Path, system: System) -> list[Mapping]:
    """The file and all it extends, the oldest first; as far as it can be followed."""
    chain: list[Mapping] = []
    seen: list[Path] = []
    current: Path | None = path
    while current is not None:
        seen.append(current)
        node = read_yaml(current)
        if not isinstance(node, Mapping):
            expected = "a design with the keys name, links, services"
            raise ConfigError([Problem(node.where, describe(node), expected)])
        _refuse_unknown(decoder, node)
        chain.insert(0, node)
        base = node.get("extends")
        current = None
        if base is not None:
            text = base.text if isinstance(base, Scalar) else ""
            homes = [seen[-1].parent, *_design_homes(seen[-1], system)]
            near = sorted({file.stem for home in homes for file in home.glob("*.yaml")})
            found = next((home / f"{text}.yaml" for home in homes if (home / f"{text}.yaml").is_file()), None)
            if found is None:
                unknown = f'the unknown design "{text}"' if text else describe(base)
                decoder.fail(base.where, unknown, "the name of a design", decoder.nearest(text, near))
            elif found.resolve() in (file.resolve() for file in seen):
                circle = f'"{text}", which this design is a part of'
                decoder.fail(base.where, circle, "a chain that ends")
            else:
                current = found
    return chain


def _design_homes(path: Path, system: System) -> list[Path]:
    """Where a base design may live: the designs of a project that the file lies in, then the system's own."""
    own = [Path(system.source).parent / "designs"] if system.source else []
    return [*(parent / "reference_system" / "designs" for parent in path.resolve().parents), *own]


def _refuse_unknown(decoder: Decoder, node: Mapping) -> None:
    names = set(hints_of(DesignFile))
    for key, _ in node.items:
        if key.text not in names:
            found = f'the unknown key "{key.text}"'
            decoder.fail(key.where, found, "a key of a design", decoder.nearest(key.text, names))


def _text(decoder: Decoder, node: Mapping, key: str, default: str | None = None) -> str:
    child = node.get(key)
    if child is None:
        if default is None:
            decoder.fail(node.where, f'no key "{key}"', f"{key}: text")
        return default or ""
    value = decoder.value(child, str)
    return "" if value is FAILED else str(value)


def _section(
    decoder: Decoder, node: Node | None, known: tuple[str, ...], what: str
) -> Iterator[tuple[str, Node]]:
    """The links or services that a design names one by one, with what it says of each."""
    if node is None:
        return
    if not isinstance(node, Mapping):
        says = "patterns" if what == "link" else "switches"
        decoder.fail(node.where, describe(node), f"a mapping from {what} to its {says}")
        return
    for key, child in node.items:
        if key.text in known:
            yield key.text, child
        else:
            hint = decoder.nearest(key.text, known)
            decoder.fail(key.where, f'the unknown {what} "{key.text}"', f"a {what} of the system", hint)


def _patterns(decoder: Decoder, node: Node | None) -> dict[str, Any]:
    """The patterns that the file names, each whole; none when one of them is wrong."""
    if node is None:
        return {}
    before = len(decoder.problems)
    decoded = decoder.record(node, LinkPatterns)
    if len(decoder.problems) > before or not isinstance(node, Mapping):
        return {}
    return {key.text: getattr(decoded, key.text) for key, _ in node.items}


def _switches(
    decoder: Decoder, node: Node | None, system: System, service: str | None = None
) -> dict[str, Value]:
    """The switches that the file names for one service, or for all, each whole."""
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        decoder.fail(node.where, describe(node), "a mapping from switch to its value")
        return {}
    given: dict[str, Any] = {}
    for key, child in node.items:
        switch = system.switches.get(key.text)
        if switch is None:
            hint = decoder.nearest(key.text, system.switches)
            decoder.fail(key.where, f'the unknown switch "{key.text}"', "a switch of the system", hint)
        elif service is not None and not switch.concerns(service):
            found = f'the switch "{key.text}" for {service}'
            decoder.fail(key.where, found, f"a service that it concerns: {', '.join(switch.services)}")
        else:
            given[key.text] = read_value(decoder, child, switch)
    return {name: value for name, value in given.items() if value is not FAILED}


def differences(left: Design, right: Design) -> list[str]:
    """The switches in which two designs differ, one sentence each; for reports and comparisons."""
    lines: list[str] = []
    for link in sorted(set(left.links) & set(right.links)):
        for name in LINK_PATTERNS:
            one, other = getattr(left.links[link], name), getattr(right.links[link], name)
            if one != other:
                lines.append(f"{link}: {name} {one!r} -> {other!r}")
    for service in sorted(set(left.services) & set(right.services)):
        before, after = left.services[service], right.services[service]
        for name in before:
            if name in after and before[name] != after[name]:
                lines.append(f"{service}: {name} {_shown(name, before[name])} -> {_shown(name, after[name])}")
    return lines + variant_differences(left.variants, right.variants)


def _shown(name: str, value: Value) -> str:
    """A record as the patterns are shown: Shedding(concurrent=256)."""
    if not isinstance(value, dict):
        return repr(value)
    return f"{name.capitalize()}({', '.join(f'{key}={one!r}' for key, one in value.items())})"
