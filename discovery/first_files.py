"""The first files of a system that somebody else wrote: system, design, scenarios and suite, with comments.

What cannot be seen from outside is marked with FILL IN. No value of the compose file is written down: a
variable may hold a secret, its name and the address in it are enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from discovery.composed import USUAL_PORT, Found, FoundLink, FoundService

FILL_IN = "FILL IN"
JOURNEY, MIX, DESIGN = "first_request", "visit", "as_it_is"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a system's file says of where it was found: the lines of its heading, below its name, and those of
    its services and links."""

    heading: tuple[str, ...]
    named: tuple[str, ...]
    services: tuple[str, ...]
    links: tuple[str, ...]


def first_files(
    name: str,
    origin: Origin,
    found: Found,
    entry: FoundService,
    journeys: str = "",
    played: Sequence[str] = (),
) -> dict[str, str]:
    """Path to text of every file; `entry` is where users come in. `journeys` has the sections journeys and
    mixes where more is known of them, and `played` the names of its journeys."""
    names = list(played) or [JOURNEY]
    faulted = [link for link in found.reached(entry.name) if link.sure] or list(found.reached(entry.name))
    files = {
        "system.yaml": "\n".join(_system(name, origin, found, entry, journeys)) + "\n",
        f"designs/{DESIGN}.yaml": _DESIGN,
        "scenarios/control.yaml": _CONTROL + _objectives("baseline", names, "99%"),
    }
    entries = [f"  - {{scenario: control, design: {DESIGN}, expect: pass}}"]
    if faulted:
        first = faulted[0]
        back = "" if first.http else ", direction: to_caller"  # a server may speak first
        slow = _SLOW.replace("LINK, delay: 800ms", f"{first.caller} -> {first.callee}, delay: 800ms{back}")
        slow += _objectives("baseline", names, "99%")
        slow += f"  # {FILL_IN}: what your users may be asked to bear\n" + _objectives("fault", names, "95%")
        files["scenarios/slow_link.yaml"] = f"{slow}  recovery: {{within: 8s, hold: 2s}}\n"
        entries.append(f"  - {{scenario: slow_link, design: {DESIGN}, expect: pass}}")
    files["scenarios/suites/first.yaml"] = "name: first\nentries:\n" + "\n".join(entries) + "\n"
    return files


def entry_of(found: Found) -> FoundService:
    """The service that users probably call: one with a port that no other service calls, best over HTTP."""
    order = sorted(found.services, key=lambda one: (not one.door, one.http is False, not one.known_port))
    return order[0]


_DESIGN = f"""\
# A design is what is compared with another one. This is the system as it stands; a second file may set what
# `switches:` of system.yaml declare (variables of the services), to see whether it holds better.
name: {DESIGN}
title: As it stands
"""

_CONTROL = f"""\
name: control
title: Without a fault every request is answered
load: {{arrivals: 5/s, journeys: {{{MIX}: 1}}}}              # {FILL_IN}: visits a second
phases: {{warm_up: 3s, baseline: 15s, fault: 0s, recovery: 0s, settle: 5s}}
expect:
  # invariants: [nothing_twice]                       # {FILL_IN}: properties of system.yaml
"""

_SLOW = f"""\
name: slow_link
title: A slow link does not stop the users
load: {{arrivals: 5/s, journeys: {{{MIX}: 1}}}}
phases: {{warm_up: 3s, baseline: 10s, fault: 10s, recovery: 10s, settle: 8s}}
faults:
  - {{kind: latency, link: LINK, delay: 800ms, during: fault}}
expect:
  # invariants: [nothing_twice]                       # {FILL_IN}: properties of system.yaml
"""


def _objectives(section: str, journeys: Sequence[str], success: str) -> str:
    lines = [f'    - {{journey: {name}, success: ">= {success}"}}' for name in journeys]
    return "\n".join([f"  {section}:", *lines]) + "\n"


def of_compose(compose: str, found: Found) -> Origin:
    """Services and links of a compose file; `compose` is its path, relative to the system's file."""
    services = ["services:                       # of the compose file, with their images and variables"]
    services += [line for one in found.services for line in _service(one)]
    if found.left_out:
        services.append(f"  # left out, since they are in a profile: {', '.join(found.left_out)}")
    if found.jobs:
        services.append(f"  # run to their end before what waits for them: {', '.join(found.jobs)}")
    links = links_section(found.links, _link, ("text", "service"), "{caller: web, callee: api, wired: name}")
    heading = (
        f"# Written by `codeblue init` from {compose}, which stays as it is. Lines with {FILL_IN} need you.",
        "# `codeblue validate` checks this file, `codeblue check-wiring` shows where every link leads.",
    )
    return Origin(heading, (f"compose: {word(compose)}",), tuple(services), tuple(links))


