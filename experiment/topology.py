"""The system under test: services, links, journeys. Read from one `system.yaml`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from experiment.attaching import Attach, check_attach
from experiment.compose_file import ComposeService, compose_path, compose_service
from experiment.decoding import Decoder
from experiment.errors import ConfigError, Location
from experiment.forms import (
    PREFIX,
    AnswerForm,
    Draw,
    FinalReadForm,
    RequestForm,
    decode_draw,
    require_intended,
    unknown_placeholders,
)
from experiment.kept_values import check_kept
from experiment.links import ANSWERED as ANSWERED
from experiment.links import STANDARD_PORTS, Protocol, check_link
from experiment.links import Link as Link
from experiment.names import JOURNEY, LINK, SERVICE, STORE, require_name
from experiment.patterns import LINK_PATTERNS
from experiment.properties import (
    Kinds,
    Noun,
    Property,
    Records,
    decode_noun,
    decode_property,
    decode_records,
    with_defaults,
)
from experiment.record_sources import RecordSource, check_record_source
from experiment.services import Role as Role
from experiment.services import Service as Service
from experiment.services import check_service
from experiment.switches import Lack, Setting, Switch, check_switches, read_setting, read_switch
from experiment.templates import FIXED
from experiment.units import Duration, Share
from experiment.yaml_source import Mapping, Node, key_place, place, read_yaml

Folders = str | tuple[str, ...]  # relative to the folder of system.yaml


@dataclass(frozen=True, slots=True)
class Journey:
    """What one user does, in one operation at the entry service.

    `uses` lists the links it may travel, so that what a fault cannot reach is known (containment).
    """

    entry: str
    """The service at which the operation begins."""
    uses: tuple[str, ...] = ()
    """The links that it may travel, as `caller -> callee`. A fault on another link must not reach it."""
    criticality: float = 1.0
    """Its weight in the score, beside the other journeys."""
    deadline: Duration = 2.5
    """What the user is promised. No request may outlive it by more than 500 ms."""
    patience: Duration = 5.0
    """After this time the user gives up."""
    p95: Duration = 1.0
    """An answer slower than this is not good."""
    writes: bool = True
    """Off for a journey that changes nothing."""
    refused: tuple[int, ...] = ()
    """Statuses with which the system must refuse it: of somebody without the right, say. Such a refusal is
    the good answer of this journey, and a success is not."""
    key: str = ""
    """The first part of its business keys, before the run's token and the visit; without it, its name."""
    arguments: dict[str, Draw] = field(default_factory=dict)
    """Values drawn from the seed for each operation, by name."""
    request: RequestForm | None = None
    """The HTTP request; without it, the workload's client makes the request."""
    answer: AnswerForm | None = None
    """Where a success says what it says."""
    intended_value: str | None = None
    """What a write means to leave behind, such as `{amount}`."""
    task: str = ""
    """Instead of a request: a task of the workload's locustfile, such as `WebsiteUser.index`."""

    def __post_init__(self) -> None:
        if self.key and not PREFIX.fullmatch(self.key):
            raise ValueError(f'the key "{self.key}"; expected letters, digits, "_" and dots')
        for name in ("deadline", "patience", "p95"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} 0 s; expected a time in which an answer can come")
        if self.p95 > self.patience:
            raise ValueError(
                f"p95 {self.p95:g} s with a patience of {self.patience:g} s; expected at most the patience"
            )
        for status in self.refused:
            if not 400 <= status < 600:
                raise ValueError(f"refused with the status {status}; expected statuses of refusals, from 400")
        if self.criticality < 0:
            raise ValueError(f"criticality {self.criticality:g}; expected 0 or more")
        if self.task and (self.writes or self.key or self.request or self.answer or self.arguments):
            raise ValueError(
                f'the task "{self.task}" with more than its times; expected `writes: off` and neither key, '
                "arguments, request nor answer: nothing says which thing a task of a locustfile is about"
            )
        require_intended(self.intended_value)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a mix: `at` after the arrival, in a `share` of arrivals, once what it `needs`
    succeeded."""

    journey: str
    """The journey of which this is one operation."""
    at: Duration = 0.0
    """How long after the arrival it begins."""
    share: Share = 1.0
    """The part of arrivals that take it."""
    needs: str | None = None
    """An earlier step of the mix that must have succeeded."""

    def __post_init__(self) -> None:
        if self.share <= 0:
            raise ValueError("share 0%; expected a share of arrivals that take it, or no such step")


@dataclass(frozen=True, slots=True)
class WorkloadFiles:
    """Python that a system brings where YAML does not suffice; paths are relative to its file.

    `client` makes requests and reads answers, `twin` is a package of models of the services. `arguments` are
    drawn from the seed once a visit, and all of its operations share them.
    """

    client: str = ""
    """A Python file that makes requests and reads answers, relative to this file."""
    twin: str = ""
    """A Python package of models of the services, relative to this file."""
    arguments: dict[str, Draw] = field(default_factory=dict)
    """Values drawn from the seed once a visit, which all of its operations share."""
    feeds: dict[str, str] = field(default_factory=dict)
    """Data that the client reads from a folder when one is named by `--NAME-feed DIR`; what each is."""
    locustfile: str = ""
    """A locustfile whose tasks are journeys, relative to this file."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Which designs are meant where a command names none."""

    strong: str = ""
    """The design that must hold: a run and both sides of a gate use it. Reports say how another design
    differs from it, and the gate's own trials take one switch after the other away from it."""
    weak: str = ""
    """The design that shows what goes wrong. `simulate` and `twin` play it beside the strong one."""


