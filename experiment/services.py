"""The nodes of a system: how each is started, and which control endpoints it has."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from experiment.compose_file import compose_path, compose_service
from experiment.decoding import Decoder
from experiment.errors import ConfigError
from experiment.names import Argument
from experiment.yaml_source import Node, key_place, place

Role = Literal["service", "instrument", "store", "bus"]
CODE = ("service", "instrument")  # the roles that are started as the system's file says
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
OWN = ("host", "port", "python", "service")
OF_LINK = ("host", "port", "timeout", "attempts", "backoff")
OF_DATABASE = ("user", "password", "database")
OF_TOKEN = ("token",)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a service answers to the harness beside its own work: the paths of its control endpoints. Each is
    optional; docs/system_contract.md says what each must answer, and what cannot be done without it."""

    health: str | None = None
    """A path that answers 2xx while the process lives."""
    ready: str | None = None
    """A path that answers 2xx when it can take requests."""
    metrics: str | None = None
    """A path that gives its counters, as JSON."""
    backlog: str | None = None
    """A path that gives what it has not finished, as JSON."""
    records: str | None = None
    """A path that gives its system of record, one JSON object a line."""
    reset: str | None = None
    """A path that takes POST: it empties the service and may set another design."""
    behaviour: str | None = None
    """A path below which faults inside the service are set, read and removed with PUT, GET and DELETE."""
    design: str | None = None
    """A path that gives what it obeys of the design, as JSON."""

    def __post_init__(self) -> None:
        for one in fields(self):
            path = getattr(self, one.name)
            if path is not None and not path.startswith("/"):
                raise ValueError(f'{one.name} "{path}"; expected a path such as /{one.name}, or none')


CONTRACT = Endpoints(
    "/health", "/ready", "/metrics", "/backlog", "/records", "/admin/reset", "/admin/behaviour", "/design"
)
NO_ENDPOINTS = Endpoints()


