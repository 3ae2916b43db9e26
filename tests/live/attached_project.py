"""A small compose project that somebody else started: a callee, and a caller that keeps one connection."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiment.topology import System, load_system
from measurement.properties import KINDS
from runtimes.attach.lodgings import PROJECT, SERVICE
from runtimes.containers.engine import Engine
from runtimes.containers.recipes import name_of
from runtimes.containers.specs import ContainerSpec
from tests.runtimes.attach.pair import CALLEE, CALLER, SYSTEM, until

PORT = 8000


@dataclass(frozen=True, slots=True)
class Project:
    """Its name, which is that of its network too, and its engine."""

    name: str
    engine: Engine

    def container(self, service: str) -> str:
        return f"{self.name}-{service}-1"

    def answers(self) -> list[float]:
        """Seconds that each answer to the caller took so far."""
        lines = self.engine.logs(self.container("front")).decode().split()
        return [float(line) for line in lines if "." in line]

    def system(self, folder: Path, more: str = "") -> System:
        """Its file, read; `more` are further lines below `attach`."""
        text = SYSTEM.format(front=1, back=2, more=f"  project: {self.name}\n{more}")
        for port in (1, 2):
            text = text.replace(f'{{at: "127.0.0.1:{port}"}}', f"{{port: {PORT}}}")
        (folder / "system.yaml").write_text(text)
        return load_system(folder / "system.yaml", KINDS)


@contextmanager
def running_project() -> Iterator[Project]:
    """The project until the end of the block, with the labels that `docker compose up` gives."""
    name, engine = f"theirs-{secrets.token_hex(3)}", Engine()
    project = Project(name, engine)
    labels = {PROJECT: name}
    engine.create_network(name, labels)
    codes = {
        "back": (CALLEE, ""),
        "front": (CALLER.replace('"127.0.0.1", int', "sys.argv[2], int"), str(PORT)),
    }
    try:
        for service, (code, argument) in codes.items():
            heard = code.replace('create_server(("127.0.0.1", 0))', f'create_server(("0.0.0.0", {PORT}))')
            words = ("python3", "-c", heard, argument, project.container("back"))
            engine.create(
                ContainerSpec(
                    name=project.container(service),
                    hostname=service,
                    image=name_of("service"),
                    network=name,
                    labels={**labels, SERVICE: service},
                    entrypoint=words,
                )
            )
            engine.start(project.container(service))
        until(lambda: bool(project.answers()))
        yield project
    finally:
        for service in codes:
            engine.remove(project.container(service))
        engine.remove_network(name)
        engine.close()
