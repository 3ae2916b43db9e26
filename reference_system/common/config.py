"""What the runtime tells a service at its start, and the design it is to follow. Durations are in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec


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


class SheddingPattern(msgspec.Struct, frozen=True):
    concurrent: int = 128


class ServicePatterns(msgspec.Struct, frozen=True):
    """How one service behaves; the defaults are the fragile choices."""

    shedding: SheddingPattern | None = None
    eligibility: Literal["sync", "async"] = "sync"
    inline_wait: float = 1.0
    eligibility_cache: float | None = None
    retry_schedule: float = 90.0
    registry_fallback: bool = False
    idempotency_key: bool = False
    outbox: bool = False
    dedupe: bool = False
    version_fence: bool = False
    dispense_check: Literal["projection", "current_read", "reservation"] = "projection"
    if_match: bool = False
    saga: bool = False
    lookup_before_retry: bool = False
    database: Literal["shared", "owned"] = "owned"
    outbox_poll: float = 0.02
    max_rate: float | None = None


class Design(msgspec.Struct, frozen=True):
    """A resolved design: one entry per link (`caller -> callee`) and per service."""

    name: str = ""
    links: dict[str, LinkPatterns] = {}
    services: dict[str, ServicePatterns] = {}

    def link(self, name: str) -> LinkPatterns:
        return self.links.get(name) or LinkPatterns()

    def service(self, name: str) -> ServicePatterns:
        return self.services.get(name) or ServicePatterns()


class Listen(msgspec.Struct, frozen=True):
    host: str = "127.0.0.1"
    port: int = 0


class Address(msgspec.Struct, frozen=True):
    """Where a callee is reached: the address of the link's proxy."""

    protocol: Literal["http", "postgres", "nats", "mllp"]
    host: str
    port: int
    database: str = ""
    user: str = ""
    password: str = ""


class Config(msgspec.Struct, frozen=True):
    """One service's configuration file. `spans` and `log` are paths; None means not recorded and standard
    error."""

    service: str
    listen: Listen
    links: dict[str, Address] = {}
    design: Design = Design()
    clock_scale: float = 1.0
    seed: int = 0
    spans: str | None = None
    log: str | None = None


def read_config(path: str) -> Config:
    """Read a service's JSON configuration. Exits with a message that names the file and the place."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Config)
    except (OSError, msgspec.MsgspecError) as error:
        raise SystemExit(f"{path}: {error}; expected a service configuration as JSON") from error
