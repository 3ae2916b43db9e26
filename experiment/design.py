"""A design: which resilience patterns the system uses, per link and service. One file, also read by the twin.

The dataclasses below are the schema of a design file. Every default is the fragile choice: a pattern that a
design does not name is off.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from experiment.decoding import FAILED, Decoder, describe, hints_of
from experiment.errors import ConfigError, Problem, nearest
from experiment.names import require_name
from experiment.topology import System
from experiment.units import Duration, Rate, Share
from experiment.yaml_source import Mapping, Node, Scalar, place, read_yaml


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after a failure.

    `attempts` counts all of them, the first included; `budget` caps retries as a share of requests (none:
    unlimited).
    """

    attempts: int = 3
    backoff: Duration = 0.0
    cap: Duration = 1.0
    jitter: Literal["none", "full", "equal", "decorrelated"] = "none"
    budget: Share | None = None
    only_idempotent: bool = False

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts {self.attempts}; expected 1 or more, the first one included")


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` consecutive failures, lets one probe through after `open_for`."""

    failures: int = 5
    open_for: Duration = 2.0

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ValueError(f"failures {self.failures}; expected 1 or more")


@dataclass(frozen=True, slots=True)
class Bulkhead:
    """At most `concurrent` calls at once and `queue` waiting; more are refused at once."""

    concurrent: int = 16
    queue: int = 32

    def __post_init__(self) -> None:
        if self.concurrent < 1:
            raise ValueError(f"concurrent {self.concurrent}; expected 1 or more")
        if self.queue < 0:
            raise ValueError(f"queue {self.queue}; expected 0 or more")


@dataclass(frozen=True, slots=True)
class LinkPatterns:
    """How the caller of one link protects itself (switches T1 to T4)."""

    timeout: Duration | None = None
    propagate_deadline: bool = False
    retry: Retry | None = None
    breaker: Breaker | None = None
    bulkhead: Bulkhead | None = None


@dataclass(frozen=True, slots=True)
class Shedding:
    """More than `concurrent` requests in a service are answered 503 with Retry-After at once (T5)."""

    concurrent: int = 128

    def __post_init__(self) -> None:
        if self.concurrent < 1:
            raise ValueError(f"concurrent {self.concurrent}; expected 1 or more")


@dataclass(frozen=True, slots=True)
class ServicePatterns:
    """How one service behaves. Keys that do not concern a service are ignored by it."""

    shedding: Shedding | None = None
    eligibility: Literal["sync", "async"] = "sync"  # T6
    inline_wait: Duration = 1.0  # async: how long check-in waits for an answer before it says "pending"
    eligibility_cache: Duration | None = None  # T7: age up to which a labelled cached answer may be given
    retry_schedule: Duration = 90.0  # spacing of repeated eligibility inquiries (scaled by clock_scale)
    registry_fallback: bool = False  # labelled cached demographics, temporary number when unknown
    idempotency_key: bool = False  # T8
    outbox: bool = False  # T9: else write, then publish
    dedupe: bool = False  # T10
    version_fence: bool = False  # T11: else the last arrival wins
    dispense_check: Literal["projection", "current_read", "reservation"] = "projection"  # T12
    if_match: bool = False  # T13
    saga: bool = False  # T14: durable saga that completes or compensates after a crash
    lookup_before_retry: bool = False  # T15
    database: Literal["shared", "owned"] = "owned"  # T16
    outbox_poll: Duration = 0.02
    max_rate: Rate | None = None  # shed above this rate


@dataclass(frozen=True, slots=True)
class Design:
    """A resolved design: `links` holds every link of the system, `services` every service."""

    name: str
    links: dict[str, LinkPatterns]
    services: dict[str, ServicePatterns]
    title: str = ""
    source: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON data for the services: durations in seconds, shares in 0..1."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DesignFile:
    """The file as written: defaults for every link and service, then single ones."""

    name: str
    title: str = ""
    extends: str | None = None
    link_defaults: Any = None
    service_defaults: Any = None
    links: Any = None
    services: Any = None


def load_design(path: Path, system: System) -> Design:
    """Read a design, merge what it `extends` (a file beside it or one of the system's own designs), fill in
    defaults. Raises ConfigError."""
    decoder = Decoder()
    chain = _chain(decoder, path, system)
    link_default, service_default = LinkPatterns(), ServicePatterns()
    links: dict[str, LinkPatterns] = {}
    services: dict[str, ServicePatterns] = {}
    for node in chain:
        for_links = _named(decoder, node.get("link_defaults"), LinkPatterns)
        for_services = _named(decoder, node.get("service_defaults"), ServicePatterns)
        link_default = replace(link_default, **for_links)
        service_default = replace(service_default, **for_services)
        # What a design says of all links holds for those that its base has named one by one, too.
        links = {name: replace(one, **for_links) for name, one in links.items()}
        services = {name: replace(one, **for_services) for name, one in services.items()}
        _section(decoder, node.get("links"), links, system.link_names, link_default, "link")
        _section(decoder, node.get("services"), services, tuple(system.services), service_default, "service")
    last = chain[-1]
    name, title = _text(decoder, last, "name"), _text(decoder, last, "title", "")
    if name:
        _check_name(decoder, name, last)
    decoder.finish()
    return Design(
        name,
        {link: links.get(link, link_default) for link in system.link_names},
        {service: services.get(service, service_default) for service in system.services},
        title,
        str(path),
    )


def _check_name(decoder: Decoder, name: str, node: Mapping) -> None:
    try:
        require_name(name)
    except ValueError as error:
        decoder.refuse(place(node, "name"), error)


def _chain(decoder: Decoder, path: Path, system: System) -> list[Mapping]:
    """The file and all it extends, the oldest first; as far as it can be followed."""
    chain: list[Mapping] = []
    seen: list[Path] = []
    current: Path | None = path
    while current is not None:
        seen.append(current)
        node = read_yaml(current)
        if not isinstance(node, Mapping):
            expected = "a design with the keys name, links, services"
            raise ConfigError([Problem(node.where, describe(node), expected)])
        _refuse_unknown(decoder, node)
        chain.insert(0, node)
        base = node.get("extends")
        current = None
        if base is not None:
            text = base.text if isinstance(base, Scalar) else ""
            homes = [seen[-1].parent, *_design_homes(seen[-1], system)]
            near = sorted({file.stem for home in homes for file in home.glob("*.yaml")})
            found = next((home / f"{text}.yaml" for home in homes if (home / f"{text}.yaml").is_file()), None)
            if found is None:
                unknown = f'the unknown design "{text}"' if text else describe(base)
                decoder.fail(base.where, unknown, "the name of a design", nearest(text, near))
            elif found.resolve() in (file.resolve() for file in seen):
                circle = f'"{text}", which this design is a part of'
                decoder.fail(base.where, circle, "a chain that ends")
            else:
                current = found
    return chain


def _design_homes(path: Path, system: System) -> list[Path]:
    """Where a base design may live: the designs of a project that the file lies in, then the system's own."""
    own = [Path(system.source).parent / "designs"] if system.source else []
    return [*(parent / "reference_system" / "designs" for parent in path.resolve().parents), *own]


def _refuse_unknown(decoder: Decoder, node: Mapping) -> None:
    names = set(hints_of(DesignFile))
    for key, _ in node.items:
        if key.text not in names:
            found = f'the unknown key "{key.text}"'
            decoder.fail(key.where, found, "a key of a design", nearest(key.text, names))


def _text(decoder: Decoder, node: Mapping, key: str, default: str | None = None) -> str:
    child = node.get(key)
    if child is None:
        if default is None:
            decoder.fail(node.where, f'no key "{key}"', f"{key}: text")
        return default or ""
    value = decoder.value(child, str)
    return "" if value is FAILED else str(value)


def _section(
    decoder: Decoder,
    node: Node | None,
    into: dict[str, Any],
    known: tuple[str, ...],
    default: Any,
    what: str,
) -> None:
    if node is None:
        return
    if not isinstance(node, Mapping):
        decoder.fail(node.where, describe(node), f"a mapping from {what} to its patterns")
        return
    for key, child in node.items:
        if key.text not in known:
            hint = nearest(key.text, known)
            decoder.fail(key.where, f'the unknown {what} "{key.text}"', f"a {what} of the system", hint)
            continue
        base = into.get(key.text, default)
        into[key.text] = replace(base, **_named(decoder, child, type(base)))  # nested patterns whole


def _named(decoder: Decoder, node: Node | None, patterns: type) -> dict[str, Any]:
    """The keys that the file names, with their values; none when one of them is wrong."""
    if node is None:
        return {}
    before = len(decoder.problems)
    decoded = decoder.record(node, patterns)
    if len(decoder.problems) > before or not isinstance(node, Mapping):
        return {}
    return {key.text: getattr(decoded, key.text) for key, _ in node.items}


def differences(left: Design, right: Design) -> list[str]:
    """The switches in which two designs differ, one sentence each; for reports and comparisons."""
    lines: list[str] = []
    for section in ("links", "services"):
        one, other = getattr(left, section), getattr(right, section)
        for name in sorted(set(one) & set(other)):
            for key in hints_of(cast(type, type(one[name]))):
                a, b = getattr(one[name], key), getattr(other[name], key)
                if a != b:
                    lines.append(f"{name}: {key} {a!r} -> {b!r}")
    return lines
