"""Retries do not multiply load: at most 1.1 calls on a link for each logical request, also under fault.

The callers count logical requests and attempts; the callee counts what it received, which is the ground
truth against a caller (or its HTTP library) that repeats more than it says. The fault, and all from the
fault on, are judged beside the whole run, so that a long calm does not dilute a storm. Such a later window
may also spend what the requests before it saved of the tenth, at most `saved` retries, as the token bucket
of a retry budget does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from experiment.findings import SIMULATION, Finding, conclude, not_exercised
from experiment.history import History
from experiment.names import LinkName
from experiment.scenario import Scenario
from experiment.topology import ANSWERED, System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.counters import Key, group, increase
from measurement.windows import fault_span

WHOLE = "whole run"
ENOUGH = 20  # logical requests on a link below which a ratio says nothing


@dataclass(frozen=True, slots=True)
class Amplification:
    link: str
    window: str
    logical: float
    attempts: float
    received: float | None
    resets: int
    allowed: float  # calls for each logical request
    saved: float  # retries earned before the window and not spent

    @property
    def calls(self) -> float:
        return max(self.attempts, self.received or 0.0)

    @property
    def ratio(self) -> float:
        return self.calls / self.logical

    @property
    def excess(self) -> float:
        """Calls beyond what is allowed; positive is too many."""
        return self.calls - self.allowed * self.logical - self.saved


@dataclass(frozen=True, slots=True)
class NoRetryAmplification:
    """A link carries few more calls than there are logical requests, also under a fault."""

    kind: ClassVar[str] = "no_retry_amplification"
    safety: ClassVar[bool] = False
    always: ClassVar[bool] = True  # every system has it

    limit: float = 1.1  # calls on a link for each logical request
    saved: float = 10.0  # retries that a calm may save for the fault
    links: tuple[LinkName, ...] = ()  # the links that are judged; none: all

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit {self.limit:g}; expected at least 1 call for each request")

    @property
    def sentence(self) -> str:
        return f"A link carries at most {self.limit:g} calls for each logical request."

    def find(self, history: History, _scenario: Scenario, system: System) -> Finding:
        """Exposed are the logical requests on links with at least 20 of them."""
        counters = group(history.samples, frozenset({"logical", "attempts", "received"}))
        edges = sorted((source, about) for source, name, about in counters if name == "logical")
        windows = _windows(history)
        judged = [
            found
            for window, span in windows.items()
            for caller, callee in edges
            if not self.links or f"{caller} -> {callee}" in self.links
            if (found := self._measure(counters, caller, callee, window, *span)) is not None
        ]
        if not judged:
            return not_exercised(f"no link counted {ENOUGH} logical requests{_silent(history, system)}")
        worst: dict[str, Amplification] = {}
        for found in sorted(judged, key=lambda found: (found.excess > 0, found.ratio)):
            worst[found.link] = found
        broken = [found for found in worst.values() if found.excess > 0]
        top = max(worst.values(), key=lambda w: (w.excess > 0, w.ratio))
        measures: dict[str, float | int | str | None] = {
            link: round(found.ratio, 3) for link, found in worst.items()
        }
        exposed = int(max(sum(f.logical for f in judged if f.window == window) for window in windows))
        figure = f"worst {top.link}: {top.ratio:.2f} calls per logical request ({top.window})"
        most = f"more than {self.limit:g} calls per logical request"
        return conclude(
            exposed,
            [_violation(found) for found in broken],
            len(broken),
            f"no link made {most}; {figure}",
            f"{noun(len(broken), 'link')} of {len(worst)} made {most}; {figure}",
            measures,
        )

    def _measure(
        self,
        counters: dict[Key, list[tuple[float, float]]],
        caller: str,
        callee: str,
        window: str,
        start: float,
        end: float,
    ) -> Amplification | None:
        logical = increase(counters.get((caller, "logical", callee), []), start, end)
        attempts = increase(counters.get((caller, "attempts", callee), []), start, end)
        received = increase(counters.get((callee, "received", caller), []), start, end)
        if logical is None or attempts is None or logical.value < ENOUGH:
            return None
        asked, tried = (
            increase(counters.get((caller, name, callee), []), float("-inf"), start)
            for name in ("logical", "attempts")
        )
        saved = 0.0
        if window != WHOLE and asked is not None and tried is not None:
            saved = min(self.saved, max(0.0, self.limit * asked.value - tried.value))
        # After a crash of either side the two counters no longer cover the same time.
        comparable = received is not None and not (received.resets or logical.resets)
        return Amplification(
            f"{caller} -> {callee}",
            window,
            logical.value,
            attempts.value,
            received.value if comparable and received is not None else None,
            logical.resets,
            self.limit,
            saved,
        )


def _silent(history: History, system: System) -> str:
    """The callers that have no counters to give, for the end of a sentence. The twin counts for all."""
    callers = {link.caller for link in system.links if link.protocol in ANSWERED}
    silent = [name for name in system.without("metrics") if name in callers]
    if not silent or history.header.source == SIMULATION:
        return ""
    return f"; without the endpoint metrics nothing is known of {', '.join(silent)}"


def _windows(history: History) -> dict[str, tuple[float, float]]:
    times = [sample.t for sample in history.samples]
    if not times:
        return {}
    windows = {WHOLE: (min(times), max(times))}
    span = fault_span(history)
    if span is not None:
        windows["from the fault on"] = (span[0], max(times))
        windows["during the fault"] = span
    return windows


def _violation(found: Amplification) -> Violation:
    told = f"{noun(round(found.attempts), 'attempt')}"
    if found.received is not None:
        told += f", {found.received:.0f} received by the callee"
    statement = (
        f"{found.link}: {found.ratio:.2f} calls per logical request {found.window} "
        f"({found.logical:.0f} logical, {told})"
    )
    proof = {
        "type": "counters",
        "link": found.link,
        "window": found.window,
        "logical": found.logical,
        "attempts": found.attempts,
        "received": found.received,
        "resets": found.resets,
    }
    return Violation(statement, found.link, None, (proof,))
