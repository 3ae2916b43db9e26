"""What a Toxiproxy server shows of itself, and how a call to one can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiment.errors import CodeBlueError, ExitCode


@dataclass(frozen=True, slots=True)
class ToxicState:
    """A toxic as the server shows it. `toxicity` is the share of connections, 0 to 1."""

    name: str
    kind: str
    stream: str
    attributes: Mapping[str, int]
    toxicity: float


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy as the server shows it. `listen` and `upstream` are `host:port`."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicState, ...]

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return int(self.listen.rpartition(":")[2])

    def toxic(self, name: str) -> ToxicState | None:
        """A toxic by name."""
        return next((toxic for toxic in self.toxics if toxic.name == name), None)


class ToxiproxyError(CodeBlueError):
    """A call to a Toxiproxy server did not do what it was to do."""

    exit_code = ExitCode.INVALID


class ToxiproxyUnreachable(ToxiproxyError):
    """Nothing answers at the server's address."""


class ToxiproxyHung(ToxiproxyError):
    """The server took the call and did not answer before the deadline: it is to be replaced."""


class ToxiproxyRefused(ToxiproxyError):
    """The server answered with an error, or its state is not what was asked for."""

    def __init__(self, sent: str, answered: str, *, status: int) -> None:
        super().__init__(f"Toxiproxy was sent {sent}\n    and answered {answered}")
        self.sent = sent
        self.answered = answered
        self.status = status


def server_url(host: str, port: int) -> str:
    """The URL of a server; an IPv6 address gets its brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def proxy_state(shown: Mapping[str, Any]) -> ProxyState:
    """A proxy from the JSON of the API. Raises KeyError when a field is missing."""
    return ProxyState(
        name=shown["name"],
        listen=shown["listen"],
        upstream=shown["upstream"],
        enabled=shown["enabled"],
        toxics=tuple(
            ToxicState(
                name=toxic["name"],
                kind=toxic["type"],
                stream=toxic["stream"],
                attributes=toxic["attributes"],
                toxicity=toxic["toxicity"],
            )
            for toxic in shown["toxics"]
        ),
    )
