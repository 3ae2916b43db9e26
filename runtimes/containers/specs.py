"""What a container is to be, and what it is: plain values, free of any library."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface

MOST_PROCESSES = 512  # in every container


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container, before it exists. A `confined` one has a read-only root file system and no rights but
    those that are named; an image that somebody brought gets what its engine gives by default.

    `network` is a network's name or `container:NAME` (that container's network); `address` its fixed
    address there; `published` maps a port inside to one on 127.0.0.1; `binds` are `SOURCE:TARGET[:ro]`;
    `tmpfs` maps a path to its mount options; `entrypoint` and `working_dir` are the image's unless given; 0
    as `memory_bytes` means no limit.
    """

    name: str
    hostname: str
    image: str
    network: str
    labels: Mapping[str, str]
    address: str | None = None
    command: tuple[str, ...] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[str, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[int, int] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    memory_bytes: int = 0
    confined: bool = True
    entrypoint: tuple[str, ...] | None = None
    working_dir: str = ""
    joins: tuple[tuple[str, str], ...] = ()
    """More networks, each with the fixed address there."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """`status` is the engine's: created, running, paused, restarting, exited, dead; or absent."""

    status: str
    pid: int = 0
    started_at: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    networks: tuple[str, ...] = ()
    memory_bytes: int = 0
    cpu_quota_us: int = 0

    def __str__(self) -> str:
        by = self.exit_code - 128  # how an engine says which signal ended it
        killer = f" ({signal.Signals(by).name})" if by in set(signal.Signals) else ""
        ended = f" with exit status {self.exit_code}{killer}" if self.status == "exited" else ""
        killed = ", out of memory" if self.oom_killed else ""
        return f"{self.status}{ended}{killed}"


@dataclass(frozen=True, slots=True)
class StartedWith:
    """What a container was started with; `image` is the digest of its image."""

    environment: Mapping[str, str]
    command: tuple[str, ...]
    image: str


@dataclass(frozen=True, slots=True)
class Lodging:
    """A container as somebody started it: the number of its first process, 0 while it does not run, and its
    IPv4 address in each of its networks, by name."""

    name: str
    pid: int
    addresses: Mapping[str, IPv4Interface]


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended inside a container: exit status and what it wrote."""

    code: int
    output: str
