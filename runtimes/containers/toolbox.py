"""Acts on packets of links and on files of stores from a container of its own, with the kernel's own tools.

The toolbox shares the network namespace of Toxiproxy. A link is known there by the address and port of its
proxy: what a caller sends arrives there, what it receives leaves from there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiment.controls import Direction
from experiment.errors import UnsupportedError
from runtimes.containers.engine import Engine
from runtimes.containers.layout import VOLUMES
from runtimes.docker_engine import EngineError
from runtimes.runtime import Address

TABLE = "inet codeblue"
PARTS = 10_000  # numgen draws from so many numbers: losses in steps of 0.01%
HOOKS: dict[Direction, tuple[tuple[str, str], ...]] = {
    "to_callee": (("input", "dport"),),
    "to_caller": (("output", "sport"),),
    "both": (("input", "dport"), ("output", "sport")),
}
BALLAST = "codeblue-ballast"
BLOCK = 65_536
TRIALS = 3


def loss_rules(chain: str, door: Address, share: float, direction: Direction) -> str:
    """An nft script that counts a proxy's packets and drops a random share, in chains of this name."""
    lines = [f"add table {TABLE}"]
    for hook, end in HOOKS[direction]:
        lines.append(f"add chain {TABLE} {chain}_{hook} {{ type filter hook {hook} priority 0; }}")
        at = f"ip {end[0]}addr {door.host} tcp {end} {door.port}"
        drawn = f"numgen random mod {PARTS} < {round(share * PARTS)}"
        lines.append(f"add rule {TABLE} {chain}_{hook} {at} counter")
        lines.append(f"add rule {TABLE} {chain}_{hook} {at} {drawn} counter drop")
    return "; ".join(lines)


def loss_removal(chain: str, direction: Direction) -> str:
    """An nft script after which the chains are not there, whether they were or not: one that is there is
    left as it is by `add`."""
    lines = [f"add table {TABLE}"]
    for hook, _ in HOOKS[direction]:
        name = f"{TABLE} {chain}_{hook}"
        lines += [f"add chain {name}", f"flush chain {name}", f"delete chain {name}"]
    return "; ".join(lines)


def netem_commands(port: int, treatment: Sequence[str], name: str = "eth0") -> tuple[tuple[str, ...], ...]:
    """tc commands that send what leaves from a proxy's port through netem, and nothing else; `name` is the
    device that has the proxy's address."""
    device = ("dev", name)
    aside = ("prio", "bands", "2", "priomap", *("0" for _ in range(16)))
    match = ("u32", "match", "ip", "sport", str(port), "0xffff", "flowid", "1:2")
    return (
        ("tc", "qdisc", "add", *device, "root", "handle", "1:", *aside),
        ("tc", "qdisc", "add", *device, "parent", "1:2", "handle", "20:", "netem", *treatment),
        ("tc", "filter", "add", *device, "parent", "1:", "protocol", "ip", "prio", "1", *match),
    )


@dataclass(frozen=True, slots=True)
class PacketAbilities:
    """What the kernel can do to packets."""

    loss: bool
    netem: bool


