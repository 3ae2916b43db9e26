"""The switches that a service obeys, read from the design by their name in `system.yaml`, with their type.

A service says in a class which it reads. One that the design lacks, or that has another type, ends the
service at its start.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from reference_system.common.config import Design

Switches = TypeVar("Switches", bound=msgspec.Struct)


class NoSwitches(msgspec.Struct, frozen=True):
    """What a service reads that obeys no switch of its own."""


class Limit(msgspec.Struct, frozen=True):
    concurrent: int


class Admission(msgspec.Struct, frozen=True):
    """What every service's front obeys."""

    shedding: Limit | None
    max_rate: float | None


class Publishing(msgspec.Struct, frozen=True):
    """What every service that publishes events obeys."""

    outbox: bool
    outbox_poll: float


class Telling(msgspec.Struct, frozen=True):
    """What every service obeys that tells a collector of its spans."""

    trace_context: Literal["none", "http", "all"]
    trace_export: Literal["blocking", "bounded"]


class Disclosing(msgspec.Struct, frozen=True):
    """What every service that shows patient data obeys; durations in seconds."""

    authorisation: Literal["fail_open", "fail_closed"]
    decision_cache: float | None
    local_break_glass: bool
    audit: Literal["best_effort", "spool"]
    spool_limit: int | None
    write_roles: bool


class Keeping(msgspec.Struct, frozen=True):
    """What every service that keeps patient data obeys."""

    encryption: bool


class Speaking(msgspec.Struct, frozen=True):
    """What every service obeys that others call."""

    tls: Literal["none", "preferred", "required"]


def read_switches(kind: type[Switches], design: Design, service: str) -> Switches:
    """The switches of `kind` for this service. Raises ValueError naming the switch."""
    try:
        return msgspec.convert(design.services.get(service, {}), kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"the design {design.name!r} for {service}: {error}") from error
