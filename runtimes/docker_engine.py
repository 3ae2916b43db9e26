"""The way to the Docker Engine; the only file that imports `docker`.

The endpoint is chosen as the `docker` command chooses it: DOCKER_HOST, then DOCKER_CONTEXT, then the current
context. Every call has a deadline. Failures are EngineError: EngineGone when nothing answers any more,
EngineMissing and EngineConflict for what the engine answers with 404 and 409.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
import requests
from docker.context import ContextAPI
from docker.tls import TLSConfig

from experiment.errors import StartError

CALL_DEADLINE_S = 20.0
CONNECTIONS = 20
TAKEN = ("address already in use", "port is already allocated", "Pool overlaps", "Address already in use")
LOCAL_SCHEMES = ("unix", "npipe", "http+unix")
REMOTE_SCHEMES = ("tcp", "http", "https", "ssh")
LOCAL_NAMES = ("localhost", "::1")


class EngineError(StartError):
    """The engine refused a call; the message says which and why."""


class EngineMissing(EngineError):
    """There is no such container, image, network or volume."""


class EngineConflict(EngineError):
    """The thing is not in a state in which the call makes sense, or somebody else is at it."""


class EngineTaken(EngineError):
    """A port or an address range was free when it was chosen and is not any more."""


class EngineGone(EngineError):
    """No engine answers at the endpoint."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine says of itself."""

    version: str
    system: str
    kernel: str
    rootless: bool


@dataclass(frozen=True, slots=True)
class _Endpoint:
    url: str
    tls: TLSConfig | None
    origin: str


def endpoint() -> str:
    """The address of the engine that would be used, for messages."""
    return _endpoint().url


def check_endpoint(url: str, origin: str) -> None:
    """Judge an address before anything is sent to it: an engine elsewhere would only be waited for. Raises
    EngineError with what to do."""
    parts = urlsplit(url)
    if parts.scheme in LOCAL_SCHEMES and parts.path.strip("/"):
        return
    if parts.scheme in REMOTE_SCHEMES and parts.hostname:
        if parts.scheme != "ssh" and (parts.hostname in LOCAL_NAMES or parts.hostname.startswith("127.")):
            return
        raise EngineError(
            f"the Docker engine at {url} (from {origin}) is on another machine: front doors are published on "
            "its own 127.0.0.1, out of reach from here; run the harness on that machine, or choose an "
            "engine of this one: unset DOCKER_HOST, docker context use default"
        )
    raise EngineError(
        f'found the Docker endpoint "{url}" (from {origin}), expected unix:///PATH/TO/SOCKET or '
        "tcp://127.0.0.1:PORT; unset DOCKER_HOST to use the default"
    )


def _endpoint() -> _Endpoint:
    if host := os.environ.get("DOCKER_HOST"):
        tls = None
        if os.environ.get("DOCKER_TLS_VERIFY"):
            folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
            certificate = (f"{folder}/cert.pem", f"{folder}/key.pem")
            tls = TLSConfig(client_cert=certificate, ca_cert=f"{folder}/ca.pem", verify=True)
        return _Endpoint(host, tls, "DOCKER_HOST")
    name = os.environ.get("DOCKER_CONTEXT") or None
    try:
        context = ContextAPI.get_context(name)
    except docker.errors.DockerException as error:
        raise EngineError(f"the Docker context cannot be read: {error}") from None
    if context is None:
        raise EngineError(f'found the Docker context "{name}", expected one that `docker context ls` lists')
    origin = "the default" if context.Name == "default" else f"the context {context.Name}"
    return _Endpoint(context.Host or "unix:///var/run/docker.sock", context.TLSConfig, origin)


START = "start Docker Engine (`dockerd`, or `systemctl start docker`), or name its socket in DOCKER_HOST"
HINTS = {
    "Connection refused": START,
    "No such file or directory": START,
    "Permission denied": "run as a user of the group docker, or as root",
    "reset by peer": "",
}


def _short(error: BaseException) -> str:
    """The innermost reason, such as `Connection refused`, and what to do about it."""
    text = str(error)
    for reason, hint in HINTS.items():
        if reason in text:
            return f"{reason}; {hint}" if hint else reason
    return text[-200:]


class Door:
    """A connection to one engine. `api` is the library's client; threads may call it at once."""

    def __init__(self, url: str = "", deadline_s: float = CALL_DEADLINE_S) -> None:
        """Connect to the chosen endpoint, or to this one. Raises EngineGone, EngineError."""
        chosen = _endpoint()
        if url and url != chosen.url:
            chosen = _Endpoint(url, None, "a journal")
        check_endpoint(chosen.url, chosen.origin)
        self.url, self._origin, self._tls = chosen.url, chosen.origin, chosen.tls
        self._deadline_s = deadline_s
        self.api: Any = self.open(deadline_s)

    def open(self, deadline_s: float | None) -> Any:
        """One more client, for calls that last long; None: without a deadline."""
        with self.calling(f"greet (endpoint from {self._origin})"):
            return docker.APIClient(
                self.url,
                version="auto",
                timeout=deadline_s,
                tls=self._tls or False,
                max_pool_size=CONNECTIONS,
            )

    def close(self) -> None:
        self.api.close()

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Turn the library's errors into ours. A refused or cut connection means that the engine is gone."""
        try:
            yield
        except docker.errors.APIError as error:
            reason = f"Docker could not {what}: {(error.explanation or str(error)).strip()}"
            if any(words in reason for words in TAKEN):
                raise EngineTaken(reason) from None
            kinds = {404: EngineMissing, 409: EngineConflict}
            raise kinds.get(error.status_code, EngineError)(reason) from None
        except requests.exceptions.ReadTimeout:
            raise EngineGone(f"Docker at {self.url} did not {what} within {self._deadline_s:g} s") from None
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            reason = f"no Docker engine answers at {self.url} ({what}): {_short(error)}"
            raise EngineGone(reason) from None

    def facts(self) -> EngineFacts:
        with self.calling("describe itself"):
            info = self.api.info()
        return EngineFacts(
            version=info["ServerVersion"],
            system=info["OperatingSystem"],
            kernel=info["KernelVersion"],
            rootless=any("rootless" in option for option in info.get("SecurityOptions") or ()),
        )
