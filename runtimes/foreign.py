"""How a service that knows nothing of the harness is started: its arguments and variables, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiment.obeyed import database_of, link_words
from experiment.services import filled
from experiment.topology import System
from runtimes.keys import Keys
from runtimes.runtime import Address, RunSettings
from runtimes.sql import Login


@dataclass(frozen=True, slots=True)
class Start:
    """What a service is started with under one design. Another design may be another start."""

    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """Where services stand: `doors` is the address of each link's proxy as its caller reaches it, `keys` what
    lets it in there, `python` what stands for `{python}`."""

    doors: Mapping[str, Address]
    keys: Keys
    python: str


def start_of(system: System, name: str, listen: Address, ground: Ground, run: RunSettings) -> Start:
    """The start of one service that is to listen at an address. A variable that a switch gives goes before
    one of the service."""
    service = system.services[name]
    values = {"host": listen.host, "port": str(listen.port), "python": ground.python, "service": name}
    values |= link_words(system, run.design, name)
    for link in system.links:
        if link.caller != name:
            continue
        door = ground.doors[link.name]
        values |= {link.callee: str(door), f"{link.callee}.host": door.host}
        values |= {f"{link.callee}.port": str(door.port)}
        if link.protocol == "postgres":
            owner = database_of(name, system, run.design)
            login = {"user": owner, "database": owner, "password": ground.keys.passwords[owner]}
            values |= {f"{link.callee}.{part}": value for part, value in login.items()}
        else:
            values[f"{link.callee}.token"] = ground.keys.of(system, link.callee)
    return Start(
        tuple(filled(text, values) for text in service.command),
        {key: filled(text, values) for key, text in service.environment.items()}
        | run.design.environment(system, name),
        tuple(filled(text, values) for text in service.ready_command),
    )


def logins(
    system: System, addresses: Mapping[str, Address], run: RunSettings, passwords: Mapping[str, str]
) -> dict[str, Login]:
    """The database of each service that has one, past its proxy: `addresses` is where the stores listen."""
    found: dict[str, Login] = {}
    for link in system.links:
        if link.protocol == "postgres":
            owner = database_of(link.caller, system, run.design)
            found[link.caller] = Login(addresses[link.callee], owner, passwords[owner], owner)
    return found
