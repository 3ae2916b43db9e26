"""Faults of a callee that cannot be told to misbehave: its proxy plays them to the caller, on HTTP links.

| behaviour | on the proxy of the embedded server |
|---|---|
| lost response | `lost_response`: the answer is read to its end and dropped, then the connection closes |
| error share | `error_share`: the request is read to its end and answered there |
| slow processing | `slow_processing`: the request is passed on later |

The original Toxiproxy knows no requests; what comes near is said by `APPROXIMATED`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from experiment.controls import (
    Behaviour,
    BehaviourProbe,
    ErrorShare,
    LostResponse,
    SlowProcessing,
    capability,
)
from experiment.errors import UnsupportedError
from experiment.topology import Link
from runtimes.leftovers import Journal
from runtimes.links.adapter import Toxiproxy
from runtimes.links.controls import ProxiedLink, ToxicPlan, proxy_name
from runtimes.links.servers import ServerChoice
from runtimes.toxiproxy.options import TOKEN_VARIABLE

AT_PROXY = frozenset(map(capability, (LostResponse, ErrorShare, SlowProcessing)))
ON_EMBEDDED = "expected the embedded server (TOXIPROXY_SERVER=embedded)"
APPROXIMATED: Mapping[str, str] = {
    "lost_response": "cut_short with `direction: to_caller`, which closes a connection when it has carried "
    "so many bytes of answers, or blackhole with `direction: to_caller`",
    "error_share": "refusal or reset, which callers see as a broken connection and not as an answer",
    "slow_processing": "latency with `direction: to_callee`, which is late with every chunk of a connection",
}


def toxic_of(behaviour: Behaviour) -> ToxicPlan:
    """The toxic that plays it. Raises UnsupportedError for what a proxy cannot play."""
    match behaviour:
        case LostResponse(share):
            return ToxicPlan("lost_response", "upstream", {"share_ppm": _millionths(share)})
        case ErrorShare(share, status):
            return ToxicPlan("error_share", "upstream", {"share_ppm": _millionths(share), "status": status})
        case SlowProcessing(delay_s, jitter_s):
            times = {"delay_us": _millionths(delay_s), "jitter_us": _millionths(jitter_s)}
            return ToxicPlan("slow_processing", "upstream", times)
    kind = capability(type(behaviour))
    raise UnsupportedError(f"a proxy cannot play {kind}; it can: {', '.join(sorted(AT_PROXY))}")


def _millionths(value: float) -> int:
    return round(value * 1e6)


def knows_requests(choice: ServerChoice) -> bool:
    """Whether a server that would be used has the toxics of requests. Raises ToxiproxyError when one that
    runs already cannot be asked."""
    if choice.kind != "external":
        return choice.kind == "embedded"
    host, _, port = choice.url.rpartition("/")[2].rpartition(":")
    token = os.environ.get(TOKEN_VARIABLE, "")
    return Toxiproxy(host.strip("[]"), int(port), token=token).request_counts() is not None


class ProxiedBehaviour:
    """The behaviours of one link's callee towards its caller, played by the link's proxy."""

    def __init__(self, link: Link, proxied: ProxiedLink, proxies: Toxiproxy, journal: Journal) -> None:
        self._link = link
        self._proxied = proxied
        self._proxies = proxies
        self._proxy = proxy_name(link)
        self._journal = journal
        self._active: dict[str, Behaviour] = {}
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return self._link.name

    @property
    def capabilities(self) -> frozenset[str]:
        return AT_PROXY

    def behave(self, fault: str, behaviour: Behaviour) -> None:
        """Set the toxic. Raises UnsupportedError, ToxiproxyError."""
        with self._lock:
            if self._active.get(fault) == behaviour:
                return
            try:
                plan = toxic_of(behaviour)
            except UnsupportedError as error:
                raise UnsupportedError(f"{self.name}: {error}") from None
            self._journal.write("inject", fault=fault, what=plan.kind, target=self.name)
            self._active[fault] = behaviour
            name = self._toxic(fault)
            self._proxied.beside.add(name)
            self._proxies.put_toxic(
                self._proxy, name, kind=plan.kind, stream=plan.stream, attributes=plan.attributes
            )

    def cease(self, fault: str) -> None:
        """Remove it; nothing happens when it is not there. Raises ToxiproxyError."""
        with self._lock:
            if fault not in self._active:
                return
            if self._proxies.proxy(self._proxy).toxic(self._toxic(fault)) is not None:
                self._proxies.remove_toxic(self._proxy, self._toxic(fault))
            self._healed(fault)

    def probe(self, kind: type[Behaviour]) -> BehaviourProbe:
        """What the proxy says of itself. Raises ToxiproxyError."""
        state = self._proxies.proxy(self._proxy)
        for fault, behaviour in tuple(self._active.items()):
            toxic = state.toxic(self._toxic(fault))
            if toxic is None or not isinstance(behaviour, kind):
                continue
            plan = toxic_of(behaviour)
            as_set = (toxic.kind, toxic.attributes, toxic.toxicity) == (plan.kind, plan.attributes, 1.0)
            counts = (self._proxies.request_counts() or {}).get(self._proxy, {}).get(toxic.name, {})
            shown = behaviour if as_set else _changed(toxic.attributes, toxic.toxicity, kind)
            return BehaviourProbe(shown, counts.get("touched", 0), counts.get("requests", 0))
        return BehaviourProbe(None, 0, None)

    def forget(self) -> None:
        """The proxies were reset as a whole: no fault is active any more."""
        with self._lock:
            for fault in tuple(self._active):
                self._healed(fault)

    def _healed(self, fault: str) -> None:
        self._active.pop(fault)
        self._proxied.beside.discard(self._toxic(fault))
        self._journal.write("heal", fault=fault)

    @staticmethod
    def _toxic(fault: str) -> str:
        return f"{fault}-requests"


def _changed(attributes: Mapping[str, int], toxicity: float, kind: type[Behaviour]) -> Behaviour | None:
    """What a toxic does that is not as it was set; None: nothing."""
    share = attributes.get("share_ppm", 0) / 1e6 * toxicity
    if issubclass(kind, SlowProcessing):
        times = (attributes.get(name, 0) / 1e6 for name in ("delay_us", "jitter_us"))
        return SlowProcessing(*times) if toxicity > 0 else None
    if issubclass(kind, ErrorShare):
        return ErrorShare(share, attributes.get("status", 0)) if share else None
    return LostResponse(share) if share else None