class Toolbox:
    """The toolbox container of one instance. Raises EngineError with what the tool said."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._container = container
        self._dropping: dict[str, str] = {}  # chain to the script that makes it
        self._netem: tuple[str, tuple[tuple[str, ...], ...]] | None = None  # fault and commands
        self._device = "eth0"
        self._lock = threading.Lock()

    def abilities(self) -> PacketAbilities:
        """Tried for real, on chains and devices that carry nothing."""
        script = loss_rules("trial", Address("127.0.0.1", 1), 0.5, "both")
        loss = self._try("nft", script) and self._try("nft", loss_removal("trial", "both"))
        netem = self._try("tc", "qdisc", "add", "dev", "lo", "root", "netem", "corrupt", "1%")
        if netem:
            self._try("tc", "qdisc", "del", "dev", "lo", "root")
        return PacketAbilities(loss, netem)

    def drop(self, chain: str, door: Address, share: float, direction: Direction) -> None:
        with self._lock:
            self._dropping[chain] = loss_rules(chain, door, share, direction)
            self._run("nft", self._dropping[chain])

    def stop_dropping(self, chain: str, direction: Direction) -> None:
        """Whether the rules are there or not."""
        with self._lock:
            self._run("nft", loss_removal(chain, direction))
            self._dropping.pop(chain, None)

    def packets(self, chain: str, direction: Direction) -> tuple[int, int]:
        """How many packets these rules have dropped so far, and out of how many."""
        dropped = met = 0
        for hook, _ in HOOKS[direction]:
            listed = self._told("nft", "-j", f"list chain {TABLE} {chain}_{hook}")
            for item in listed["nftables"]:
                expressions = item.get("rule", {}).get("expr", ())
                count = sum(one["counter"]["packets"] for one in expressions if "counter" in one)
                if any("drop" in one for one in expressions):
                    dropped += count
                else:
                    met += count
        return dropped, met

    def chains(self) -> list[str]:
        """The chains that drop something now."""
        listed = self._told("nft", "-j", "list chains inet")
        found = [item["chain"] for item in listed["nftables"] if "chain" in item]
        return [chain["name"] for chain in found if f"inet {chain['table']}" == TABLE]

    def treat(self, fault: str, door: Address, treatment: Sequence[str]) -> None:
        """Send a proxy's answers through netem. One fault at a time: the device has one queue."""
        with self._lock:
            if self._netem is not None:
                raise UnsupportedError(
                    f"{self._netem[0]} damages packets already; only one fault at a time can"
                )
            self._device = self._device_of(door.host)
            self._netem = fault, netem_commands(door.port, treatment, self._device)
            for command in self._netem[1]:
                self._run(*command)

    def stop_treating(self, fault: str) -> None:
        with self._lock:
            if self._netem is not None and self._netem[0] == fault:
                self._end_netem()

    def treated(self) -> int:
        """Packets that netem has handled so far."""
        return sum(int(queue.get("packets", 0)) for queue in self._queues("-s"))

    def treats(self) -> bool:
        """Whether packets go through netem now."""
        return bool(self._queues())

    def _queues(self, *options: str) -> list[dict[str, Any]]:
        shown = self._told("tc", *options, "-j", "qdisc", "show", "dev", self._device)
        return [queue for queue in shown if queue.get("kind") == "netem"]

    def _device_of(self, host: str) -> str:
        """The device that has an address in Toxiproxy's network."""
        shown = self._told("ip", "-j", "address", "show", "to", f"{host}/32")
        return str(next((one["ifname"] for one in shown if one.get("ifname")), "eth0"))

    def _end_netem(self) -> None:
        """Raises EngineError when the queue is still there afterwards."""
        deleted = self._engine.run(self._container, ("tc", "qdisc", "del", "dev", self._device, "root"))
        if self._netem is not None and self.treats():
            raise EngineError(f"the toolbox could not take netem away: {deleted.output.strip()[-300:]}")
        self._netem = None

    def heal(self) -> None:
        """Let all packets through. The engine's own rules in this network stay."""
        with self._lock:
            self._run("nft", f"add table {TABLE}; delete table {TABLE}")
            self._dropping.clear()
            self._end_netem()

    def rebuild(self) -> None:
        """Act on packets again as before, after the network with all its rules was replaced by another."""
        with self._lock:
            for script in self._dropping.values():
                self._run("nft", script)
            for command in self._netem[1] if self._netem is not None else ():
                self._run(*command)

    # -- files of stores ------------------------------

    def fill(self, store: str) -> None:
        """Take all free space of a store's volume."""
        path = f"{VOLUMES}/{store}/{BALLAST}"
        self._run("sh", "-c", f"cat /dev/zero > {path} 2>/dev/null; sync; test -s {path}")

    def empty(self, store: str) -> None:
        self._run("rm", "-f", f"{VOLUMES}/{store}/{BALLAST}")

    def filled(self) -> list[str]:
        """The stores whose free space is taken now."""
        shown = self._run("sh", "-c", f"ls {VOLUMES}/*/{BALLAST} 2>/dev/null || true")
        return sorted(line.split("/")[-2] for line in shown.splitlines())

    def free_bytes(self, store: str) -> int:
        """Free space on a store's volume."""
        shown = self._run("df", "-B1", "--output=avail", f"{VOLUMES}/{store}")
        return int(shown.split()[-1])

    def takes_writes(self, store: str) -> bool:
        """Whether 64 KiB can be written beside the store's files."""
        path = f"{VOLUMES}/{store}/codeblue-trial"
        written = self._try("sh", "-c", f"head -c {BLOCK} /dev/zero > {path}")
        self._try("rm", "-f", path)
        return written

    def _told(self, *command: str) -> Any:
        """What a tool tells in JSON. Seen once: an engine that lost the output of a command."""
        for _ in range(TRIALS):
            if shown := self._run(*command).strip():
                return json.loads(shown)
        raise EngineError(f"the toolbox said nothing to `{' '.join(command)}`, {TRIALS} times")

    def _try(self, *command: str) -> bool:
        return self._engine.run(self._container, command).code == 0

    def _run(self, *command: str) -> str:
        ran = self._engine.run(self._container, command)
        if ran.code != 0:
            shown = " ".join(command)
            raise EngineError(f"the toolbox could not do `{shown}`: {ran.output.strip()[-300:]}")
        return ran.output
