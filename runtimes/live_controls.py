"""All controls of a live system, and what it takes to see that nothing of any fault is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from experiment.controls import BehaviourControl, LinkControl, NodeControl
from experiment.errors import CodeBlueError, UnsupportedError, nearest
from runtimes.behaviour_controls import BEHAVIOURS, is_active
from runtimes.http_calls import CallError, call
from runtimes.links.adapter import Toxiproxy, ToxiproxyError
from runtimes.readings import Readings
from runtimes.runtime import Address

ADMIN_DEADLINE_S = 2.0
TAKEN_BACK_WITHIN_S = 10.0
POLL_S = 0.05


class HealableNode(NodeControl, Protocol):
    """A node that can be brought back whatever was done to it."""

    @property
    def state(self) -> str: ...
    @property
    def last_words(self) -> str: ...  # status and last log lines of one that is absent
    @property
    def changes(self) -> tuple[str, ...]: ...  # the planned changes that it offers
    def revive(self) -> None: ...
    def forget(self) -> None: ...


class HealableLink(LinkControl, Protocol):
    """A link whose proxy may be reset from outside."""

    def begin(self) -> None: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...


class HealableBehaviour(BehaviourControl, Protocol):
    """A behaviour that may be switched off from outside."""

    def forget(self) -> None: ...


class LiveControls:
    """Controls by name. Raises UnsupportedError for a target that has none of the kind."""

    def __init__(
        self,
        links: Mapping[str, HealableLink],
        nodes: Mapping[str, HealableNode],
        behaviours: Mapping[str, HealableBehaviour],
    ) -> None:
        self.links = links
        self.nodes = nodes
        self.behaviours = behaviours

    def begin(self) -> None:
        """Another run begins."""
        for link in self.links.values():
            link.begin()

    def link(self, name: str) -> LinkControl:
        if name not in self.links:
            raise UnsupportedError(f'found no link "{name}": {nearest(name, self.links)}')
        return self.links[name]

    def node(self, name: str) -> NodeControl:
        if name not in self.nodes:
            raise UnsupportedError(f'found no service "{name}": {nearest(name, self.nodes)}')
        return self.nodes[name]

    def behaviour(self, link: str) -> BehaviourControl:
        if link not in self.behaviours:
            hint = nearest(link, self.behaviours)
            raise UnsupportedError(f'"{link}" has no callee that can be told to misbehave: {hint}')
        return self.behaviours[link]


def heal_all(
    controls: LiveControls, proxies: Toxiproxy, readings: Readings, replace: Callable[[], None]
) -> list[str]:
    """Undo every fault, known or not. Returns what could not be undone, as sentences.

    A Toxiproxy that does not answer is replaced first, since services are not ready without it; one that
    hangs in the middle is replaced too, and all is healed once more.
    """
    lost = _replaced(proxies, replace)
    problems = _heal(controls, proxies, readings)
    if problems and not lost and not _answers(proxies):
        lost = _replaced(proxies, replace)
        problems = problems if lost else _heal(controls, proxies, readings)
    return [*problems, *lost]


def _replaced(proxies: Toxiproxy, replace: Callable[[], None]) -> list[str]:
    """Why a Toxiproxy that does not answer could not be replaced; nothing when one answers now."""
    if _answers(proxies):
        return []
    try:
        replace()
    except CodeBlueError as error:
        return [f"Toxiproxy could not be replaced: {error}"]
    return []


def _answers(proxies: Toxiproxy) -> bool:
    try:
        proxies.proxies()
    except ToxiproxyError:
        return False
    return True


def _heal(controls: LiveControls, proxies: Toxiproxy, readings: Readings) -> list[str]:
    problems: list[str] = []
    # What does not run comes first: others may not be ready without it.
    for node in sorted(controls.nodes.values(), key=_runs):
        try:
            node.revive()
            node.forget()
        except Exception as error:  # noqa: BLE001 - the others are healed whatever one of them raises
            problems.append(f"{node.name} could not be brought back: {error}")
    try:
        proxies.reset()
        for link in controls.links.values():
            link.forget()
    except ToxiproxyError as error:
        problems.append(f"the links could not be reset: {error}")

    def cease(service: str, address: Address, path: str) -> list[str]:
        asked = ((name, f"{path}/{name}") for name in _asked_of(controls, service))
        said = [told for name, one in asked if (told := _behaviour(service, address, "DELETE", one, name))]
        return said or _taken_back(controls, service, address, path)

    for found in readings.each("behaviour", cease).values():
        problems.extend(found)
    if not problems:
        for behaviour in controls.behaviours.values():
            behaviour.forget()
    return problems


def _runs(node: HealableNode) -> bool:
    try:
        return node.state == "running"
    except CodeBlueError:  # who cannot be asked is told by its revival
        return True


def read_back(controls: LiveControls, proxies: Toxiproxy, readings: Readings) -> list[str]:
    """What is still wrong, one sentence each, read from the proxies, the kernel and the services."""
    problems: list[str] = []
    for name, node in controls.nodes.items():
        if node.state == "absent":
            problems.append(f"{name} is absent: {node.last_words}")
        elif node.state != "running":
            problems.append(f"{name} is {node.state}")
    try:
        for proxy in proxies.proxies().values():
            if not proxy.enabled:
                problems.append(f"proxy {proxy.name} is disabled")
            acting = (toxic for toxic in proxy.toxics if toxic.toxicity > 0)
            problems.extend(f"proxy {proxy.name} has the toxic {toxic.name}" for toxic in acting)
    except ToxiproxyError as error:
        problems.append(f"the links could not be read: {error}")

    def behaving(service: str, address: Address, path: str) -> list[str]:
        if controls.nodes[service].state != "running":
            return []
        asked = ((name, f"{path}/{name}") for name in _asked_of(controls, service))
        return [said for name, one in asked if (said := _behaviour(service, address, "GET", one, name))]

    for found in readings.each("behaviour", behaving).values():
        problems.extend(found)
    return problems


def _asked_of(controls: LiveControls, service: str) -> list[str]:
    """What a service can be told to do, or to change, by name."""
    return [*sorted(BEHAVIOURS), *controls.nodes[service].changes]


def _taken_back(controls: LiveControls, service: str, address: Address, path: str) -> list[str]:
    """Wait until every planned change of a service is taken back; sentences of those that are not."""
    end = time.monotonic() + TAKEN_BACK_WITHIN_S
    while True:
        names = controls.nodes[service].changes
        left = [s for name in names if (s := _behaviour(service, address, "GET", f"{path}/{name}", name))]
        if not left or time.monotonic() > end:
            return left
        time.sleep(POLL_S)


def _behaviour(service: str, address: Address, method: str, path: str, name: str) -> str:
    """Ask about one behaviour, or switch it off; a sentence when it is on, or cannot be asked."""
    try:
        answer = call(address, method, path, deadline_s=ADMIN_DEADLINE_S)
    except CallError as error:
        return f"{service} could not be asked about {name}: {error}"
    if answer.status == 404:
        return ""
    if answer.status >= 300:
        return f"{service} answered {answer.status} to {method} {path}"
    if method == "GET" and is_active(answer.json()):
        return f"{service} still has the behaviour {name}: {answer.body[:200].decode('utf-8', 'replace')}"
    return ""
