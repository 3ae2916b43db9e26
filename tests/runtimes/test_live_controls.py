"""Healing everything: a Toxiproxy that does not answer comes first, since nothing is ready without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from experiment.errors import StartError
from runtimes.links.adapter import ToxiproxyError
from runtimes.live_controls import LiveControls, heal_all


@dataclass
class _System:
    """One service behind one Toxiproxy, and what was done to both."""

    answers: bool
    replaceable: bool = True
    hangs_at_reset: bool = False
    done: list[str] = field(default_factory=list)
    name: str = "billing"
    state: str = "running"

    def proxies(self) -> dict[str, object]:
        if not self.answers:
            raise ToxiproxyError("no answer")
        return {}

    def reset(self) -> None:
        if self.hangs_at_reset:
            self.answers = self.hangs_at_reset = False
        if not self.answers:
            raise ToxiproxyError("no answer")
        self.done.append("reset")

    def replace(self) -> None:
        if not self.replaceable:
            raise StartError("no room")
        self.done.append("replaced")
        self.answers = True

    def revive(self) -> None:
        self.done.append("revived")

    def forget(self) -> None:
        """Nothing is noted here."""

    def heal(self) -> list[str]:
        readings: Any = SimpleNamespace(each=lambda _what, _ask: {})
        controls = LiveControls({}, {"billing": self}, {})  # type: ignore[dict-item]  # a stand-in
        return heal_all(controls, self, readings, self.replace)  # type: ignore[arg-type]  # a stand-in


@pytest.mark.parametrize(
    ("system", "done"),
    [
        (_System(True), ["revived", "reset"]),
        (_System(False), ["replaced", "revived", "reset"]),
        (_System(True, hangs_at_reset=True), ["revived", "replaced", "revived", "reset"]),
    ],
    ids=["it answers", "it does not", "it hangs in the middle"],
)
def test_a_toxiproxy_that_does_not_answer_is_replaced_before_anything_is_awaited(
    system: _System, done: list[str]
) -> None:
    """A service whose database is behind a proxy that stands still would be waited for in vain."""
    assert system.heal() == []
    assert system.done == done


def test_what_does_not_run_is_brought_back_before_those_that_may_need_it() -> None:
    """Services of a stopped store are not ready before it goes on, wherever it stands in the file."""
    order: list[str] = []

    def part(name: str, state: str) -> Any:
        return SimpleNamespace(name=name, state=state, revive=lambda: order.append(name), forget=lambda: None)

    states = {"billing": "running", "checkin": "absent", "postgres": "paused", "registry": "running"}
    controls = LiveControls({}, {name: part(name, state) for name, state in states.items()}, {})
    proxies: Any = _System(True)
    readings: Any = SimpleNamespace(each=lambda _what, _ask: {})
    assert heal_all(controls, proxies, readings, lambda: None) == []
    assert order == ["checkin", "postgres", "billing", "registry"]


def test_what_could_not_be_replaced_is_told_and_the_rest_is_healed() -> None:
    """Once, with the reason."""
    system = _System(False, replaceable=False)
    told = system.heal()
    assert [line for line in told if "could not be replaced: no room" in line] == told[-1:]
    assert "revived" in system.done
