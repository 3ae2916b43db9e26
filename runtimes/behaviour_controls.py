"""Exact faults inside a callee: the behaviours that every service takes at its own address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from experiment.controls import (
    Behaviour,
    BehaviourProbe,
    DrawnDelays,
    ErrorShare,
    LostResponse,
    Redelivery,
    SlowProcessing,
    capability,
)
from experiment.errors import CodeBlueError, ExitCode
from experiment.topology import Link
from runtimes.http_calls import Answer, CallError, call
from runtimes.leftovers import Journal
from runtimes.runtime import Point

KINDS: dict[str, type[Behaviour]] = {
    capability(kind): kind for kind in (LostResponse, SlowProcessing, DrawnDelays, ErrorShare, Redelivery)
}
BEHAVIOURS = frozenset(KINDS)
DEADLINE_S = 2.0


class BehaviourError(CodeBlueError):
    """A service did not take a behaviour as asked."""

    exit_code = ExitCode.INVALID


class ServiceBehaviour:
    """The behaviours of one link's callee towards its caller; of a link to a bus, those of its consumer."""

    def __init__(self, link: Link, player: Point, journal: Journal) -> None:
        """`player` is the service that plays them, and has the endpoint `behaviour`."""
        self._link = link
        self._player = player
        self._journal = journal
        self._active: dict[str, Behaviour] = {}

    @property
    def name(self) -> str:
        return self._link.name

    @property
    def capabilities(self) -> frozenset[str]:
        return BEHAVIOURS

    def behave(self, fault: str, behaviour: Behaviour) -> None:
        """Switch the behaviour on for this link's caller. Raises BehaviourError."""
        if self._active.get(fault) == behaviour:
            return
        kind = type(behaviour)
        self._journal.write("inject", fault=fault, what=capability(kind), target=self.name)
        body = json.dumps({"caller": self._link.caller, **asdict(behaviour)}).encode()
        self._active[fault] = behaviour
        self._admin("PUT", kind, body)

    def cease(self, fault: str) -> None:
        """Switch it off; nothing happens when it is not on. Raises BehaviourError."""
        behaviour = self._active.get(fault)
        if behaviour is None:
            return
        self._admin("DELETE", type(behaviour), None)
        self._active.pop(fault)
        self._journal.write("heal", fault=fault)

    def probe(self, kind: type[Behaviour]) -> BehaviourProbe:
        """What the service says of itself. Raises BehaviourError when it does not answer."""
        state = self._admin("GET", kind, None).json()
        return BehaviourProbe(self._behaviour(kind, state), int(state.get("applied", 0)), self._received())

    def _received(self) -> int | None:
        """How many requests of the caller the callee has counted; None when it has no counters, or when the
        caller itself consumes events."""
        if self._link.played_by == self._link.caller or self._player.control.metrics is None:
            return None
        metrics = self._call("GET", self._player.control.metrics, None).json()
        return int(metrics.get("received", {}).get(self._link.caller, 0))

    def forget(self) -> None:
        """It was switched off from outside: no fault is active any more."""
        for fault in tuple(self._active):
            self._active.pop(fault)
            self._journal.write("heal", fault=fault)

    def _behaviour(self, kind: type[Behaviour], state: Mapping[str, Any]) -> Behaviour | None:
        """The behaviour in a service's answer about it; None when it is off."""
        if not is_active(state):
            return None
        try:
            return msgspec.convert(state, kind)
        except msgspec.ValidationError as error:
            said = f"{self._link.played_by} does not say which {capability(kind)} is on: found {dict(state)}"
            raise BehaviourError(f"{said} ({error})") from None

    def _admin(self, method: str, kind: type[Behaviour], body: bytes | None) -> Answer:
        return self._call(method, f"{self._player.control.behaviour}/{capability(kind)}", body)

    def _call(self, method: str, path: str, body: bytes | None) -> Answer:
        try:
            answer = call(self._player.address, method, path, body, deadline_s=DEADLINE_S)
        except CallError as error:
            raise BehaviourError(f"{self._link.played_by} could not be asked to misbehave: {error}") from None
        if answer.status >= 300:
            shown = answer.body[:200].decode("utf-8", "replace")
            raise BehaviourError(
                f"{self._link.played_by} answered {answer.status} to {method} {path}: {shown}"
            )
        return answer


def is_active(state: Mapping[str, Any]) -> bool:
    """Whether a service's answer about one behaviour says that it is on."""
    return bool(state.get("active"))
