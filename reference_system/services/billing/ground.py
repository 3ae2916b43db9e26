"""What claims and payments need of the service that they are part of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import msgspec

from reference_system.common.link import Link
from reference_system.common.logs import Log
from reference_system.common.patterns.outbox import Outbox
from reference_system.common.store import Store
from reference_system.common.switches import Publishing


class Switches(msgspec.Struct, frozen=True):
    """The switches that billing obeys, besides those of every service; durations in seconds."""

    idempotency_key: bool
    lookup_before_retry: bool
    saga: bool


class Ground(Protocol):
    """Changes with every reset, so that nothing of it is kept."""

    run: str
    log: Log
    store: Store
    outbox: Outbox
    publishing: Publishing
    switches: Switches

    @property
    def links(self) -> Mapping[str, Link]: ...

    async def of_run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None: ...