@dataclass(frozen=True, slots=True)
class System:
    """The whole of system.yaml. `mixes` are what scenarios name in `load.journeys`: scripts of steps."""

    name: str
    """What the system is called in reports and in run folders."""
    services: dict[str, Service]
    """The services, instruments, stores and buses, by name."""
    links: tuple[Link, ...]
    """Who calls whom. Each link gets a proxy of its own."""
    journeys: dict[str, Journey]
    """What users do, by name. Each is one operation at one service."""
    mixes: dict[str, tuple[Step, ...]]
    """Scripts of steps, by name; the load of a scenario weighs them."""
    title: str = ""
    """What the system is, in a few words."""
    scenarios: Folders = "scenarios"
    """One or more folders of scenarios, relative to this file."""
    designs: Folders = "designs"
    """One or more folders of designs, relative to this file."""
    suites: Folders | None = None
    """One or more folders of suites, relative to this file; without it, `suites` in the first folder of
    scenarios."""
    roles: Roles = Roles()
    """Which designs are meant where a command names none."""
    compose: str = ""
    """The compose file that services name with `compose`, relative to this file; without it, compose.yaml (or
    another usual name) beside this file."""
    starts: Literal["all", "needed"] = "all"
    """What a run starts: the whole system, or what its scenario needs: the services that its users, faults
    and properties meet by `entry`, `uses`, targets and records, and all that these call."""
    attach: Attach | None = None
    """Where the system runs already: for `--runtime attach`, which starts and stops nothing of it."""
    workload: WorkloadFiles = WorkloadFiles()
    """Python that the system brings where YAML does not suffice."""
    records: tuple[RecordSource, ...] = ()
    """How records are read from services that have no endpoint for them."""
    properties: dict[str, Property] = field(default_factory=dict)
    """What runs are judged by, by name; reports keep the order."""
    final_reads: dict[str, FinalReadForm] = field(default_factory=dict)
    """How things are read in the end, by the first part of their business keys."""
    switches: dict[str, Switch] = field(default_factory=dict)
    """What designs of this system may set for a service, by name."""
    link_patterns: dict[str, Lack] = field(default_factory=dict)
    """What the lack of the link patterns shows in this system, by the name of the pattern."""
    left_out: tuple[str, ...] = field(default=(), metadata={"internal": True})
    """Services of the file that are not in this part of it: no run of the scenario needs them."""
    source: str = field(default="", metadata={"internal": True})

    def file(self, name: str) -> Path:
        """A path that the system's file names, relative to it."""
        return Path(self.source).parent / name

    @property
    def compose_file(self) -> Path:
        """The compose file of its services. Raises ConfigError where there is none, or more than one."""
        return compose_path(Path(self.source), self.compose)

    def composed(self, name: str) -> ComposeService | None:
        """What the compose file says of a service; None of one that names none. Raises ConfigError."""
        named = self.services[name].compose
        return compose_service(self.compose_file, named) if named else None

    def called_by(self, link: Link) -> str:
        """The name under which the caller of a link knows the callee: in a compose file that file's."""
        return self.services[link.callee].compose or link.callee

    def names_called(self, link: Link) -> tuple[str, ...]:
        """Every name under which the caller of a link may know the callee. Raises ConfigError."""
        own = self.called_by(link)
        callee, caller = (self.composed(name) or ComposeService() for name in (link.callee, link.caller))
        given = (alias for alias, name in caller.links.items() if name == own)
        return tuple(dict.fromkeys((own, *callee.aliases, *given)))

    def called_at(self, link: Link) -> int:
        """The port at which the caller of a link that is wired by name calls the callee."""
        callee = self.services[link.callee]
        return link.port or (callee.port if callee.is_code else STANDARD_PORTS[callee.role])

    def link(self, name: str) -> Link:
        """The link called `caller -> callee`. Raises KeyError."""
        return next(link for link in self.links if link.name == name)

    def prefix(self, journey: str) -> str:
        """The first part of a journey's business keys."""
        return self.journeys[journey].key or journey.replace("-", "_")

    def callees(self, service: str) -> dict[str, Protocol]:
        """What a service calls: callee to protocol."""
        return {link.callee: link.protocol for link in self.links if link.caller == service}

    def without(self, endpoint: str) -> tuple[str, ...]:
        """The services of its own that do not have a control endpoint, such as backlog."""
        code = ((name, service.control) for name, service in self.services.items() if service.is_code)
        return tuple(name for name, control in code if getattr(control, endpoint) is None)

    @property
    def link_names(self) -> tuple[str, ...]:
        return tuple(link.name for link in self.links)

    def folders(self, kind: Literal["scenarios", "designs", "suites"]) -> tuple[Path, ...]:
        """Where the system's files of a kind lie, whether or not anything is there."""
        home = Path(self.source).parent
        named = getattr(self, kind)
        if named is None:
            return (self.folders("scenarios")[0] / "suites",) if self.scenarios else ()
        texts = (named,) if isinstance(named, str) else named
        return tuple(Path(os.path.normpath(home / text)) for text in texts)

    def record_kinds(self) -> dict[str, tuple[str, ...]]:
        """Stores whose records are read in the end, each with the kinds that it gives; none: not known."""
        given = {
            name: service.records
            for name, service in self.services.items()
            if service.is_code and service.control.records is not None
        }
        for source in self.records:
            given[source.store] = (*given.get(source.store, ()), source.kind)
        return given

    def depends(self, journey: str, target: str) -> bool:
        """Whether a fault on `target` (a link or a service) can reach the journey."""
        spec = self.journeys[journey]
        if "->" in target:
            return target in spec.uses
        return target == spec.entry or any(target in name.split(" -> ") for name in spec.uses)


