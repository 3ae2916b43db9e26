"""One link of the system: toxics on its proxy, and what happens to its packets on the way."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace

from experiment.controls import Corrupt, Impairment, LinkProbe, Loss, Reorder, Traffic, capability
from experiment.errors import UnsupportedError
from runtimes.containers.toolbox import HOOKS, PacketAbilities, Toolbox
from runtimes.leftovers import Journal
from runtimes.links.controls import IMPAIRMENTS, PREPARE_DEADLINE_S, ProxiedLink
from runtimes.links.probes import LinkProber
from runtimes.runtime import Address

LOSSES = frozenset({capability(Loss)})
DAMAGES = frozenset(map(capability, (Corrupt, Reorder)))


class PacketLink:
    """A proxied link whose packets can be dropped, and damaged where the kernel has netem."""

    def __init__(
        self,
        proxied: ProxiedLink,
        prober: LinkProber,
        door: Address,
        toolbox: Toolbox,
        able: PacketAbilities,
        journal: Journal,
    ) -> None:
        """`door` is where the link's proxy listens in Toxiproxy's network."""
        self._proxied = proxied
        self._prober = prober
        self._door = door
        self._toolbox = toolbox
        self._able = able
        self._journal = journal
        self._active: dict[str, Impairment] = {}
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return self._proxied.name

    @property
    def capabilities(self) -> frozenset[str]:
        return IMPAIRMENTS | (LOSSES if self._able.loss else set()) | (DAMAGES if self._able.netem else set())

    def impair(self, fault: str, impairment: Impairment) -> None:
        """As toxics, or on packets. Raises UnsupportedError, ToxiproxyError, EngineError."""
        kind = capability(type(impairment))
        if kind in IMPAIRMENTS:
            self._proxied.impair(fault, impairment)
            return
        if kind not in self.capabilities:
            lacking = "nftables" if kind in LOSSES else "netem"
            raise UnsupportedError(f"{kind} on {self.name}: this kernel has no {lacking}")
        with self._lock:
            if fault in self._active:
                return
            self._prober.prepare(PREPARE_DEADLINE_S)
            self._journal.write("inject", fault=fault, what=kind, target=self.name)
            self._active[fault] = impairment
            match impairment:
                case Loss(share, direction):
                    self._toolbox.drop(_chain(fault), self._door, share, direction)
                case Corrupt(share):
                    self._toolbox.treat(fault, self._door, ("corrupt", f"{share:.2%}"))
                case Reorder(share, delay_s):
                    delay = ("delay", f"{round(delay_s * 1e6)}us")
                    self._toolbox.treat(fault, self._door, (*delay, "reorder", f"{share:.2%}"))

    def restore(self, fault: str) -> None:
        """Undo the fault; others on the link stay. Nothing happens when it is not active."""
        self._proxied.restore(fault)
        with self._lock:
            impairment = self._active.get(fault)
            if impairment is None:
                return
            if isinstance(impairment, Loss):
                self._toolbox.stop_dropping(_chain(fault), impairment.direction)
            else:
                self._toolbox.stop_treating(fault)
            self._active.pop(fault)
            self._journal.write("heal", fault=fault)

    def probe(self, deadline_s: float, payload_bytes: int = 0) -> LinkProbe:
        """Round trips, and with a fault on packets how many it has hit."""
        if not self._active:
            return self._proxied.probe(deadline_s, payload_bytes)
        probe = self._prober.probe(deadline_s, payload_bytes, impaired=True)
        return replace(probe, measures=self._measures())

    def _measures(self) -> Mapping[str, float]:
        dropped = met = 0
        for fault, impairment in tuple(self._active.items()):
            if isinstance(impairment, Loss):
                counted = self._toolbox.packets(_chain(fault), impairment.direction)
                dropped, met = dropped + counted[0], met + counted[1]
        treated = any(not isinstance(one, Loss) for one in self._active.values())
        return {
            "packets_dropped": dropped,
            "packets_met": met,
            "packets_treated": self._toolbox.treated() if treated else 0,
        }

    def begin(self) -> None:
        self._proxied.begin()

    def traffic(self) -> Traffic:
        """What the caller's own connections did so far. Raises ToxiproxyError."""
        return self._proxied.traffic()

    def amiss(self, fault: str) -> str:
        """Read back at the proxy, or in the kernel. Raises ToxiproxyError, EngineError."""
        impairment = self._active.get(fault)
        if impairment is None:
            return self._proxied.amiss(fault)
        if not isinstance(impairment, Loss):
            return "" if self._toolbox.treats() else "no queue treats its packets"
        wanted = {f"{_chain(fault)}_{hook}" for hook, _ in HOOKS[impairment.direction]}
        missing = sorted(wanted.difference(self._toolbox.chains()))
        return f"its rule {missing[0]} is gone" if missing else ""

    def forget(self) -> None:
        self._proxied.forget()
        with self._lock:
            for fault in tuple(self._active):
                self._active.pop(fault)
                self._journal.write("heal", fault=fault)

    def close(self) -> None:
        self._proxied.close()


def _chain(fault: str) -> str:
    """A fault's id as a name for nft."""
    return "f_" + re.sub(r"[^A-Za-z0-9]", "_", fault)
