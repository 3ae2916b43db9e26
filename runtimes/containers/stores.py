"""How PostgreSQL and NATS are set up in their containers: files that they read at their first start."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtimes.postgres import PROBE

NATS_CONF = """\
listen: "0.0.0.0:4222"
server_name: codeblue
jetstream { store_dir: "/data/jetstream", max_memory_store: 64MB, max_file_store: 384MB }
"""
HBA = f"""\
local all all trust
host {PROBE} {PROBE} all trust
host all all all scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The passwords of one instance: the superuser's, and one for each database."""

    superuser: str
    passwords: dict[str, str]


def new_secrets(databases: Iterable[str]) -> Secrets:
    return Secrets(secrets.token_hex(12), {name: secrets.token_hex(12) for name in databases})


def statements(passwords: dict[str, str]) -> str:
    """Each database with a role of its name, and a role that owns nothing, to measure links with."""
    lines = [f"CREATE ROLE {PROBE} LOGIN;", f"CREATE DATABASE {PROBE};"]
    for name, password in passwords.items():
        lines.append(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}';")
        lines.append(f'CREATE DATABASE "{name}" OWNER "{name}" STRATEGY wal_log;')
        lines.append(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC;')
    return "\n".join([*lines, "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;", ""])


def write_store_files(folder: Path, known: Secrets) -> None:
    """Write what the stores' containers mount, readable inside. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"databases.sql": statements(known.passwords), "pg_hba.conf": HBA, "nats.conf": NATS_CONF}
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