def load_system(path: Path, kinds: Kinds) -> System:
    """Read and cross-check a system file; `kinds` is the registry of kinds of properties. Raises
    ConfigError."""
    node = read_yaml(path)
    # Properties name services and journeys: they are decoded when these are known.
    hooks: dict[type, Callable[[Decoder, Node], Any]] = {
        Property: lambda _, child: child,
        Draw: decode_draw,
        Setting: read_setting,
        Switch: read_switch,
    }
    decoder = Decoder(hooks)
    system = decoder.root(node, System)
    system = replace(system, source=str(path))
    _check(system, decoder, node)
    properties = _properties(system, decoder, node, kinds)
    for key in ("client", "locustfile", "twin"):
        named = getattr(system.workload, key)
        if named and not system.file(named).exists():
            expected = "a path that exists, relative to this file"
            decoder.fail(place(node, "workload", key), f'"{named}", which is not there', expected)
    decoder.finish()
    return replace(system, properties=properties)


def _properties(system: System, decoder: Decoder, node: Node, kinds: Kinds) -> dict[str, Property]:
    """The properties of the file, and those that every system has."""
    given = system.record_kinds()
    names = {SERVICE: system.services, LINK: system.link_names, JOURNEY: system.journeys, STORE: given}

    def records(own: Decoder, child: Node) -> object:
        return decode_records(own, child, given)

    inner = Decoder({Noun: decode_noun, Records: records}, names)
    section = node.get("properties") if isinstance(node, Mapping) else None
    found: dict[str, Property] = {}
    for name, child in section.items if isinstance(section, Mapping) else ():
        _named(inner, name.where, name.text)
        decoded = decode_property(inner, child, name.text, kinds)
        if isinstance(decoded, Property):
            found[name.text] = decoded
    decoder.problems.extend(inner.problems)
    return with_defaults(found, kinds)


