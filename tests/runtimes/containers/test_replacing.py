"""A toolbox that was ended or stopped from outside is there again after a heal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runtimes.containers import replacing
from runtimes.containers.replacing import ToxiproxyReplacement
from runtimes.containers.specs import ContainerState


class _Engine:
    """Notes what is done to which container."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.done: list[str] = []

    def state(self, name: str) -> ContainerState:
        return ContainerState(self.status, pid=7)

    def kill(self, name: str) -> None:
        self.done.append(f"kill {name}")

    def start(self, name: str) -> None:
        self.done.append(f"start {name}")
        self.status = "running"


@pytest.mark.parametrize(
    ("status", "by_signal", "again"),
    [("running", False, False), ("running", True, True), ("exited", False, True), ("dead", False, True)],
)
def test_a_toolbox_that_does_not_run_is_started_again(
    status: str, by_signal: bool, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its packet rules, and nobody takes its restart for trouble; one that runs is left alone."""
    monkeypatch.setattr(replacing, "stopped", lambda _state: by_signal)
    engine = _Engine(status)
    held: list[bool] = []
    built: Any = SimpleNamespace(
        layout=SimpleNamespace(container=lambda part: f"c-{part}"),
        toolbox=SimpleNamespace(rebuild=lambda: held.append(replacement.is_held())),
    )
    replacement: ToxiproxyReplacement = ToxiproxyReplacement(engine, built, lambda: None, lambda: None)  # type: ignore[arg-type]  # a stand-in
    assert bool(replacement.toolbox_problem()) is again
    replacement.revive_toolbox()
    monkeypatch.setattr(replacing, "stopped", lambda _state: False)
    assert replacement.toolbox_problem() == ""
    assert engine.done == (["kill c-toolbox", "start c-toolbox"] if again else [])
    assert held == ([True] if again else [])
    assert not replacement.is_held()
