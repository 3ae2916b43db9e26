"""Planned changes of one service: asked for below its endpoint `behaviour`, and read back there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiment.controls import Change, capability
from experiment.errors import CodeBlueError, ExitCode, UnsupportedError, nearest
from runtimes.behaviour_controls import is_active
from runtimes.http_calls import CallError, call
from runtimes.runtime import Point

DEADLINE_S = 2.0
GAUGE = "change/"  # begins the name of the figure that says how far a change is
CHANGE = capability(Change)


class ChangeError(CodeBlueError):
    """A service did not change as asked."""

    exit_code = ExitCode.INVALID


@dataclass(frozen=True, slots=True)
class PlannedChanges:
    """The changes that a service offers, by name. Asking returns at once: a change takes its time."""

    service: str
    point: Point
    names: tuple[str, ...] = ()

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({CHANGE} if self.names else ())

    def begin(self, change: Change) -> None:
        """Ask for it. Raises UnsupportedError for one that is not offered, ChangeError."""
        if change.name not in self.names:
            hint = nearest(change.name, self.names) if self.names else "it offers none"
            raise UnsupportedError(f"{self.service} does not offer the change {change.name}: {hint}")
        self._ask("PUT", change.name)

    def take_back(self, change: Change) -> None:
        """Ask for its end. Raises ChangeError."""
        self._ask("DELETE", change.name)

    def figure(self, gauge: str) -> float:
        """0: nothing of it is there. 1: it is in force. Between: it is on its way, or on its way back.
        Raises ChangeError."""
        state = self._ask("GET", gauge.removeprefix(GAUGE))
        if not is_active(state):
            return 0.0
        return 1.0 if state.get("done") else 0.5

    def _ask(self, method: str, name: str) -> dict[str, Any]:
        path = f"{self.point.control.behaviour}/{name}"
        try:
            answer = call(self.point.address, method, path, deadline_s=DEADLINE_S)
        except CallError as error:
            raise ChangeError(f"{self.service} could not be asked about {name}: {error}") from None
        if answer.status >= 300:
            shown = answer.body[:200].decode("utf-8", "replace")
            raise ChangeError(f"{self.service} answered {answer.status} to {method} {path}: {shown}")
        return dict(answer.json())
