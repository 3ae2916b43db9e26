"""What a compose file says of its services, as far as a run needs it.

What cannot be played is refused by name: a service that was started in another way than its file says would
not be that service.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from experiment.compose_text import filled_in, known_variables, read_variables
from experiment.decoding import describe
from experiment.errors import ConfigError, Location, Problem, nearest
from experiment.yaml_source import Mapping, Node, Scalar, Sequence, place, read_yaml

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = tuple(name.replace(".y", ".override.y") for name in NAMES)
Condition = Literal["service_started", "service_healthy"]
ENDS = "service_completed_successfully"
CONDITIONS: tuple[Condition, ...] = ("service_started", "service_healthy")

REFUSED = {
    "network_mode": "a network of its own: links are wired by the networks that the harness makes",
    "extends": "the service written out",
    "external_links": "services of this file",
    "privileged": "a container that cannot reach around its own network",
    "devices": "no devices of the machine",
    "extra_hosts": "names of this file: an address would lead past the proxies",
    "volumes_from": "the volumes written out",
}  # key of a service to what is expected in its place
GIVEN = {"secrets": "/run/secrets/", "configs": "/"}  # files that a service is given, and where they lie


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume (named, or without a name), a file or folder of the machine, or memory."""

    kind: Literal["volume", "bind", "tmpfs"]
    target: str
    source: str = ""
    """The name of a volume, or a path on the machine."""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ComposeService:
    """One service of a compose file. `build` is a folder, relative to the file; `test` is the command of its
    health check, empty when it has none."""

    image: str = ""
    build: str = ""
    dockerfile: str = "Dockerfile"
    build_args: dict[str, str] = field(default_factory=dict)
    stage: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    """Where it listens inside, as far as the file says: published and exposed ports."""
    mounts: tuple[Mount, ...] = ()
    test: tuple[str, ...] = ()
    depends_on: dict[str, Condition] = field(default_factory=dict)
    jobs: tuple[str, ...] = ()
    """Services that must have ended well before it starts, such as a migration."""
    profiles: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other names under which it is called."""
    links: dict[str, str] = field(default_factory=dict)
    """Another name, for this caller alone, to the service that it means."""
    user: str = ""
    working_dir: str = ""
    capabilities: tuple[str, ...] = ()
    refused: tuple[Problem, ...] = ()
    """What of it a run cannot play."""


def compose_path(system_file: Path, named: str = "") -> Path:
    """The compose file of a system's file: the one that it names, else one of the usual names beside it.
    Raises ConfigError when a second file would be laid over it, as compose does of itself."""
    folder = system_file.resolve().parent
    if named:
        return folder / named
    path = next((folder / one for one in NAMES if (folder / one).is_file()), folder / NAMES[0])
    for override in OVERRIDES:
        if (folder / override).is_file():
            found = f"{override} beside {path.name}, which is not laid over it"
            expected = f"`compose: {path.name}` in {system_file.name}: that file alone, as with `-f`"
            raise ConfigError([Problem(Location(str(folder / override)), found, expected)])
    return path


def read_compose(path: Path) -> dict[str, ComposeService]:
    """Every service of a compose file, by name. Raises ConfigError for a file that is not there and for what
    is not understood; what is understood and cannot be played stands in `refused`."""
    node = read_yaml(path, aliases=True)
    services = node.get("services") if isinstance(node, Mapping) else None
    if not isinstance(services, Mapping):
        raise ConfigError([Problem(place(node, "services"), "no services", "a mapping of services")])
    reader = _Reader(path.parent, known_variables(path.parent), node)
    found = {key.text: reader.service(key.text, child) for key, child in services.items}
    if len(problems := list(_networks(node))):
        return {name: replace(one, refused=(*one.refused, *problems)) for name, one in found.items()}
    return found


def compose_service(path: Path, name: str) -> ComposeService:
    """One service of a compose file. Raises ConfigError for a file that is not there or does not hold it,
    for what is not understood of the file, and for what cannot be played of the service."""
    services = read_compose(path)
    if name not in services:
        where = place(read_yaml(path, aliases=True), "services")
        what = f'no service "{name}"'
        raise ConfigError([Problem(where, what, "a service of this file", nearest(name, services))])
    problems = list(services[name].refused)
    for job in services[name].jobs:
        if job not in services:
            where = place(read_yaml(path, aliases=True), "services", name, "depends_on", job)
            what = f'no service "{job}", for whose end {name} waits'
            problems.append(Problem(where, what, "a service of this file", nearest(job, services)))
        else:
            problems += services[job].refused
    if problems:
        raise ConfigError(problems)
    return services[name]


def _networks(node: Node) -> Iterator[Problem]:
    """What the file says of networks that the harness's own cannot be."""
    networks = node.get("networks") if isinstance(node, Mapping) else None
    for name, one in networks.items if isinstance(networks, Mapping) else ():
        if not isinstance(one, Mapping):
            continue
        for key, expected in (("enable_ipv6", "IPv4: links are wired by networks of IPv4"),):
            value = one.get(key)
            if isinstance(value, Scalar) and value.text.lower() == "true":
                yield Problem(value.where, f"{key} of the network {name.text}", expected)


