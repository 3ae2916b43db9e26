"""`compose.yaml` and the files it mounts, generated from the system file: the same system, for people.

`python -m runtimes.containers.compose` writes them; a test holds what is committed to what is generated.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiment.design import Design, load_design
from experiment.topology import System, load_system
from runtimes.containers.layout import (
    INSIDE,
    PORTS,
    POSTGRES_SETTINGS,
    POSTGRES_USER,
    SERVICE_USER,
    TOXIPROXY,
    TOXIPROXY_PORT,
    front_doors,
)
from runtimes.containers.recipes import SYSTEM, name_of
from runtimes.containers.stores import HBA, NATS_CONF, statements
from runtimes.links.controls import proxy_name
from runtimes.service_files import database_owners

FIRST_PROXY_PORT = 21001
FIRST_DOOR = 8081
PASSWORD = "codeblue"  # nothing but the services reaches the database: its port is not published
HEADER = """\
# Generated from system.yaml by `python -m runtimes.containers.compose`; do not edit.
# `make images`, then `docker compose up` here. Every call runs through Toxiproxy; its API is 127.0.0.1:8474.
"""
CLOSED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


def compose_files(system: System, design: Design) -> dict[str, str]:
    """Path below reference_system/ to content, of everything that `docker compose up` needs."""
    ports = {link.name: FIRST_PROXY_PORT + n for n, link in enumerate(system.links)}
    files = {
        "compose.yaml": HEADER + as_yaml(_compose(system)),
        "compose/toxiproxy.json": _json(_proxies(system, ports)),
        "compose/databases.sql": statements(dict.fromkeys((*database_owners(system), "shared"), PASSWORD)),
        "compose/pg_hba.conf": HBA,
        "compose/nats.conf": NATS_CONF,
    }
    for name, spec in system.services.items():
        if spec.module:
            files[f"compose/{name}.json"] = _json(_configuration(system, design, name, ports))
    return files


def _proxies(system: System, ports: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "name": proxy_name(link),
            "listen": f"0.0.0.0:{ports[link.name]}",
            "upstream": f"{link.callee}:{PORTS[system.services[link.callee].role]}",
            "enabled": True,
        }
        for link in system.links
    ]


def _configuration(system: System, design: Design, service: str, ports: Mapping[str, int]) -> dict[str, Any]:
    """The service's file, with its own part of the design: it looks at no other."""
    links: dict[str, dict[str, Any]] = {}
    for link in system.links:
        if link.caller != service:
            continue
        links[link.callee] = {"protocol": link.protocol, "host": TOXIPROXY, "port": ports[link.name]}
        if link.protocol == "postgres":
            links[link.callee] |= {"database": service, "user": service, "password": PASSWORD}
    patterns = {name: asdict(one) for name, one in design.links.items() if name.startswith(f"{service} ->")}
    return {
        "service": service,
        "listen": {"host": "0.0.0.0", "port": PORTS["service"]},
        "links": links,
        "design": {
            "name": design.name,
            "links": patterns,
            "services": {service: asdict(design.services[service])},
        },
    }


def _compose(system: System) -> dict[str, Any]:
    services: dict[str, Any] = {
        TOXIPROXY: {
            "image": name_of("toxiproxy"),
            "command": [
                "-host",
                "0.0.0.0",
                "-port",
                str(TOXIPROXY_PORT),
                "-config",
                f"{INSIDE}/toxiproxy.json",
            ],
            "volumes": [f"./compose/toxiproxy.json:{INSIDE}/toxiproxy.json:ro"],
            "ports": [f"127.0.0.1:{TOXIPROXY_PORT}:{TOXIPROXY_PORT}"],
            **CLOSED,
        }
    }
    doors = front_doors(system)
    for name, spec in system.services.items():
        services[name] = (
            _store(name, spec.role) if spec.role in ("store", "bus") else _service(name, spec.module)
        )
        if name in doors:
            services[name]["ports"] = [f"127.0.0.1:{FIRST_DOOR + doors.index(name)}:{PORTS['service']}"]
    kept: dict[str, Any] = {
        f"{name}-files": {} for name, spec in system.services.items() if spec.role in ("store", "bus")
    }
    return {"services": services, "volumes": kept}


def _service(name: str, module: str) -> dict[str, Any]:
    return {
        "image": name_of("service"),
        "command": [module, "--config", f"{INSIDE}/{name}.json"],
        "volumes": [f"./compose/{name}.json:{INSIDE}/{name}.json:ro"],
        "tmpfs": ["/tmp"],
        **CLOSED,
    }


def _store(name: str, role: str) -> dict[str, Any]:
    if role == "bus":
        return {
            "image": name_of("bus"),
            "user": f"{SERVICE_USER}:{SERVICE_USER}",
            "command": ["--config", f"{INSIDE}/nats.conf"],
            "volumes": [f"./compose/nats.conf:{INSIDE}/nats.conf:ro", f"{name}-files:/data"],
            "tmpfs": ["/tmp"],
            **CLOSED,
        }
    settings = {**POSTGRES_SETTINGS, "hba_file": f"{INSIDE}/pg_hba.conf", "fsync": "on"}
    arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    return {
        "image": name_of("postgres"),
        "user": f"{POSTGRES_USER}:{POSTGRES_USER}",
        "command": ["postgres", *arguments],
        "environment": {
            "POSTGRES_USER": "codeblue",
            "POSTGRES_PASSWORD": PASSWORD,
            "PGDATA": "/var/lib/postgresql/data",
        },
        "volumes": [
            f"./compose/pg_hba.conf:{INSIDE}/pg_hba.conf:ro",
            "./compose/databases.sql:/docker-entrypoint-initdb.d/databases.sql:ro",
            f"{name}-files:/var/lib/postgresql",
        ],
        "tmpfs": ["/tmp", "/var/run/postgresql"],
        **CLOSED,
    }


def _json(plain: Any) -> str:
    return json.dumps(plain, indent=1) + "\n"


def as_yaml(plain: Any, indent: int = 0) -> str:
    """Mappings, lists and scalars as YAML: scalars and flat lists in JSON's notation, which YAML shares."""
    pad = "  " * indent
    lines: list[str] = []
    for key, value in plain.items():
        if isinstance(value, Mapping) and value:
            lines.append(f"{pad}{key}:\n{as_yaml(value, indent + 1).rstrip()}")
        elif isinstance(value, list) and len(json.dumps(value)) > 80:
            items = "\n".join(f"{pad}  - {json.dumps(item)}" for item in value)
            lines.append(f"{pad}{key}:\n{items}")
        else:
            lines.append(f"{pad}{key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def generated() -> dict[str, str]:
    """The files for the reference system under its resilient design."""
    system = load_system(SYSTEM / "system.yaml")
    return compose_files(system, load_design(SYSTEM / "designs" / "resilient.yaml", system))


def main(folder: Path = SYSTEM) -> int:
    """Write the files, and remove those of services that are no more."""
    files = generated()
    (folder / "compose").mkdir(exist_ok=True)
    for path in (folder / "compose").iterdir():
        if f"compose/{path.name}" not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
