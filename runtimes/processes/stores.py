"""The stores and the bus of an instance, found and configured, not yet started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiment.topology import System
from runtimes import bus, postgres
from runtimes.leftovers import Journal
from runtimes.processes.parts import Bus, Database, Part
from runtimes.runtime import Address
from runtimes.service_files import databases, stores


@dataclass(slots=True)
class Stores:
    """`passwords` are those of the databases' roles, `versions` those of the programs."""

    parts: dict[str, Part] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    remark: str = ""  # what a user should know of them


def make_stores(system: System, var: Path, addresses: Mapping[str, Address], journal: Journal) -> Stores:
    """Programs, templates and passwords for all of them; a bus asks for the token of its address. Raises
    StartError, OSError."""
    made = Stores()
    logs = journal.folder / "logs"
    for name, kind in stores(system).items():
        log = logs / f"{name}.log"
        if kind == "nats":
            made.parts[name] = Bus(name, addresses[name], journal.folder / "nats", log, journal)
            made.versions["nats"] = bus.version()
        else:
            made.parts[name] = _database(name, system, var, addresses[name], log, journal, made)
    return made


def _database(
    name: str, system: System, var: Path, address: Address, log: Path, journal: Journal, made: Stores
) -> Database:
    storage = postgres.storage(var)
    if storage != var:
        journal.write("folder", path=str(storage / "instances" / journal.instance))
    cache = storage / "cache"
    programs = postgres.find_programs(cache, journal)
    template = postgres.template(programs, cache, databases(system), journal)
    home = postgres.data_home(storage, journal.instance, programs)
    made.passwords |= template.passwords
    made.versions["postgresql"] = programs.version
    made.remark = template.remark
    return Database(name, address, programs, template, home / "data", log, journal)