def _named(decoder: Decoder, where: Location, name: str) -> None:
    try:
        require_name(name)
    except ValueError as error:
        decoder.refuse(where, error)


def place_in_file(system: System, *path: str | int) -> Location:
    """Where something stands in the system's file; the file alone when it cannot be read any more."""
    try:
        return place(read_yaml(Path(system.source)), *path)
    except ConfigError:
        return Location(system.source or system.name)


def _check_workload(system: System, decoder: Decoder, node: Node) -> None:
    """Arguments, placeholders and final reads. What a client draws is known only when it plans."""
    taken = "another name: a placeholder has this one"
    for name, journey in system.journeys.items():
        if journey.task and not system.workload.locustfile:
            where = place(node, "journeys", name, "task")
            decoder.fail(where, f'the task "{journey.task}" and no locustfile', "workload.locustfile: FILE")
        if not PREFIX.fullmatch(system.prefix(name)):
            where = key_place(node, "journeys", name)
            expected = 'letters, digits, "_" and dots, or such a key beside it'
            decoder.fail(where, f'the journey "{name}", which its business keys begin with', expected)
        for argument in journey.arguments:
            where = key_place(node, "journeys", name, "arguments", argument)
            if argument in FIXED:
                decoder.fail(where, f'an argument called "{argument}"', taken)
            elif argument in system.workload.arguments:
                decoder.fail(
                    where, f'the argument "{argument}" a second time', "it here or in workload.arguments"
                )
        if system.workload.client:
            continue
        known = (*system.workload.arguments, *journey.arguments)
        for path, hole, hint in unknown_placeholders(journey.request, journey.intended_value, known):
            expected = "a value of the plan or an argument of this journey"
            decoder.fail(place(node, "journeys", name, *path), f"the placeholder {{{hole}}}", expected, hint)
    for argument in system.workload.arguments:
        if argument in FIXED:
            where = key_place(node, "workload", "arguments", argument)
            decoder.fail(where, f'an argument called "{argument}"', taken)
    prefixes = {system.prefix(name) for name in system.journeys}
    for prefix, form in system.final_reads.items():
        if prefix not in prefixes:
            where = key_place(node, "final_reads", prefix)
            hint = decoder.nearest(prefix, prefixes)
            decoder.fail(where, f'the unknown key prefix "{prefix}"', "the key of a journey", hint)
        elif form.written_by in system.journeys and system.prefix(form.written_by) != prefix:
            where = place(node, "final_reads", prefix, "written_by")
            other = system.prefix(form.written_by)
            expected = f'a journey whose key is "{prefix}"'
            decoder.fail(where, f'"{form.written_by}", whose key is "{other}"', expected)


