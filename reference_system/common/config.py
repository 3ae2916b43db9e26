"""What the runtime tells a service at its start, and the design it is to follow. Durations are in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

PERSONS = ("", "client", "harness")  # callers that are not services


class RetryPattern(msgspec.Struct, frozen=True):
    attempts: int = 3
    backoff: float = 0.0
    cap: float = 1.0
    jitter: Literal["none", "full", "equal", "decorrelated"] = "none"
    budget: float | None = None
    only_idempotent: bool = False


class BreakerPattern(msgspec.Struct, frozen=True):
    failures: int = 5
    open_for: float = 2.0


class BulkheadPattern(msgspec.Struct, frozen=True):
    concurrent: int = 16
    queue: int = 32


class LinkPatterns(msgspec.Struct, frozen=True):
    """How the caller of one link protects itself; the defaults are no protection."""

    timeout: float | None = None
    propagate_deadline: bool = False
    retry: RetryPattern | None = None
    breaker: BreakerPattern | None = None
    bulkhead: BulkheadPattern | None = None


class Design(msgspec.Struct, frozen=True):
    """A resolved design: one entry per link (`caller -> callee`) and per service. What the switches of a
    service are called, and which type each has, the service says itself: see `read_switches`."""

    name: str = ""
    links: dict[str, LinkPatterns] = {}
    services: dict[str, dict[str, Any]] = {}

    def link(self, name: str) -> LinkPatterns:
        return self.links.get(name) or LinkPatterns()


class Listen(msgspec.Struct, frozen=True):
    host: str = "127.0.0.1"
    port: int = 0


class Address(msgspec.Struct, frozen=True):
    """Where a callee is reached: the address of the link's proxy, and what lets one in there: a login of a
    store, the token that a service or the bus asks for."""

    protocol: Literal["http", "postgres", "nats", "mllp"]
    host: str
    port: int
    database: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    name: str = ""  # of the callee in its certificate
    key: str = ""  # what proves to the callee which service asks

    @property
    def shown(self) -> str:
        """What a request of this service shows."""
        return self.key or self.token


class Certificates(msgspec.Struct, frozen=True):
    """As PEM: the authority of the instance, and this service's own certificates with their keys: the good
    one, and one that has expired."""

    authority: str
    own: str
    expired: str


class Config(msgspec.Struct, frozen=True):
    """One service's configuration file. `spans` and `log` are paths; None means not recorded and standard
    error. `token` is what users must show; empty: nobody need show any. `callers` has the key that each
    service which may ask shows instead. `secret` is known to this service alone."""

    service: str
    listen: Listen
    links: dict[str, Address] = {}
    design: Design = Design()
    clock_scale: float = 1.0
    seed: int = 0
    spans: str | None = None
    log: str | None = None
    token: str = ""
    secret: str = ""
    certificates: Certificates | None = None
    callers: dict[str, str] = {}

    def is_service(self, caller: str) -> bool:
        """Whether a request that names this caller is another service's. Where callers have keys, the front
        has seen the caller's own; without any, a name is believed."""
        return caller in self.callers if self.callers else caller not in PERSONS


def read_config(path: str) -> Config:
    """Read a service's JSON configuration. Exits with a message that names the file and the place."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Config)
    except (OSError, msgspec.MsgspecError) as error:
        raise SystemExit(f"{path}: {error}; expected a service configuration as JSON") from error
