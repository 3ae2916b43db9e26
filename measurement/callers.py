"""How the callers of links protect themselves, as seen from outside while a link was slow or silent.

The proof of such a fault looks several times a second how many bytes a link's caller has sent, and how long
its questions wait. Where no answer came while the fault lasted,

- the longest wait that was seen is what the caller gives up after, at least;
- what it sent, against what it sends for a call without a fault, is how often it asks again: the number of
  attempts and the time between two of them whose course fits the looks best (least squares).

These are estimates. They say how a caller behaved towards this fault, not what its code says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from experiment.history import FaultEvent, History
from experiment.topology import System
from experiment.units import DURATION, format_duration, noun, quantity_text

KINDS = ("latency", "blackhole")  # faults after which a caller waits
LEAST_CALLS = 5  # with fewer calls during the fault their number is chance
MOST_ATTEMPTS = 8
STEP_S = 0.01
BETTER = 0.8  # another attempt is believed when it leaves so much less of the squares


@dataclass(frozen=True, slots=True)
class Caller:
    """One link under one fault. `waits_s`: the longest wait that was seen; `gives_up`: no answer came
    meanwhile, so that it is the caller's own patience. `attempts` and `apart_s`: None where not seen."""

    link: str
    kind: str
    calls: int
    waits_s: float | None
    gives_up: bool
    attempts: int | None = None
    apart_s: float | None = None

    @property
    def statement(self) -> str:
        """One sentence."""
        if self.waits_s is None:
            return f"{self.link}: nothing was seen to wait ({noun(self.calls, 'call')} during {self.kind})"
        shown = format_duration(round(self.waits_s, 2))
        if not self.gives_up:
            return f"{self.link}: waits for {shown} and longer; when it gives up was not seen"
        told = f"{self.link}: gives up after about {shown}"
        if self.attempts is None:
            return f"{told}; {noun(self.calls, 'call')} are too few to count attempts"
        told += f", {noun(self.attempts, 'attempt')}"
        return told if self.apart_s is None else f"{told}, about {format_duration(self.apart_s)} apart"

    @property
    def patterns(self) -> str:
        """As a design says it, empty where nothing is known."""
        if not self.gives_up or self.waits_s is None:
            return ""
        timeout = quantity_text(round(self.waits_s, 2), DURATION)
        if self.attempts is None or self.attempts == 1:
            return f"{{timeout: {timeout}}}"
        backoff = quantity_text(round(self.apart_s or 0.0, 2), DURATION)
        retry = f"{{attempts: {self.attempts}, backoff: {backoff}, cap: {backoff}}}"
        return f"{{timeout: {timeout}, retry: {retry}}}"


def callers_of(history: History, system: System) -> tuple[Caller, ...]:
    """The callers of all links that were slow or silent, in the order of the faults."""
    events = [one for one in history.faults if one.kind in KINDS and one.target in system.link_names]
    found = []
    for _, group in groupby(sorted(events, key=lambda one: one.fault), key=lambda one: one.fault):
        of_one = sorted(group, key=lambda one: one.t)
        if any(event.event == "inject" for event in of_one):
            found.append((of_one[0].t, _caller(of_one, history, system)))
    return tuple(caller for _, caller in sorted(found, key=lambda pair: pair[0]))


def design_text(name: str, run: str, callers: Sequence[Caller]) -> str:
    """A design file with what was seen; what was not seen is left out and said."""
    known = {caller.link: caller for caller in callers if caller.patterns}
    lines = [f"name: {name}", f"title: How callers behaved in {run}"]
    lines += ["links:", *(f"  {link}: {caller.patterns}" for link, caller in known.items())] if known else []
    lines += [f"# {caller.statement}" for caller in callers]
    return "\n".join(lines) + "\n"


def _caller(events: Sequence[FaultEvent], history: History, system: System) -> Caller:
    inject = next(event for event in events if event.event == "inject")
    looks = [event for event in events if event.event in ("still_active", "faded")]
    link, kind = inject.target, inject.kind
    starts = sorted(_starts(history, system, link))
    calls = [start for start in starts if looks and inject.t <= start < looks[-1].t]
    waits = [wait for event in looks if (wait := _number(event, "waiting_s")) is not None]
    waits_s = max(waits, default=None)
    answered = any(_number(event, "exchanges") for event in looks)
    if waits_s is None or answered:
        return Caller(link, kind, len(calls), waits_s, False)
    before, sent = [start for start in starts if start < inject.t], _number(inject, "to_callee_bytes")
    if len(calls) < LEAST_CALLS or len(before) < LEAST_CALLS or not sent:
        return Caller(link, kind, len(calls), waits_s, True)
    course = [(event.t, _number(event, "to_callee_bytes") or 0.0) for event in looks]
    attempts, period_s = _fitted(calls, course, sent / len(before), waits_s)
    apart = None if attempts == 1 else max(0.0, round(period_s - waits_s, 2))
    return Caller(link, kind, len(calls), waits_s, True, attempts, apart)


def _starts(history: History, system: System, link: str) -> Iterator[float]:
    """When operations began that may travel the link."""
    journeys = [name for name, journey in system.journeys.items() if link in journey.uses]
    for one in history.operations.iter_rows(named=True):
        if one["journey"] in journeys and one["sent"] is not None:
            yield one["sent"]


def _fitted(
    calls: Collection[float], course: Sequence[tuple[float, float]], each: float, waits_s: float
) -> tuple[int, float]:
    """(attempts, seconds from one to the next) whose course comes nearest; fewer attempts where more fit
    hardly better."""
    best = (1, waits_s, _squares(calls, course, each, 1, waits_s))
    for attempts in range(2, MOST_ATTEMPTS + 1):
        periods = [waits_s + step * STEP_S for step in range(round(max(waits_s, 0.5) / STEP_S))]
        squares, period = min((_squares(calls, course, each, attempts, one), one) for one in periods)
        if squares < BETTER * best[2]:
            best = (attempts, period, squares)
    return best[0], best[1]


def _squares(
    calls: Collection[float], course: Sequence[tuple[float, float]], each: float, attempts: int, period: float
) -> float:
    """How far the bytes of such a caller are from those that were seen."""
    return sum(
        (sent - each * sum(min(attempts, 1 + int((t - call) / period)) for call in calls if call <= t)) ** 2
        for t, sent in course
    )


def _number(event: FaultEvent, name: str) -> float | None:
    value = event.measured.get(name)
    return float(value) if isinstance(value, int | float) else None
