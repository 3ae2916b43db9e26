"""I15: retries do not multiply load: at most 1.1 calls on a link for each logical request, also under fault.

The callers count logical requests and attempts; the callee counts what it received, which is the ground
truth against a caller (or its HTTP library) that repeats more than it says. The fault, and all from the
fault on, are judged beside the whole run, so that a long calm does not dilute a storm. Such a later window
may also spend what the requests before it saved of the tenth, at most `SAVED` retries, as the token bucket
of a retry budget does.
"""

from __future__ import annotations

from dataclasses import dataclass

from experiment.history import History
from experiment.scenario import Scenario
from experiment.topology import System
from experiment.units import noun
from experiment.verdict import Violation
from measurement.checkers.findings import Finding, conclude, saw_nothing
from measurement.counters import Key, group, increase
from measurement.windows import fault_span

LIMIT = 1.1
SAVED = 10
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
        return self.calls - LIMIT * self.logical - self.saved


def find(history: History, _scenario: Scenario, _system: System) -> Finding:
    """Exposed are the logical requests on links with at least 20 of them."""
    counters = group(history.samples, frozenset({"logical", "attempts", "received"}))
    links = sorted((source, about) for source, name, about in counters if name == "logical")
    judged = [
        found
        for window, (start, end) in _windows(history).items()
        for caller, callee in links
        if (found := _measure(counters, caller, callee, window, start, end)) is not None
    ]
    if not judged:
        return saw_nothing(f"no link counted {ENOUGH} logical requests")
    worst: dict[str, Amplification] = {}
    for found in sorted(judged, key=lambda found: (found.excess > 0, found.ratio)):
        worst[found.link] = found
    broken = sorted((w for w in worst.values() if w.excess > 0), key=lambda w: -w.ratio)
    top = max(worst.values(), key=lambda w: (w.excess > 0, w.ratio))
    measures: dict[str, float | int | str | None] = {
        link: round(found.ratio, 3) for link, found in worst.items()
    }
    exposed = int(max(sum(f.logical for f in judged if f.window == window) for window in _windows(history)))
    figure = f"worst {top.link}: {top.ratio:.2f} calls per logical request ({top.window})"
    return conclude(
        exposed,
        [_violation(found) for found in broken],
        len(broken),
        f"no link made more than {LIMIT} calls per logical request; {figure}",
        f"{noun(len(broken), 'link')} of {len(worst)} made more than {LIMIT} calls per logical request; "
        f"{figure}",
        measures,
    )


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


def _measure(
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
    before = [
        increase(counters.get((caller, name, callee), []), float("-inf"), start)
        for name in ("logical", "attempts")
    ]
    saved = 0.0
    if window != WHOLE and before[0] is not None and before[1] is not None:
        saved = min(SAVED, max(0.0, LIMIT * before[0].value - before[1].value))
    # After a crash of either side the two counters no longer cover the same time.
    comparable = received is not None and not (received.resets or logical.resets)
    return Amplification(
        f"{caller} -> {callee}",
        window,
        logical.value,
        attempts.value,
        received.value if comparable and received is not None else None,
        logical.resets,
        saved,
    )


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
