"""The first system.yaml and allow file of a system that runs already, with comments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from discovery.composed import Found, FoundLink, Mention, found_in
from discovery.first_files import FILL_IN, Origin, links_section, word
from experiment.compose_file import ComposeService

OPEN = Mention("an open connection")
ALLOW_FILE = "allow.yaml"


def found_running(parts: Mapping[str, ComposeService], connected: Collection[tuple[str, str]]) -> Found:
    """Services and links of a running system: those of its texts, and those that are connected."""
    found = found_in(parts)
    known = {one.name: one for one in found.services}
    links = [
        replace(link, mentions=(*link.mentions, OPEN)) if (link.caller, link.callee) in connected else link
        for link in found.links
    ]
    told = {(link.caller, link.callee) for link in links}
    for caller, callee in sorted(set(connected) - told):
        links.append(FoundLink(caller, callee, known[callee].port, known[callee].http, (OPEN,)))
    called = {link.callee for link in links}
    services = tuple(replace(one, door=one.door and one.name not in called) for one in found.services)
    return Found(services, tuple(links))


def of_running(project: str, places: Mapping[str, str], found: Found) -> Origin:
    """Services and links of a compose project that runs, or of processes at these places."""
    where = f"the compose project {project}" if project else "processes of this machine"
    services = ["services:                       # none is started or stopped"]
    services += [line for one in found.services for line in _service(one.name, one.health, one.http)]
    services += ["", "attach:"]
    services += [f"  project: {word(project)}"] if project else []
    services.append("  services:")
    for one in found.services:
        remark = "" if one.known_port else f"  # {FILL_IN}: nothing tells its port, this is a guess"
        place = f"port: {one.port}" if project else f'at: "{places[one.name]}"'
        services.append(f"    {word(one.name)}: {{{place}}}{remark}")
    links = links_section(found.links, _link, ("text or connection", "part"), "{caller: web, callee: api}")
    heading = (
        f"# Written by `codeblue init` from {where} as it runs. Lines with {FILL_IN} need you.",
        f"# {ALLOW_FILE} says what a run may touch, `codeblue check-wiring` where every link leads.",
    )
    return Origin(heading, (), tuple(services), tuple(links))


def allow_file(project: str, places: Mapping[str, str], found: Found) -> str:
    """Allows nothing: each line is for whoever answers for the system to set free."""
    hosts = sorted({place.rpartition(":")[0] for place in places.values()})
    lines = [
        "# What a run may touch of a running system. Who answers for it takes the # away from what that is.",
        *_listed("hosts", hosts),
        *_listed("projects", [project] if project else []),
        *_listed("services", [one.name for one in found.services]),
        *_listed("links", [f"{link.caller} -> {link.callee}" for link in found.links]),
        f"highest_load: 0/s               # {FILL_IN}: visits that may arrive, such as 5/s",
    ]
    return "\n".join(lines) + "\n"


def _listed(key: str, names: Collection[str]) -> Iterator[str]:
    yield f"{key}: ["
    yield from (f"  # {word(name)}," for name in names)
    yield "]"


def _service(name: str, health: str, http: bool | None) -> Iterator[str]:
    if health:
        yield f"  {word(name)}: {{endpoints: {{health: {word(health)}}}}}"
        return
    remark = f"  # {FILL_IN}: endpoints: {{health: PATH}}, if it has one" if http else ""
    yield f"  {word(name)}: {{}}{remark}"


def _link(link: FoundLink) -> Iterator[str]:
    where = (f"{one.where}, {one.shown}" if one.shown else one.where for one in link.mentions)
    yield f"  # {'; '.join(dict.fromkeys(where))}"
    if link.http is None:
        yield f"  # {FILL_IN}: protocol http, if that is spoken: then requests are measured, else connections"
    protocol = "http" if link.http else "tcp"
    yield f"  - {{caller: {word(link.caller)}, callee: {word(link.callee)}, protocol: {protocol}}}"
