"""Impairments of one link as toxics on its proxy. Both live runtimes use it: only the proxy's addresses
differ.

| impairment | on the proxy |
|---|---|
| delay | `latency` in each direction named |
| throttle | `bandwidth` in each direction named |
| blackhole | `timeout` 0 in each direction named: bytes vanish, the connection stays (its end: `_reopen`) |
| reset | `reset_peer` in both directions: the first byte either way resets the connection |
| split | `slicer` in each direction named |
| cut short | `limit_data` in each direction named |
| refuse | the proxy is disabled: it refuses new connections and drops the others |
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from experiment.controls import (
    Blackhole,
    CutShort,
    Delay,
    Direction,
    Impairment,
    LinkProbe,
    Refuse,
    Reset,
    Split,
    Throttle,
    Traffic,
    capability,
)
from experiment.errors import UnsupportedError
from experiment.topology import Link
from runtimes.leftovers import Journal
from runtimes.links.adapter import (
    Toxiproxy,
    ToxiproxyError,
    ToxiproxyHung,
    ToxiproxyRefused,
    ToxiproxyUnreachable,
)
from runtimes.links.probes import LinkProber
from runtimes.links.traffic import LinkTraffic

IMPAIRMENTS = frozenset(map(capability, (Delay, Throttle, Blackhole, Reset, Split, CutShort, Refuse)))
PREPARE_DEADLINE_S = 0.25
STREAMS: dict[Direction, tuple[str, ...]] = {
    "both": ("upstream", "downstream"),
    "to_callee": ("upstream",),
    "to_caller": ("downstream",),
}

_CALLERS = ThreadPoolExecutor(8, thread_name_prefix="toxics")


@dataclass(frozen=True, slots=True)
class ToxicPlan:
    """One toxic to set: `stream` is upstream (to the callee) or downstream (to the caller)."""

    kind: str
    stream: str
    attributes: Mapping[str, int]


def toxics_of(impairment: Impairment) -> tuple[ToxicPlan, ...]:
    """The toxics that make an impairment; none for `refuse`. Raises UnsupportedError for what toxics cannot
    do.

    Toxiproxy counts in whole milliseconds and KB/s: a delay of both directions is rounded so that their sum
    is right.
    """
    match impairment:
        case Delay(latency_s, jitter_s, direction):
            streams = STREAMS[direction]
            whole = split_ms(latency_s, len(streams))
            jitter = split_ms(jitter_s, len(streams))
            return tuple(
                ToxicPlan("latency", stream, {"latency": whole[n], "jitter": jitter[n]})
                for n, stream in enumerate(streams)
            )
        case Throttle(bytes_per_s, direction):
            rate = {"rate": round(bytes_per_s / 1000)}
            return tuple(ToxicPlan("bandwidth", stream, rate) for stream in STREAMS[direction])
        case Blackhole(direction):
            return tuple(ToxicPlan("timeout", stream, {"timeout": 0}) for stream in STREAMS[direction])
        case Reset(after_s):
            after = {"timeout": round(after_s * 1000)}
            return tuple(ToxicPlan("reset_peer", stream, after) for stream in STREAMS["both"])
        case Split(size_bytes, pause_s, direction):
            pieces = {"average_size": size_bytes, "size_variation": 0, "delay": round(pause_s * 1e6)}
            return tuple(ToxicPlan("slicer", stream, pieces) for stream in STREAMS[direction])
        case CutShort(after_bytes, direction):
            limit = {"bytes": after_bytes}
            return tuple(ToxicPlan("limit_data", stream, limit) for stream in STREAMS[direction])
        case Refuse():
            return ()
    kind = capability(type(impairment))
    raise UnsupportedError(
        f"links through Toxiproxy cannot do {kind}; they can: {', '.join(sorted(IMPAIRMENTS))}"
    )


def split_ms(seconds: float, directions: int) -> tuple[int, ...]:
    """`seconds` in each direction as whole milliseconds whose sum is the nearest to the sum asked for."""
    total = round(seconds * 1000 * directions)
    return tuple((total + n) // directions for n in range(directions))[::-1]


def proxy_name(link: Link) -> str:
    """The proxy of a link. No blanks or arrows: names travel unquoted in URLs."""
    return f"{link.caller}--{link.callee}"


class ToxiproxyReplaced(ToxiproxyError):
    """What was asked is done, but the server hung or died on the way: every connection of every link was
    cut."""


class ProxiedLink:
    """One link through its proxy.

    `replace` starts another server in place of one that hangs and makes its proxies and toxics again.
    """

    def __init__(
        self,
        link: Link,
        proxies: Toxiproxy,
        prober: LinkProber,
        journal: Journal,
        traffic: LinkTraffic,
        replace: Callable[[], None] | None = None,
        proxy: str = "",
    ) -> None:
        """`proxy` is the name of its proxy where that is not ours to choose."""
        self._replace = replace
        self._traffic = traffic
        self._link = link
        self._proxies = proxies
        self._proxy = proxy or proxy_name(link)
        self._prober = prober
        self._journal = journal
        self._active: dict[str, Impairment] = {}
        self.beside: set[str] = set()
        """Toxics of other faults that were planned on this link's proxy."""
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return self._link.name

    @property
    def capabilities(self) -> frozenset[str]:
        return IMPAIRMENTS

    @property
    def active(self) -> tuple[str, ...]:
        """The faults on this link now."""
        return tuple(self._active)

    def impair(self, fault: str, impairment: Impairment) -> None:
        """Set the fault's toxics; nothing happens when it is active already.

        Raises UnsupportedError, ToxiproxyError; ToxiproxyReplaced when it is done at the price of all
        connections.
        """
        try:
            plans = toxics_of(impairment)
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.name}: {error}") from None
        with self._lock:
            if fault in self._active:
                return
            if not self._active:
                self._prober.prepare(PREPARE_DEADLINE_S)
            what = capability(type(impairment))
            self._journal.write("inject", fault=fault, what=what, target=self.name)
            self._traffic.exchanges.disturb()
            self._active[fault] = impairment
            calls = [partial(self._put, fault, plan) for plan in plans]
            if isinstance(impairment, Refuse):
                self._traffic.refusing(True)
                calls = [partial(self._enable, False)]
            self._call_all(calls)

    def restore(self, fault: str) -> None:
        """Remove the fault's toxics; other faults of the link stay. Nothing happens when it is not active.

        Raises ToxiproxyError; ToxiproxyReplaced when it is done at the price of all connections.
        """
        with self._lock:
            impairment = self._active.get(fault)
            if impairment is None:
                return
            plans = toxics_of(impairment)
            calls = [partial(self._remove, fault, plan) for plan in plans]
            if isinstance(impairment, Blackhole):
                calls = [partial(self._reopen, fault, plans)]
            refusing = [other for other, what in self._active.items() if isinstance(what, Refuse)]
            if refusing == [fault]:
                self._traffic.refusing(False)
                calls.append(partial(self._enable, True))
            try:
                self._call_all(calls)
            except ToxiproxyReplaced:
                self._healed(fault)
                raise
            self._healed(fault)

    def _healed(self, fault: str) -> None:
        self._active.pop(fault)
        self._journal.write("heal", fault=fault)

    def _put(self, fault: str, plan: ToxicPlan) -> None:
        name = f"{fault}-{plan.stream}"
        self._proxies.put_toxic(
            self._proxy, name, kind=plan.kind, stream=plan.stream, attributes=plan.attributes
        )

    def _reopen(self, fault: str, plans: Sequence[ToxicPlan]) -> None:
        """Open all directions, and cut the connections once.

        Removing a black hole's toxic cuts every connection of the link. With one removal a direction, callers
        that reconnect in between are cut again and ask twice. So the other direction's toxic is only made
        harmless, which cuts nothing; it goes when the links are reset at the end of the run.
        """
        first, *others = plans
        for plan in others:
            with _never_set():
                self._proxies.set_toxicity(self._proxy, f"{fault}-{plan.stream}", 0.0)
        self._remove(fault, first)

    def _remove(self, fault: str, plan: ToxicPlan) -> None:
        with _never_set():
            self._proxies.remove_toxic(self._proxy, f"{fault}-{plan.stream}")

    def _enable(self, enabled: bool) -> None:
        self._proxies.set_enabled(self._proxy, enabled)

    def _call_all(self, calls: Sequence[Callable[[], None]]) -> None:
        """All calls at once; all of them again on another server when this one hangs or is gone."""
        lost = _attempt(calls)
        if lost is None:
            return
        if self._replace is None:
            raise lost
        self._replace()
        again = _attempt(calls)
        if again is not None:
            raise again
        raise ToxiproxyReplaced(f"{lost}; it was replaced, which cut every connection of every link")

    def forget(self) -> None:
        """The proxies were reset as a whole: no fault is active any more."""
        with self._lock:
            self._traffic.refusing(False)
            for fault in tuple(self._active):
                self._healed(fault)

    def probe(self, deadline_s: float, payload_bytes: int = 0) -> LinkProbe:
        """Measure now. Each of the two round trips takes at most the deadline, both run at once."""
        return self._prober.probe(deadline_s, payload_bytes, impaired=bool(self._active))

    def begin(self) -> None:
        """Another run begins: what its exchanges usually take is seen anew."""
        self._traffic.exchanges.begin()

    def traffic(self) -> Traffic:
        """What the caller's own connections did so far. Raises ToxiproxyError."""
        return self._traffic.read()

    def amiss(self, fault: str) -> str:
        """Read back at the proxy: every toxic as it was set, and none that nobody planned. Raises
        ToxiproxyError."""
        state = self._proxies.proxy(self._proxy)
        acting = dict(self._active)
        if fault not in acting:
            return "it is not injected"
        refused = any(isinstance(one, Refuse) for one in acting.values())
        if state.enabled is refused:
            return "its proxy takes connections" if refused else "its proxy is disabled"
        wanted = {f"{name}-{plan.stream}": plan for name, one in acting.items() for plan in toxics_of(one)}
        for plan in toxics_of(acting[fault]):
            name = f"{fault}-{plan.stream}"
            toxic = state.toxic(name)
            if toxic is None:
                return f"its toxic {name} is gone"
            if (toxic.kind, toxic.stream, toxic.attributes) != (plan.kind, plan.stream, plan.attributes):
                now = dict(sorted(toxic.attributes.items()))
                return f"its toxic {name} was changed to {toxic.kind} {now}"
            if toxic.toxicity < 1:
                return f"its toxic {name} acts on {toxic.toxicity:.0%} of connections"
        planned = wanted.keys() | self.beside
        strange = [one for one in state.toxics if one.name not in planned and one.toxicity > 0]
        return f"the toxic {strange[0].name} acts too, which nobody planned" if strange else ""

    def close(self) -> None:
        self._traffic.close()
        self._prober.close()


@contextmanager
def _never_set() -> Iterator[None]:
    """A toxic that is not there was never set, because setting it failed."""
    try:
        yield
    except ToxiproxyRefused as error:
        if error.status != 404:
            raise


def _attempt(calls: Sequence[Callable[[], None]]) -> ToxiproxyError | None:
    """Make all calls at once: two directions one after the other would start twice as late. Returns the
    error of a server that hangs or is gone, raises any other."""
    lost: ToxiproxyError | None = None
    for one in [_CALLERS.submit(call) for call in calls]:
        try:
            one.result()
        except (ToxiproxyHung, ToxiproxyUnreachable) as error:
            lost = error
    return lost