def _check(system: System, decoder: Decoder, node: Node) -> None:
    """What the parts say of each other; each mistake at its own place."""

    def known(name: str, names: Collection[str], what: str, *path: str | int) -> None:
        if name not in names:
            found = f'the unknown {what} "{name}"'
            article = "an" if what[0] in "aeiou" else "a"
            decoder.fail(
                place(node, *path), found, f"{article} {what} of this file", decoder.nearest(name, names)
            )

    for where, name in (
        (place(node, "name"), system.name),
        *((key_place(node, "services", service), service) for service in system.services),
    ):
        _named(decoder, where, name)
    seen: set[str] = set()
    for index, link in enumerate(system.links):
        known(link.caller, system.services, "service", "links", index, "caller")
        known(link.callee, system.services, "service", "links", index, "callee")
        if link.name in seen:
            decoder.fail(place(node, "links", index), f'a second link "{link.name}"', "each link once")
        seen.add(link.name)
        check_link(decoder, node, index, link, system.services)
    _check_compose(system, decoder, node)
    attached = check_attach(decoder, node, system.attach, system.services, system.link_names)
    for name, service in system.services.items():
        given = system.callees(name), Path(system.source), system.compose, name in attached
        check_service(decoder, node, name, service, *given)
    databases = {link.caller for link in system.links if link.protocol == "postgres"}
    for index, source in enumerate(system.records):
        check_record_source(decoder, node, index, source, system.services, databases)
    for name, journey in system.journeys.items():
        known(journey.entry, system.services, "service", "journeys", name, "entry")
        for index, used in enumerate(journey.uses):
            known(used, system.link_names, "link", "journeys", name, "uses", index)
    for prefix, form in system.final_reads.items():
        known(form.written_by, system.journeys, "journey", "final_reads", prefix, "written_by")
    _check_workload(system, decoder, node)
    for section in ("services", "journeys", "mixes"):
        if not getattr(system, section):
            decoder.fail(place(node, section), f"no {section}", "one at least")
    for name, steps in system.mixes.items():
        if not steps:
            decoder.fail(place(node, "mixes", name), f'the mix "{name}" without a step', "one step at least")
        earlier: list[str] = []
        for index, step in enumerate(steps):
            known(step.journey, system.journeys, "journey", "mixes", name, index, "journey")
            if step.needs is not None:
                known(step.needs, earlier, "earlier step", "mixes", name, index, "needs")
            earlier.append(step.journey)
    check_kept(decoder, node, system.journeys, system.mixes)
    check_switches(decoder, node, system.switches, system.services)
    for name in system.link_patterns:
        if name not in LINK_PATTERNS:
            found, hint = f'the unknown link pattern "{name}"', decoder.nearest(name, LINK_PATTERNS)
            decoder.fail(key_place(node, "link_patterns", name), found, "a link pattern", hint)


def _check_compose(system: System, decoder: Decoder, node: Node) -> None:
    """The compose file is there, no two services are the same of it, and what they depend on is one, too."""
    named: dict[str, str] = {}
    for name, service in system.services.items():
        if service.compose and (other := named.setdefault(service.compose, name)) != name:
            where = place(node, "services", name, "compose")
            found = f'the service "{service.compose}" of the compose file a second time'
            decoder.fail(where, found, f"each once: {other} is this service")
    if system.compose and not system.file(system.compose).is_file():
        expected = "a compose file, relative to this file"
        decoder.fail(place(node, "compose"), f'"{system.compose}", which is not there', expected)
        return
    for wanted, name in named.items():
        with suppress(ConfigError):  # what is wrong there is said where the service is checked
            said = compose_service(compose_path(Path(system.source), system.compose), wanted)
            for job in set(said.jobs) & named.keys():
                found = f'"{job}", for whose end {name} waits: a run starts it by itself'
                decoder.fail(place(node, "services", named[job], "compose"), found, "a service that stays")
            for missing in said.depends_on.keys() - named.keys():
                found = f'"{wanted}", which depends on "{missing}", and no service of this file is that'
                expected = f"a service with `compose: {missing}`"
                decoder.fail(place(node, "services", name, "compose"), found, expected)
