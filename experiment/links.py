"""Who calls whom, in which protocol, and how the caller finds the proxy between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from experiment.decoding import Decoder
from experiment.services import Service
from experiment.yaml_source import Node, place

Protocol = Literal["http", "postgres", "nats", "mllp", "tcp"]
STANDARD_PORTS: Mapping[str, int] = {"store": 5432, "bus": 4222}  # where callers look for them
ANSWERED: frozenset[Protocol] = frozenset(("http", "mllp"))  # what services answer each other in


@dataclass(frozen=True, slots=True)
class Link:
    """A directed edge; `caller -> callee`, one proxy each."""

    caller: str
    """The service that calls."""
    callee: str
    """The service, store or bus that is called."""
    protocol: Protocol = "http"
    """What is spoken on the link: a store speaks postgres, a bus nats, a service http, mllp in blocks, or
    anything else over tcp, of which only connections are measured."""
    wired: Literal["placeholder", "name"] = "placeholder"
    """How the caller finds the link's proxy. `placeholder`: an argument or variable of the caller names it.
    `name`: the callee's own name and port lead there, so that nothing of the caller changes."""
    port: int = 0
    """The port on which the callee is called, where the link is wired by name and that is not the callee's
    `port`."""
    needed: bool = True
    """Off: the caller does without the callee. Where a system says `starts: needed`, the callee is not
    started for this link alone, and a run without it has no such link."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port}; expected one from 1 to 65535")

    @property
    def name(self) -> str:
        return f"{self.caller} -> {self.callee}"

    @property
    def played_by(self) -> str:
        """The service that plays faults which no proxy can: the callee; of a bus the consumer."""
        return self.caller if self.protocol == "nats" else self.callee


def check_link(decoder: Decoder, node: Node, index: int, link: Link, services: Mapping[str, Service]) -> None:
    """What a link says of its two ends; each mistake at its own place. `node` is the whole file."""
    callee, caller = services.get(link.callee), services.get(link.caller)
    if callee is not None:
        _check_protocol(decoder, node, index, link, callee)
    if link.wired == "placeholder":
        if link.port:
            found = f"a port of {link.name}, which is wired by placeholders"
            decoder.fail(place(node, "links", index, "port"), found, "wired: name beside it")
    elif caller is not None and not caller.foreign:
        what = "a module" if caller.module else f"a {caller.role}"
        expected = "placeholder: what the harness configures is told the address of the proxy"
        where = place(node, "links", index, "wired")
        decoder.fail(where, f"wired: name on {link.name}, whose caller is {what}", expected)


def _check_protocol(decoder: Decoder, node: Node, index: int, link: Link, callee: Service) -> None:
    """A store speaks PostgreSQL, a bus NATS, and no service either of them."""
    of_code = (*sorted(ANSWERED), "tcp")
    expected = {"store": ("postgres",), "bus": ("nats",)}.get(callee.role, of_code)
    if link.protocol not in expected:
        found = f"the protocol {link.protocol} on {link.name}, where {link.callee} is a {callee.role}"
        decoder.fail(place(node, "links", index), found, f"the protocol {' or '.join(expected)}")
