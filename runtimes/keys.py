"""What lets one into the parts of an instance: passwords of databases, and one token for everything else.

Both are made anew for each instance or template, and stand nowhere but in files and environments that only
their user can read: in no log, no report, no run folder and on no command line.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from experiment.services import PLACEHOLDER
from experiment.topology import Link, System
from runtimes.certificates import Authority
from runtimes.postgres import PROBE


@dataclass(frozen=True, slots=True)
class Keys:
    """`passwords` are those of the databases' owners and of the role that measures links; `root` is what the
    secrets of the modules are made of, `authority` signs their certificates."""

    token: str = field(default="", repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    root: str = field(default="", repr=False)
    authority: Authority | None = field(default=None, repr=False, compare=False)

    def over(self, system: System, link: Link) -> str:
        """What lets the harness in at the callee of a link, to measure it."""
        return self.passwords[PROBE] if link.protocol == "postgres" else self.of(system, link.callee)

    def secret_of(self, service: str) -> str:
        """What one service alone knows, to encrypt with; the same at every start within an instance."""
        return hmac.new(self.root.encode(), service.encode(), hashlib.sha256).hexdigest()

    def of_caller(self, caller: str, callee: str) -> str:
        """What proves to one service that another asks, and nobody who has only the token."""
        return hmac.new(self.root.encode(), f"{caller} -> {callee}".encode(), hashlib.sha256).hexdigest()

    def of(self, system: System, node: str) -> str:
        """The token that a service or bus asks for; empty where it can ask for none."""
        return self.token if asks_for_token(system, node) else ""


def new_token() -> str:
    """128 random bits as text."""
    return secrets.token_hex(16)


def asks_for_token(system: System, node: str) -> bool:
    """Whether a node can ask its callers for the token: a module or a bus, if every caller shows one.

    A service that knows nothing of the harness shows one only where its command or variables name it.
    """
    spec = system.services[node]
    if not (spec.module or spec.role == "bus"):
        return False
    callers = [link.caller for link in system.links if link.callee == node]
    return all(_shows(system, caller, node) for caller in callers)


def _shows(system: System, caller: str, callee: str) -> bool:
    spec = system.services[caller]
    named = (name for _, text in spec.templates() for name in PLACEHOLDER.findall(text))
    return bool(spec.module) or f"{callee}.token" in named
