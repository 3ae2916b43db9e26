"""What a compose file says of one service: image or build folder, command, variables. No more is read."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from experiment.decoding import describe
from experiment.errors import ConfigError, Problem, nearest
from experiment.yaml_source import Mapping, Node, Scalar, Sequence, place, read_yaml

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_VARIABLE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)(?::?-([^}]*))?\})")


@dataclass(frozen=True, slots=True)
class ComposeService:
    """One service of a compose file. `build` is a folder, relative to the file."""

    image: str = ""
    build: str = ""
    dockerfile: str = "Dockerfile"
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def compose_service(system_file: Path, name: str) -> ComposeService:
    """A service of the compose file beside a system's file. Raises ConfigError for a file that is not there
    or does not hold the service, and for what is not understood of it."""
    folder = system_file.resolve().parent
    path = next((folder / one for one in NAMES if (folder / one).is_file()), folder / NAMES[0])
    node = read_yaml(path)
    services = node.get("services") if isinstance(node, Mapping) else None
    known = {key.text for key, _ in services.items} if isinstance(services, Mapping) else set()
    found = services.get(name) if isinstance(services, Mapping) else None
    if not isinstance(found, Mapping):
        what = f'no service "{name}"'
        raise ConfigError(
            [Problem(place(node, "services"), what, "a service of this file", nearest(name, known))]
        )
    return _service(found)


def _service(node: Mapping) -> ComposeService:
    build, dockerfile = node.get("build"), "Dockerfile"
    if isinstance(build, Mapping):
        dockerfile = _text(build.get("dockerfile")) or dockerfile
        build = build.get("context")
    return ComposeService(
        _text(node.get("image")),
        _text(build),
        dockerfile,
        _words(node.get("command")),
        _pairs(node.get("environment")),
    )


def _text(node: Node | None) -> str:
    """A scalar, with its variables replaced: from our environment, else by their defaults."""
    if node is None:
        return ""
    if not isinstance(node, Scalar):
        raise ConfigError([Problem(node.where, describe(node), "a text")])

    def value(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        return os.environ.get(name, found.group(3) or "") if name else "$"

    return _VARIABLE.sub(value, node.text)


def _words(node: Node | None) -> tuple[str, ...]:
    """A command: a list, or a text that a shell would cut."""
    if isinstance(node, Sequence):
        return tuple(_text(item) for item in node.items)
    return tuple(shlex.split(_text(node)))


def _pairs(node: Node | None) -> dict[str, str]:
    """Variables: a mapping, or a list of NAME=VALUE; a name alone takes our own value."""
    if isinstance(node, Mapping):
        return {key.text: _text(value) for key, value in node.items}
    if node is None:
        return {}
    if not isinstance(node, Sequence):
        raise ConfigError([Problem(node.where, describe(node), "a mapping or a list of NAME=VALUE")])
    pairs = (_text(item).partition("=") for item in node.items)
    return {name: value if equals else os.environ.get(name, "") for name, equals, value in pairs}