class _Reader:
    """Reads the services of one file."""

    def __init__(self, folder: Path, known: dict[str, str], whole: Node) -> None:
        self._folder = folder
        self._known = known
        self._whole = whole

    def service(self, name: str, node: Node) -> ComposeService:
        if not isinstance(node, Mapping):
            raise _mistake(node, "a mapping")
        build, dockerfile, args, stage = node.get("build"), "Dockerfile", None, ""
        if isinstance(build, Mapping):
            dockerfile = self.text(build.get("dockerfile")) or dockerfile
            args, stage = build.get("args"), self.text(build.get("target"))
            build = build.get("context")
        links = dict(self._links(node.get("links")))
        return ComposeService(
            image=self.text(node.get("image")),
            build=self.text(build),
            dockerfile=dockerfile,
            build_args=self.pairs(args),
            stage=stage,
            command=self.words(node.get("command")),
            entrypoint=None if node.get("entrypoint") is None else self.words(node.get("entrypoint")),
            environment={**self._from_files(node.get("env_file")), **self.pairs(node.get("environment"))},
            ports=tuple(dict.fromkeys((*self._published(node.get("ports")), *self._exposed(node)))),
            mounts=(
                *self._mounts(node.get("volumes")),
                *self._memory(node.get("tmpfs")),
                *(one for one in self._given(node) if isinstance(one, Mount)),
            ),
            test=self._test(node.get("healthcheck")),
            depends_on=dict(self._depends(node.get("depends_on"))),
            jobs=tuple(self._jobs(node.get("depends_on"))),
            profiles=tuple(self.texts(node.get("profiles"))),
            aliases=tuple(dict.fromkeys(self._aliases(name, node))),
            links=links,
            user=self.text(node.get("user")),
            working_dir=self.text(node.get("working_dir")),
            capabilities=tuple(self.texts(node.get("cap_add"))),
            refused=tuple(self._refusals(name, node)),
        )

    # -- values ------------------------------

    def text(self, node: Node | None) -> str:
        """A scalar, with its variables replaced."""
        if node is None:
            return ""
        if not isinstance(node, Scalar):
            raise _mistake(node, "a text")
        return "" if node.kind == "null" else filled_in(node.text, self._known, node.where)

    def texts(self, node: Node | None) -> list[str]:
        """A list of texts; one text stands for a list of it."""
        if isinstance(node, Sequence):
            return [self.text(item) for item in node.items]
        return [found] if (found := self.text(node)) else []

    def words(self, node: Node | None) -> tuple[str, ...]:
        """A command: a list, or a text that a shell would cut."""
        if isinstance(node, Sequence):
            return tuple(self.text(item) for item in node.items)
        text = self.text(node)
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            assert node is not None
            raise ConfigError([Problem(node.where, f'"{text}" ({error})', "words")]) from None

    def pairs(self, node: Node | None) -> dict[str, str]:
        """Variables: a mapping, or a list of NAME=VALUE; a name alone takes our own value."""
        if isinstance(node, Mapping):
            return {
                key.text: os.environ.get(key.text, "") if _is_null(value) else self.text(value)
                for key, value in node.items
            }
        if node is None:
            return {}
        if not isinstance(node, Sequence):
            raise _mistake(node, "a mapping or a list of NAME=VALUE")
        pairs = (self.text(item).partition("=") for item in node.items)
        return {name: value if equals else os.environ.get(name, "") for name, equals, value in pairs}

    # -- keys ------------------------------

    def _from_files(self, node: Node | None) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in node.items if isinstance(node, Sequence) else (node,) if node is not None else ():
            required = True
            if isinstance(one, Mapping):
                required = self.text(one.get("required")).lower() != "false"
                one = one.get("path") or one
            path = self._folder / self.text(one)
            if required or path.is_file():
                found |= read_variables(path)
        return found

    def _published(self, node: Node | None) -> Iterator[int]:
        """The inner port of each entry: `8080`, `80:8080`, `127.0.0.1:80:8080/tcp`, or `target: 8080`."""
        for one in node.items if isinstance(node, Sequence) else ():
            text = self.text(one.get("target") if isinstance(one, Mapping) else one)
            yield from self._port(one, text.rpartition(":")[2])

    def _exposed(self, node: Mapping) -> Iterator[int]:
        expose = node.get("expose")
        for one in expose.items if isinstance(expose, Sequence) else ():
            yield from self._port(one, self.text(one))

    def _port(self, node: Node, text: str) -> Iterator[int]:
        """One port or a range of them; nothing of one over UDP."""
        number, _, protocol = text.partition("/")
        if protocol not in ("", "tcp"):
            return
        first, _, last = number.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ConfigError([Problem(node.where, f'the port "{text}"', "a port such as 8080")])
        yield from range(int(first), int(last or first) + 1)

    def _mounts(self, node: Node | None) -> Iterator[Mount]:
        for one in node.items if isinstance(node, Sequence) else ():
            yield self._mount_of(one) if isinstance(one, Mapping) else self._short_mount(one)

    def _mount_of(self, node: Mapping) -> Mount:
        kind, source = self.text(node.get("type")) or "volume", self.text(node.get("source"))
        target = self.text(node.get("target"))
        if not target:
            raise _mistake(node, "a mount with a target")
        read_only = self.text(node.get("read_only")).lower() == "true"
        if kind == "bind":
            return Mount("bind", target, str(self._on_machine(source)), read_only)
        if kind not in ("volume", "tmpfs"):
            raise ConfigError([Problem(node.where, f"a mount of the type {kind}", "volume, bind or tmpfs")])
        return Mount("tmpfs" if kind == "tmpfs" else "volume", target, source, read_only)

    def _short_mount(self, node: Node) -> Mount:
        source, _, rest = self.text(node).partition(":")
        if not rest:
            return Mount("volume", source)
        target, _, options = rest.partition(":")
        read_only = "ro" in options.split(",")
        if source.startswith((".", "/", "~")):
            return Mount("bind", target, str(self._on_machine(source)), read_only)
        return Mount("volume", target, source, read_only)

    def _on_machine(self, path: str) -> Path:
        return Path(os.path.normpath(self._folder / Path(path).expanduser()))

    def _memory(self, node: Node | None) -> Iterator[Mount]:
        for one in self.texts(node):
            yield Mount("tmpfs", one.partition(":")[0])

    def _given(self, node: Mapping) -> Iterator[Mount | Problem]:
        """Secrets and settings of a service, where the file says of them which file they are."""
        for key, below in GIVEN.items():
            listed, named = node.get(key), self._whole.get(key) if isinstance(self._whole, Mapping) else None
            for one in listed.items if isinstance(listed, Sequence) else ():
                source = self.text(one.get("source") if isinstance(one, Mapping) else one)
                target = self.text(one.get("target")) if isinstance(one, Mapping) else ""
                said = named.get(source) if isinstance(named, Mapping) else None
                file = self.text(said.get("file")) if isinstance(said, Mapping) else ""
                if not file:
                    yield Problem(one.where, f"the {key[:-1]} {source}", "one that is a file beside this one")
                    continue
                inside = target if target.startswith("/") else below + (target or source)
                yield Mount("bind", inside, str(self._on_machine(file)), read_only=True)

    def _test(self, node: Node | None) -> tuple[str, ...]:
        """The command of the health check; a text is for a shell."""
        if not isinstance(node, Mapping) or self.text(node.get("disable")).lower() == "true":
            return ()
        test = node.get("test")
        if isinstance(test, Scalar):
            return ("/bin/sh", "-c", self.text(test))
        kind, *words = self.words(test) or ("NONE",)
        if kind == "NONE" or not words:
            return ()
        return ("/bin/sh", "-c", words[0]) if kind == "CMD-SHELL" else tuple(words)

    def _depends(self, node: Node | None) -> Iterator[tuple[str, Condition]]:
        if isinstance(node, Mapping):
            for key, value in node.items:
                asked = self.text(value.get("condition")) if isinstance(value, Mapping) else ""
                if asked == ENDS:
                    continue
                condition = next((one for one in CONDITIONS if one == (asked or CONDITIONS[0])), None)
                if condition is None:
                    expected = "one of " + ", ".join((*CONDITIONS, ENDS))
                    raise ConfigError([Problem(value.where, f'the condition "{asked}"', expected)])
                yield key.text, condition
        else:
            yield from ((name, "service_started") for name in self.texts(node))

    def _jobs(self, node: Node | None) -> Iterator[str]:
        for key, value in node.items if isinstance(node, Mapping) else ():
            if isinstance(value, Mapping) and self.text(value.get("condition")) == ENDS:
                yield key.text

    def _aliases(self, name: str, node: Mapping) -> Iterator[str]:
        if own := self.text(node.get("container_name")):
            yield own
        if (host := self.text(node.get("hostname"))) and host != name:
            yield host
        networks = node.get("networks")
        for _, one in networks.items if isinstance(networks, Mapping) else ():
            if isinstance(one, Mapping):
                yield from self.texts(one.get("aliases"))

    def _links(self, node: Node | None) -> Iterator[tuple[str, str]]:
        for one in self.texts(node):
            service, _, alias = one.partition(":")
            yield alias or service, service

    # -- what cannot be played ------------------------------

    def _refusals(self, name: str, node: Mapping) -> Iterator[Problem]:
        for key, value in node.items:
            if key.text in REFUSED and not _off(value):
                if key.text == "network_mode" and self.text(value) in ("bridge", "default"):
                    continue
                yield Problem(key.where, f"{key.text} of {name}", REFUSED[key.text])
        for path in (("scale",), ("deploy", "replicas")):
            count: Node | None = node
            for step in path:
                count = count.get(step) if isinstance(count, Mapping) else None
            text = self.text(count)
            if count is not None and text not in ("", "1"):
                expected = "1: one container of a service is started"
                yield Problem(count.where, f"{text} replicas of {name}", expected)
        yield from (one for one in self._given(node) if isinstance(one, Problem))
        networks = node.get("networks")
        for network, joined in networks.items if isinstance(networks, Mapping) else ():
            for version in ("ipv4_address", "ipv6_address"):
                if isinstance(joined, Mapping) and (fixed := joined.get(version)) is not None:
                    found = f"{version} of {name} in the network {network.text}"
                    yield Problem(fixed.where, found, "its name: an address would lead past the proxies")


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind == "null"


def _off(node: Node) -> bool:
    """A key that is there and says nothing."""
    if isinstance(node, Scalar):
        return node.kind == "null" or node.text.lower() == "false"
    return not node.items


def _mistake(node: Node, expected: str) -> ConfigError:
    return ConfigError([Problem(node.where, describe(node), expected)])