@dataclass(frozen=True, slots=True)
class Service:
    """One node. `service`s are ours, `instrument`s stand for the outside world and keep the ground truth,
    `store` (PostgreSQL) and `bus` (NATS JetStream) are shared parts started by the runtime.

    A service of the harness's own kind is a `module`. Any other is a `command`, and in containers that
    command, or what the image itself runs, in an `image`, one built from the folder `build`, or that of the
    `compose` file's service.
    """

    role: Role = "service"
    """`service`: one of ours. `instrument`: stands for the outside world and keeps the ground truth. `store`
    and `bus`: PostgreSQL and NATS, started by the runtime."""
    module: str = ""
    """A Python module that `python -m` runs with a configuration file."""
    title: str = ""
    """What the service is, in a few words."""
    command: tuple[Argument, ...] = ()
    """Program and arguments, with placeholders such as `{port}`."""
    folder: str = ""
    """Where the command runs, relative to this file."""
    environment: dict[str, str] = field(default_factory=dict)
    """Its environment variables, with placeholders."""
    image: str = ""
    """In containers: an image that the engine has, or can pull."""
    build: str = ""
    """In containers: a folder with a Dockerfile, relative to this file."""
    compose: str = ""
    """In containers: a service of the compose file, see `compose` of this file."""
    port: int = 8080
    """The port on which it listens: in containers, and as a process that is not told by `{port}`."""
    ready_command: tuple[Argument, ...] = ()
    """A command that ends with 0 when the service is ready, where no path says so."""
    records: tuple[str, ...] = ()
    """The kinds of records that its endpoint `records` gives; without it, it does not say."""
    changes: tuple[str, ...] = ()
    """The planned changes that it makes on request, by name: a migration, a release, a heavy job."""
    endpoints: Endpoints | None = None
    """The paths of its control endpoints; without it, all of the contract for a module, and no others."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port}; expected one from 1 to 65535")

    @property
    def control(self) -> Endpoints:
        """The control endpoints that it has."""
        if self.endpoints is not None:
            return self.endpoints
        return CONTRACT if self.module else NO_ENDPOINTS

    @property
    def is_code(self) -> bool:
        """Whether it is started as this file says, not by the runtime."""
        return self.role in CODE

    @property
    def foreign(self) -> bool:
        """Whether it knows nothing of the harness: it is configured by arguments and environment alone."""
        return self.is_code and not self.module

    @property
    def starts(self) -> bool:
        """Whether the file says how it is started; off for one that runs already."""
        return bool(self.module or self.command or self.image or self.build or self.compose)

    @property
    def fixed_port(self) -> int:
        """The port of a process that listens where its own configuration says; 0 of one that is told."""
        told = any("port" in PLACEHOLDER.findall(text) for _, text in self.templates())
        return self.port if self.foreign and self.command and not told else 0

    def templates(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Every text that may hold placeholders, with its keys below the service."""
        yield from ((("command", n), text) for n, text in enumerate(self.command))
        yield from ((("environment", name), text) for name, text in self.environment.items())
        yield from ((("ready_command", n), text) for n, text in enumerate(self.ready_command))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced; `{{` and `}}` are braces. Raises KeyError for one that is
    not known."""
    pieces = re.split(r"(\{\{|\}\}|\{[^{}]*\})", text)
    braces = {"{{": "{", "}}": "}"}
    return "".join(
        braces.get(piece) or (values[piece[1:-1]] if PLACEHOLDER.fullmatch(piece) else piece)
        for piece in pieces
    )


def placeholders(callees: Mapping[str, str]) -> tuple[str, ...]:
    """The placeholders that a service may use; `callees` are the links that it calls over: name to
    protocol."""
    names = list(OWN)
    for callee, protocol in callees.items():
        parts = (*OF_LINK, *(OF_DATABASE if protocol == "postgres" else OF_TOKEN))
        names += [callee, *(f"{callee}.{part}" for part in parts)]
    return tuple(names)


def unknown_placeholders(text: str, known: Collection[str]) -> list[str]:
    """The placeholders of a text that are not known."""
    pieces = re.split(r"\{\{|\}\}", text)
    return [name for piece in pieces for name in PLACEHOLDER.findall(piece) if name not in known]


# -- what the keys of one service say of each other ------------------------------


def check_service(
    decoder: Decoder,
    node: Node,
    name: str,
    service: Service,
    callees: Mapping[str, str],
    file: Path,
    compose: str = "",
    attached: bool = False,
) -> None:
    """Each mistake at its own place. `node` is the whole file, `callees` the links that the service calls
    over, `file` where the node comes from, `compose` the compose file that it names. One that is `attached`
    runs already, and needs no way to start."""
    check = _Check(decoder, node, name, service, file, compose)
    if not service.is_code:
        check.started_by_the_runtime()
        return
    check.planned_changes()
    check.ways_to_start(needed=not attached)
    check.program()
    check.folders()
    check.composed()
    check.placeholders(placeholders(callees))


@dataclass(frozen=True, slots=True)
class _Check:
    decoder: Decoder
    node: Node
    name: str
    service: Service
    file: Path
    compose: str

    @property
    def folder(self) -> Path:
        return self.file.resolve().parent

    def fail(self, key: str, found: str, expected: str, hint: str = "") -> None:
        where = key_place(self.node, "services", self.name, key)
        self.decoder.fail(where, found, expected, hint)

    def given(self, *keys: str) -> list[str]:
        return [key for key in keys if getattr(self.service, key)]

    def started_by_the_runtime(self) -> None:
        ways = ("module", "command", "image", "build", "compose", "folder", "environment", "ready_command")
        for key in self.given(*ways):
            what = f'the key "{key}" of the {self.service.role} {self.name}'
            self.fail(key, what, f"none: a {self.service.role} is started by the runtime")
        if self.service.endpoints is not None:
            self.fail("endpoints", f"endpoints of the {self.service.role} {self.name}", "none")
        if self.service.changes:
            self.fail("changes", f"planned changes of the {self.service.role} {self.name}", "none")

    def ways_to_start(self, *, needed: bool) -> None:
        processes, images = self.given("module", "command"), self.given("image", "build", "compose")
        if needed and not processes and not images:
            where = key_place(self.node, "services", self.name)
            expected = "one of command, module, image, build, compose"
            self.decoder.fail(where, f"no way to start {self.name}", expected)
        for ways in (processes, images, ["module", *images] if self.service.module else []):
            if len(ways) > 1:
                found = f"two ways to start {self.name}: {ways[0]} and {ways[1]}"
                self.fail(ways[1], found, "one of them")
                break
        if self.service.module:
            for key in self.given("folder", "environment", "ready_command"):
                found = f'the key "{key}" of {self.name}, which is a module'
                self.fail(key, found, "it with a command or an image: a module reads its configuration file")

    def planned_changes(self) -> None:
        if self.service.changes and self.service.control.behaviour is None:
            found = f"planned changes of {self.name}, which has no endpoint behaviour"
            self.fail(
                "changes", found, f"services.{self.name}.endpoints.behaviour: where it is told to change"
            )

    def program(self) -> None:
        if self.service.command and not self.service.command[0].strip():
            where = place(self.node, "services", self.name, "command", 0)
            self.decoder.fail(where, "a command without a program", "the name or path of a program")

    def folders(self) -> None:
        for key, wanted in (("folder", ""), ("build", "Dockerfile")):
            named = getattr(self.service, key)
            if not named:
                continue
            path = self.folder / named
            if not path.is_dir():
                known = [one.name for one in self.folder.iterdir() if one.is_dir()]
                expected = f"a folder beside this file, in {self.folder}"
                self.fail_value(key, f'the folder "{named}", which is not there', expected, known)
            elif wanted and not (path / wanted).is_file():
                self.fail_value(key, f'the folder "{named}" without a {wanted}', f"one with a {wanted}", ())

    def composed(self) -> None:
        if not self.service.compose:
            return
        try:
            compose_service(compose_path(self.file, self.compose), self.service.compose)
        except ConfigError as error:
            self.decoder.problems.extend(error.problems)

    def fail_value(self, key: str, found: str, expected: str, known: Collection[str]) -> None:
        named = str(getattr(self.service, key))
        where = place(self.node, "services", self.name, key)
        self.decoder.fail(where, found, expected, self.decoder.nearest(named, known) if known else "")

    def placeholders(self, known: Collection[str]) -> None:
        for path, text in self.service.templates():
            for unknown in unknown_placeholders(text, known):
                where = place(self.node, "services", self.name, *path)
                found = f'the unknown placeholder "{{{unknown}}}"'
                expected = f"a placeholder that {self.name} has: its own address or a link that it calls over"
                self.decoder.fail(where, found, expected, self.decoder.nearest(unknown, known))
