"""The first system.yaml of services that are local processes: what a Procfile says of them, with comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from discovery.composed import Found, FoundLink, FoundService, Mention
from discovery.first_files import FILL_IN, Origin, links_section, word
from discovery.process_file import Process, callers

STORES = {"postgres": "store", "postgresql": "store", "nats": "bus"}  # scheme to what a run starts itself


def found_processes(processes: Sequence[Process]) -> Found:
    """Services and links, as a compose file would give them."""
    called = {callee for one in processes for callee in one.calls}
    speaks = {callee: http for one in processes for callee, (_, http, _) in one.calls.items()}
    services = tuple(
        FoundService(
            one.name,
            one.port,
            one.listens,
            speaks.get(one.name, True if one.listens else None),
            "",
            door=one.listens and one.name not in called,
        )
        for one in processes
    )
    links = tuple(
        FoundLink(caller, callee, None, http, (Mention(where),), sure)
        for caller, callee, where, http, sure in callers(tuple(processes))
    )
    return Found(services, links)


def of_processes(file: str, folder: str, processes: Sequence[Process], found: Found) -> Origin:
    """Services and links of a Procfile; `file` is its path and `folder` that of its folder, both relative to
    the system's file."""
    services = [f"services:                       # of {file}; {{port}} is a free port in each run"]
    services += [line for one in processes for line in _service(one, folder)]
    example = '{caller: web, callee: api}     and of web: environment: {API_URL: "http://{api}"}'
    links = links_section(found.links, _link, ("variable", "process"), example)
    heading = (
        f"# Written by `codeblue init` from {file}, which stays as it is. Lines with {FILL_IN} need you.",
        "# `codeblue validate` checks this file. A placeholder such as {api} leads over a link's proxy.",
    )
    return Origin(heading, (), tuple(services), tuple(links))


def _service(one: Process, folder: str) -> Iterator[str]:
    yield f"  {word(one.name)}:"
    yield f"    command: [{', '.join(word(text) for text in one.command)}]"
    yield f"    folder: {word(folder)}"
    if one.environment:
        yield "    environment:"
        for name, text in one.environment.items():
            remark = f"  # {FILL_IN}: its rest is not copied, it may be a secret" if FILL_IN in text else ""
            yield f"      {word(name)}: {word(text.removesuffix(' ' + FILL_IN))}{remark}"
    if one.unset:
        names = ", ".join(one.unset)
        yield f"    # {FILL_IN}: variables that it may need too, whose values are not copied: {names}"
    for place in one.elsewhere:
        role = STORES.get(place.scheme)
        hint = (
            f"add `NAME: {{role: {role}}}`, which a run starts"
            if role
            else "start it by a service of its own"
        )
        yield f"    # {FILL_IN}: {place.where} leads to port {place.port}, which no line has: {hint}"
    if not one.listens:
        yield f"    # {FILL_IN}: nothing tells that it listens; a command that ends with 0 when it is ready,"
        yield "    # or none, where it listens at $PORT"
        yield '    ready_command: ["true"]'


def _link(link: FoundLink) -> Iterator[str]:
    where = link.mentions[0].where
    yield f"  # {where}" + (
        "" if link.sure else f", which every process gets; {FILL_IN}: take it away if unused"
    )
    if link.http is None:
        yield f"  # {FILL_IN}: protocol http, if that is spoken: then requests are measured, else connections"
    protocol = "http" if link.http else "tcp"
    yield f"  - {{caller: {word(link.caller)}, callee: {word(link.callee)}, protocol: {protocol}}}"
