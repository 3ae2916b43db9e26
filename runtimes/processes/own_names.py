"""Processes that call others by name: each caller sees an /etc/hosts of its own, in a mount namespace of its
own, in which the names of its callees lead to the proxies of its links. Nothing of the caller changes."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from experiment.children import ChildTimeout, run_child
from experiment.errors import StartError
from experiment.topology import System
from runtimes.runtime import Address

HOSTS = Path("/etc/hosts")
BLOCKS = 76  # 127.77.1.0 to 127.77.76.0; the harness's own probes come from 127.77.77.77
TRIED_WITHIN_S = 5.0
# The second is for users without rights: a user namespace that leaves them who they are.
WAYS = (
    ("unshare", "--mount", "--propagation", "private"),
    ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "private"),
)
COVER = ("--", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')


@cache
def way() -> tuple[str, ...]:
    """The beginning of a command that may cover /etc/hosts for itself. Raises StartError where the kernel
    allows this user none."""
    said = ""
    for one in WAYS:
        try:
            done = run_child((*one, *COVER, str(HOSTS), "true"), within_s=TRIED_WITHIN_S)
        except (OSError, ChildTimeout) as error:
            said = str(error)
            continue
        if done.code == 0:
            return one
        said = done.err.strip()
    raise StartError(
        f"links that are wired by name need a mount namespace for each caller, not allowed here ({said}); "
        "run as root, wire them by placeholders, or use --runtime containers"
    )


def doors_of(system: System) -> dict[str, Address]:
    """Where the proxies of links listen that are wired by name: an address of loopback for each, and the port
    at which the callee is called. Raises StartError when none is free."""
    named = [link for link in system.links if link.wired == "name"]
    if len(named) > 254:
        raise StartError(f"{len(named)} links are wired by name, expected 254 at most")
    for block in range(BLOCKS if named else 1):
        base = f"127.77.{1 + (os.getpid() + block) % BLOCKS}"
        doors = {link.name: Address(f"{base}.{n}", system.called_at(link)) for n, link in enumerate(named, 1)}
        if all(map(_free, doors.values())):
            return doors
    where = ", ".join(str(system.called_at(link)) for link in named)
    raise StartError(f"the ports {where} are taken at every address from 127.77.1.1 to 127.77.{BLOCKS}.254")


def _free(address: Address) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address.host, address.port))
        except OSError:
            return False
    return True


def covered(system: System, caller: str, doors: Mapping[str, Address], folder: Path) -> tuple[str, ...]:
    """What a caller's command begins with, empty where it calls nobody by name. Its hosts are written to the
    folder. Raises StartError."""
    links = [link for link in system.links if link.caller == caller and link.wired == "name"]
    if not links:
        return ()
    own = "".join(f"{doors[link.name].host}\t{' '.join(system.names_called(link))}\n" for link in links)
    path = folder / f"{caller}.hosts"
    path.write_text(f"{own}{HOSTS.read_text()}")
    path.chmod(0o644)  # the service may run as another user
    return (*way(), *COVER, str(path))
