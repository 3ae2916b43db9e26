"""`compose.yaml` and the files it mounts, for people: the containers of a run, from the same specifications.

Beside them it has what a run does by itself: the order of starting, and a container that seeds the services.
`python -m runtimes.containers.compose` writes all; a test holds what is committed to what is generated.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiment.design import Design, load_design
from experiment.obeyed import database_of
from experiment.switches import with_effect
from experiment.topology import System, load_system
from experiment.workload import load_workload
from measurement.properties import KINDS
from runtimes.containers import layout as plan
from runtimes.containers.layout import INSIDE, PORTS, TOXIPROXY, TOXIPROXY_PORT, Layout
from runtimes.containers.recipes import SYSTEM
from runtimes.containers.specs import MOST_PROCESSES, ContainerSpec
from runtimes.containers.stores import HBA, NATS_CONF, statements
from runtimes.links.controls import proxy_name
from runtimes.postgres import PROBE
from runtimes.runtime import Address, RunSettings
from runtimes.service_files import databases, reset_body

FIRST_PROXY_PORT = 21001
FIRST_DOOR = 8081
SEED = "seed"
PASSWORD = "codeblue"  # nothing but the services reaches the database: its port is not published
HEADER = """\
# Generated from system.yaml by `python -m runtimes.containers.compose`; do not edit.
# `make images`, then `docker compose up` here: once `seed` has ended, the services know the
# workload's population. Every call runs through Toxiproxy; its API is 127.0.0.1:8474.
# `docker compose down -v` removes all.
"""


def compose_files(system: System, design: Design) -> dict[str, str]:
    """Path below reference_system/ to content, of everything that `docker compose up` needs."""
    ports = {link.name: FIRST_PROXY_PORT + n for n, link in enumerate(system.links)}
    run = RunSettings("compose", 1, design, load_workload(system).population(None, 1))
    files = {
        "compose.yaml": HEADER + as_yaml(_compose(system)),
        "compose/toxiproxy.json": _json(_proxies(system, ports)),
        "compose/population.json": reset_body(run).decode() + "\n",
        "compose/stores/databases.sql": statements(dict.fromkeys((PROBE, *databases(system)), PASSWORD)),
        "compose/stores/pg_hba.conf": HBA,
        "compose/stores/nats.conf": NATS_CONF,
    }
    for name, spec in system.services.items():
        if spec.module:
            files[f"compose/configs/{name}.json"] = _json(_configuration(system, design, name, ports))
            files[f"compose/clocks/{name}"] = "+0\n"
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
            owner = database_of(service, system, design)
            links[link.callee] |= {"database": owner, "user": owner, "password": PASSWORD}
    patterns = {name: asdict(one) for name, one in design.links.items() if name.startswith(f"{service} ->")}
    return {
        "service": service,
        "listen": {"host": "0.0.0.0", "port": PORTS["service"]},
        "links": links,
        "design": {
            "name": design.name,
            "links": patterns,
            "services": {service: design.services[service]},
        },
        "secret": PASSWORD,
    }


def _compose(system: System) -> dict[str, Any]:
    modules = [name for name, spec in system.services.items() if spec.module]
    stores = [name for name, spec in system.services.items() if spec.role in ("store", "bus")]
    specs = _specs(system, modules)
    needs = {name: [TOXIPROXY, *stores] for name in modules} | {SEED: modules}
    return {
        "services": {name: _service(spec, needs.get(name, [])) for name, spec in specs.items()},
        "networks": {
            "default": {"driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": "false"}},
        },
        "volumes": {f"codeblue-{name}-files": {} for name in stores},
    }


def _specs(system: System, modules: Sequence[str]) -> dict[str, ContainerSpec]:
    """The containers of a run, which here find each other by name, and the one that seeds the services."""
    doors = plan.front_doors(system)
    layout = Layout(
        "",
        "",
        "",
        "codeblue",
        {TOXIPROXY: Address(TOXIPROXY, TOXIPROXY_PORT)}
        | {name: Address(name, PORTS[spec.role]) for name, spec in system.services.items()},
        {name: Address("127.0.0.1", FIRST_DOOR + number) for number, name in enumerate(doors)},
    )
    folder = Path("compose")
    toxiproxy = plan.toxiproxy_spec(layout, seed=1)
    specs = {
        TOXIPROXY: replace(
            toxiproxy,
            command=(*toxiproxy.command, "-config", f"{INSIDE}/toxiproxy.json"),
            binds=(f"{folder}/toxiproxy.json:{INSIDE}/toxiproxy.json:ro",),
            published={TOXIPROXY_PORT: TOXIPROXY_PORT},
        )
    }
    for name, service in system.services.items():
        if name in modules:
            spec = plan.service_spec(layout, name, service, folder)
            specs[name] = replace(spec, binds=tuple(one for one in spec.binds if one.endswith(":ro")))
        else:
            specs[name] = plan.store_spec(layout, name, service, folder, PASSWORD)
    specs[SEED] = replace(
        specs[modules[0]],
        command=("seed", f"{INSIDE}/population.json", *modules),
        environment={},
        binds=(
            "seed.py:/opt/app/seed.py:ro",
            f"{folder}/population.json:{INSIDE}/population.json:ro",
        ),
        published={},
    )
    return specs


def _service(spec: ContainerSpec, needs: Sequence[str]) -> dict[str, Any]:
    """A container as compose has it, with the limits and rights that it has in a run."""
    files = [bind if bind.startswith("codeblue-") else f"./{bind}" for bind in spec.binds]
    shown: dict[str, Any] = {
        "image": spec.image,
        "user": spec.user,
        "command": list(spec.command),
        "environment": dict(spec.environment),
        "volumes": files,
        "tmpfs": [f"{path}:{options}" for path, options in spec.tmpfs.items()],
        "ports": [f"127.0.0.1:{outside}:{inside}" for inside, outside in spec.published.items()],
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "pids_limit": MOST_PROCESSES,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "healthcheck": {"disable": True} if SEED in spec.command else {},
        "depends_on": {name: {"condition": "service_healthy"} for name in needs},
    }
    return {key: value for key, value in shown.items() if value}


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
    system = load_system(SYSTEM / "system.yaml", KINDS)
    design = load_design(SYSTEM / "designs" / "resilient.yaml", system)
    # A key that stands in a repository protects nothing, so services speak plain text here.
    needing = with_effect(system.switches, "certificates")
    without = {} if needing is None else {needing: system.switches[needing].default}
    services = {name: {**own, **without} for name, own in design.services.items()}
    # The files are the same wherever the project lies.
    return compose_files(system, replace(design, services=services, source="designs/resilient.yaml"))


def main(folder: Path = SYSTEM) -> int:
    """Write the files, and nothing else into the folder `compose`."""
    shutil.rmtree(folder / "compose", ignore_errors=True)
    for name, text in generated().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
