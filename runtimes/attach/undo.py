"""What was done to a running system, undone: by the run itself, by its guard, or by the next command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtimes.attach.kernel import move_back, remove_rules
from runtimes.links.adapter import Toxiproxy, ToxiproxyError

DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class Touched:
    """What a journal says of one thing that was touched: `what` is rules, group or proxy, and `where` it is;
    `back` is what it was before, where its server listens, or the network of the rules, if not our own."""

    what: str
    where: str
    back: str = ""

    def undo(self) -> str:
        """As it was before. Returns what went wrong, or nothing; calling it again does nothing."""
        if self.what == "rules":
            return remove_rules(self.where, self.back)
        if self.what == "group":
            return move_back(Path(self.where), Path(self.back))
        host, _, port = self.back.rpartition(":")
        return clear_proxy(Toxiproxy(host, int(port), deadline_s=DEADLINE_S), self.where)

    def __str__(self) -> str:
        return {
            "rules": f"packet rules {self.where} are removed",
            "group": f"the processes in {self.where} are back in {self.back}",
            "proxy": f"the proxy {self.where} at {self.back} has no toxic and takes connections",
        }[self.what]


def undo_all(touched: Iterable[Touched]) -> list[str]:
    """Rules first: without them nothing new comes to the proxies. Returns what went wrong."""
    order = ("rules", "proxy", "group")
    return [
        problem for one in sorted(touched, key=lambda one: order.index(one.what)) if (problem := one.undo())
    ]


def clear_proxy(server: Toxiproxy, name: str) -> str:
    """Remove every toxic of one proxy and let it take connections. Others of the server are not touched."""
    try:
        state = server.proxy(name)
        for toxic in state.toxics:
            server.remove_toxic(name, toxic.name)
        if not state.enabled:
            server.set_enabled(name, True)
    except ToxiproxyError as error:
        return f"the proxy {name} could not be cleared: {error}"
    return ""
