"""How PostgreSQL and NATS are set up in their containers: files that they read at their first start."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from runtimes.bus import authorization
from runtimes.certificates import Authority
from runtimes.keys import Keys, new_token
from runtimes.postgres import PROBE
from runtimes.private_places import hand_over, passage, write_closed

NATS_CONF = """\
listen: "0.0.0.0:4222"
server_name: codeblue
jetstream { store_dir: "/data/jetstream", max_memory_store: 64MB, max_file_store: 384MB }
"""
HBA = """\
local all all scram-sha-256
host all all all scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The password of the superuser, and what lets one into all else."""

    superuser: str = field(repr=False)
    keys: Keys


def new_secrets(databases: Iterable[str]) -> Secrets:
    passwords = {name: secrets.token_hex(12) for name in (PROBE, *databases)}
    return Secrets(secrets.token_hex(12), Keys(new_token(), passwords, new_token(), Authority()))


def statements(passwords: dict[str, str]) -> str:
    """Each database with a role of its name. That of the role that measures links stays empty."""
    lines: list[str] = []
    for name, password in passwords.items():
        lines.append(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}';")
        lines.append(f'CREATE DATABASE "{name}" OWNER "{name}" STRATEGY wal_log;')
        lines.append(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC;')
    return "\n".join([*lines, "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;", ""])


def write_store_files(folder: Path, known: Secrets, bus_token: str, *, postgres: int, bus: int) -> None:
    """Write what the stores' containers mount, readable for the users of each. Raises OSError."""
    passage(folder)
    files = {
        "databases.sql": (statements(dict(known.keys.passwords)), postgres),
        "pg_hba.conf": (HBA, postgres),
        "nats.conf": (NATS_CONF + authorization(bus_token), bus),
    }
    for name, (text, user) in files.items():
        write_closed(folder / name, text)
        hand_over(folder / name, user)
