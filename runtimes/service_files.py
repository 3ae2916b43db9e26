"""The configuration file of a service, and the logs and spans that it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiment.obeyed import database_of
from experiment.services import Endpoints
from experiment.switches import OWNED, with_effect
from experiment.topology import System
from runtimes.certificates import name_in_certificate
from runtimes.keys import Keys
from runtimes.private_places import closed_folder
from runtimes.runtime import Address, RunSettings


def reset_body(run: RunSettings) -> bytes:
    """What POST /admin/reset takes: all services get the same, and each keeps what concerns it."""
    return json.dumps(
        {
            "run": run.run_id,
            "seed": run.seed,
            "design": run.design.to_wire(),
            "clock_scale": run.clock_scale,
            **({"services": list(run.services)} if run.services else {}),
            **run.population.data,
        }
    ).encode()


def callees(
    system: System,
    service: str,
    doors: Mapping[str, Address],
    run: RunSettings,
    keys: Keys,
) -> dict[str, dict[str, Any]]:
    """How a service reaches each of its callees, and what lets it in; `doors` is the address of each link's
    proxy."""
    found: dict[str, dict[str, Any]] = {}
    for link in system.links:
        if link.caller != service:
            continue
        door = doors[link.name]
        found[link.callee] = {"protocol": link.protocol, "host": door.host, "port": door.port}
        if link.protocol == "postgres":
            owner = database_of(service, system, run.design)
            login = {"database": owner, "user": owner, "password": keys.passwords[owner]}
            found[link.callee] |= login
            continue
        if token := keys.of(system, link.callee):
            found[link.callee]["token"] = token
            if system.services[link.callee].module:
                found[link.callee]["key"] = keys.of_caller(service, link.callee)
        if keys.authority is not None and system.services[link.callee].module:
            found[link.callee]["name"] = name_in_certificate(link.callee)
    return found


def callers(system: System, service: str, keys: Keys) -> dict[str, str]:
    """The services that may ask this one, each with the key that proves it; none where no token is asked."""
    if not keys.of(system, service):
        return {}
    named = [link.caller for link in system.links if link.callee == service]
    return {name: keys.of_caller(name, service) for name in named if system.services[name].module}


def configuration(
    service: str,
    listen: Address,
    links: Mapping[str, Mapping[str, Any]],
    asked_by: Mapping[str, str],
    run: RunSettings,
    folder: ServiceFolder,
    keys: Keys,
) -> dict[str, Any]:
    """The whole configuration file of a service; `links` gives each callee's protocol and proxy address, the
    token of `listen` is what it asks users for, `asked_by` has the key of each service that may ask it."""
    return {
        "service": service,
        "listen": {"host": listen.host, "port": listen.port},
        "links": dict(links),
        "design": run.design.to_wire(),
        "clock_scale": run.clock_scale,
        "seed": run.seed,
        "spans": str(folder.spans(service)),
        "log": str(folder.log(service)),
        **({"token": listen.token} if listen.token else {}),
        "callers": dict(asked_by),
        "secret": keys.secret_of(service),
        **({"certificates": asdict(keys.authority.of(service))} if keys.authority is not None else {}),
    }


def restart_needed(before: Mapping[str, Any], now: Mapping[str, Any], control: Endpoints) -> bool:
    """Whether a service must be started again to be as its configuration says now: for another database
    always, for another design when it has no endpoint that takes it."""
    moved = before["links"] != now["links"]
    return moved or (control.reset is None and before["design"] != now["design"])


@dataclass(slots=True)
class ServiceFolder:
    """Where the services of an instance keep their files, and how long these were at the last reset."""

    path: Path
    _marks: dict[Path, int] = field(default_factory=dict)

    def make(self) -> None:
        for name in ("configs", "logs", "traces"):
            closed_folder(self.path / name)

    def config(self, service: str) -> Path:
        return self.path / "configs" / f"{service}.json"

    def log(self, service: str) -> Path:
        return self.path / "logs" / f"{service}.log"

    def spans(self, service: str) -> Path:
        return self.path / "traces" / f"{service}.spans.jsonl"

    def mark(self) -> None:
        """From here on the files belong to the next run."""
        self._marks = {path: path.stat().st_size for path in self._files()}

    def _files(self) -> list[Path]:
        return sorted(path for name in ("logs", "traces") for path in (self.path / name).glob("*"))

    def collect(self, run_folder: Path) -> None:
        """Copy what was written since the mark to `logs/` and `traces/` of the run. Raises OSError."""
        for path in self._files():
            target = run_folder / path.relative_to(self.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source, target.open("wb") as copy:
                source.seek(self._marks.get(path, 0))
                while block := source.read(1 << 20):
                    copy.write(block)


def stores(system: System) -> dict[str, str]:
    """Name and kind ("postgres", "nats") of the parts that a runtime starts by itself."""
    kinds = {"store": "postgres", "bus": "nats"}
    return {name: kinds[spec.role] for name, spec in system.services.items() if spec.role in kinds}


def databases(system: System) -> tuple[str, ...]:
    """The databases of a system, each with a role of its name: one for each service that keeps one, and those
    that services share under a design."""
    owners = {link.caller for link in system.links if link.protocol == "postgres"}
    switch = with_effect(system.switches, "database")
    shared = set(system.switches[switch].choices) - {OWNED} if switch is not None else set()
    return tuple(sorted(owners | shared))