def links_section(
    links: Sequence[FoundLink],
    lines_of: Callable[[FoundLink], Iterator[str]],
    words: tuple[str, str],
    example: str,
) -> list[str]:
    """The links that were found, or an example of one; `words` are what says so, and what it names."""
    says, named = words
    if links:
        heading = f"links:                          # who calls whom, and which {says} says so"
        return [heading, *(line for link in links for line in lines_of(link))]
    return [
        f"links: []                       # {FILL_IN}: no {says} names another {named}; such as",
        f"#  - {example}",
    ]


def _system(name: str, origin: Origin, found: Found, entry: FoundService, journeys: str) -> Iterator[str]:
    yield from origin.heading
    yield f"name: {word(name)}"
    yield from origin.named
    yield f"roles: {{strong: {DESIGN}}}"
    yield ""
    yield from origin.services
    yield ""
    yield from origin.links
    yield ""
    if journeys:
        yield journeys.rstrip()
    else:
        yield from _journey(found, entry)
    yield ""
    yield from _PROPERTIES.splitlines()


def _service(one: FoundService) -> Iterator[str]:
    parts = [f"compose: {word(one.name)}", f"port: {one.port}"]
    if one.health:
        parts.append(f"endpoints: {{health: {word(one.health)}}}")
    remark = "" if one.known_port else f"  # {FILL_IN}: nothing tells its port, {USUAL_PORT} is a guess"
    yield f"  {word(one.name)}: {{{', '.join(parts)}}}{remark}"


def _link(link: FoundLink) -> Iterator[str]:
    where = "; ".join(
        dict.fromkeys(f"{one.where}, {one.shown}" if one.shown else one.where for one in link.mentions)
    )
    yield f"  # {where}"
    if not link.sure:
        yield f"  # {FILL_IN}: perhaps the order of starts alone; take the line away if it does not call"
    if link.http is None:
        yield f"  # {FILL_IN}: protocol http, if that is spoken: then requests are measured, else connections"
    for port in link.other_ports:
        yield f"  # {FILL_IN}: it calls port {port} too, which has no proxy: a link has one port"
    parts = [f"caller: {word(link.caller)}", f"callee: {word(link.callee)}", "wired: name"]
    parts.append(f"protocol: {'http' if link.http else 'tcp'}")
    if link.port is not None:
        parts.append(f"port: {link.port}")
    yield f"  - {{{', '.join(parts)}}}"


def _journey(found: Found, entry: FoundService) -> Iterator[str]:
    yield f"journeys:                       # {FILL_IN}: what your users do, see docs/load.md"
    yield f"  {JOURNEY}:"
    yield f"    entry: {word(entry.name)}"
    used = _names(found.reached(entry.name))
    if used:
        yield f"    uses:                       # {FILL_IN}: the links that it may travel, these are guessed"
        yield from (f"      - {word(name)}" for name in used)
    yield f"    # {FILL_IN}: a request of your users, such as"
    yield '    #   {method: POST, path: /orders, json: {number: "{key}"}}'
    yield "    # {key} is the business key, which no other operation and no other run has"
    yield f"    request: {{path: {word(entry.health or '/')}}}"
    yield "    writes: off                 # on, where it changes something"
    yield "mixes:"
    yield f"  {MIX}: [{{journey: {JOURNEY}}}]"


def _names(links: Sequence[FoundLink]) -> list[str]:
    return [f"{link.caller} -> {link.callee}" for link in links]


def word(text: str) -> str:
    """A text as YAML takes it: bare where it can stand so."""
    bare = (
        text
        and all(c.isalnum() or c in "_-./ >" for c in text)
        and (text[0].isalpha() or text[0] == "/")
        and ": " not in text
    )
    words = {"on", "off", "yes", "no", "true", "false", "null", "y", "n"}
    return text if bare and text.lower() not in words and text == text.strip() else json.dumps(text)


_PROPERTIES = f"""\
# {FILL_IN}: where your services keep what must be right, and what must never happen. Without them a run
# judges answers and recovery alone. docs/properties.md shows every kind.
# records:
#   - {{store: SERVICE, kind: order, http: /orders, entries: items, fields: {{key: number, status: state}}}}
# properties:
#   nothing_twice:
#     {{kind: at_most_once, things: order, effect: {{store: SERVICE, kind: order}}, operations: [{JOURNEY}]}}
"""
