"""Where the fault is, from telemetry alone: links ranked by suspicion, and when the alarm was raised.

A call is bad of its own when it failed or took much longer than it usually does, and no call that it caused
explains that. So a wait for somebody further down is blamed on the last link that shows it, however many
services wait above it. What is usual is learned from the baseline. The ranking knows nothing of what was
injected: it reads spans and counters, never the plan and never the rows of faults.

Where services tell of no calls there is less to go by: which service is slow while those that it calls are
not, and what the callers count of failed calls. Links that this cannot tell apart share their places.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from experiment.history import History
from experiment.topology import System
from measurement.counters import group, increase
from measurement.spans import Span, Spans, spans_of

LEAST_BAD = 3  # calls that are bad of their own, before anybody is alarmed
ALARM_SHARE = 0.2  # of the calls of a link within the window
WINDOW_S = 3.0
LOOK_EVERY_S = 1.0
TIMES_USUAL = 3.0  # what takes longer than this many times the usual p95,
SLACK_S = 0.05  # and by so much, is slow
UNKNOWN_S = 0.25  # the usual p95 of a link of which the baseline shows less than
LEARNED_FROM = 8  # calls
Z = 1.96  # of a 95% interval
CHECK_S = (120.0, 480.0)  # what the scripted operator takes to look at one link
A_USER_CALLS_S = 900.0  # when nobody was alarmed
FAILED = frozenset({"errors", "timeouts"})
TRIED = frozenset({"attempts"})


@dataclass(frozen=True, slots=True)
class Suspect:
    """One link. `score` is the share of its calls that are bad of their own, as far as so few calls can show
    it (the lower end of a 95% interval). `place` is shared by those that nothing tells apart: their mean."""

    link: str  # the link, as caller -> callee
    score: float  # how suspicious it is, from 0 to 1
    place: float  # its place in the ranking, from 1
    calls: int  # its calls while the alarm lasted
    bad: int  # how many of them are bad of their own
    slower_s: float  # how much longer than usual a bad one took, in the median


@dataclass(frozen=True, slots=True)
class Localisation:
    """The suspects of a run, the most suspicious first, and what came of it. `injected` and what follows from
    it are no part of the ranking: they say whether it was right."""

    suspects: tuple[Suspect, ...]  # the links, the most suspicious first
    alarm_s: float | None  # when the alarm was raised, in seconds since the start of the run; none: never
    spans: int  # how many spans there were to go by
    calls_told: bool  # whether services told of their calls
    links: int  # how many links there are to choose from
    injected: str = ""  # the one link that was faulted; empty: none, or not one alone
    place: float | None = None  # where the ranking has it; none: nowhere, or nothing was injected
    detected_s: float | None = None  # from the injection to the alarm; none: no alarm, or one before it
    repair_s: float | None = None
    """Seconds until a scripted operator who follows the ranking has found the fault; none: not one link."""

    @property
    def suspect(self) -> str:
        """The most suspicious link; empty when none stands out, or nobody is alarmed."""
        if self.alarm_s is None:
            return ""
        first = self.suspects[:2]
        alone = len(first) == 1 or (len(first) == 2 and first[0].score > first[1].score)
        return first[0].link if first and alone else ""

    @property
    def found(self) -> bool:
        """Whether the first suspect is the link that was faulted."""
        return bool(self.injected) and self.suspect == self.injected

    @property
    def told(self) -> str:
        """What it says, in a few words."""
        if self.alarm_s is None:
            return f"no alarm, so that none of {self.links} links is suspected"
        if not self.suspects or self.suspects[0].score <= 0:
            return f"an alarm, and nothing that tells {self.links} links apart"
        named = self.suspect or " or ".join(
            one.link for one in self.suspects if one.place == self.suspects[0].place
        )
        first = self.suspects[0]
        return f"suspect: {named} ({first.bad:,} of {first.calls:,} calls bad of their own)"


def localise(history: History, system: System, store: str) -> Localisation:
    """The links of a run by suspicion, from the spans that `store` keeps and the services' counters."""
    spans = spans_of(history, store)
    links = tuple(link.name for link in system.links if store not in (link.caller, link.callee))
    learned = _baseline(history)
    judged = judged_calls(spans, learned) if spans.calls else _judged_requests(spans, system, learned)
    alarm, lasted = _alarm(judged, learned[1])
    within = [one for one in judged if lasted[0] <= one.ended <= lasted[1]] if alarm is not None else []
    if spans.calls:
        suspects = _ranked(within, links)
    else:
        suspects = _guessed(within, links, _counted(history, links, learned[1]))
    found = Localisation(suspects, alarm, len(spans), bool(spans.calls), len(links))
    return _checked(found, history)


def _checked(found: Localisation, history: History) -> Localisation:
    """Held against what was injected: only here, when the ranking is done."""
    injected = [event for event in history.faults if event.event == "inject"]
    targets = {event.target for event in injected}
    (target,) = targets if len(targets) == 1 else ("",)
    if " -> " not in target:
        return found
    place = next((one.place for one in found.suspects if one.link == target), None)
    alarm, began = found.alarm_s, min(event.t for event in injected)
    return replace(
        found,
        injected=target,
        place=place if alarm is not None else None,
        detected_s=alarm - began if alarm is not None and alarm >= began else None,
        repair_s=_repair_s(found, target, began, history.header.seed),
    )


def _repair_s(found: Localisation, target: str, began: float, seed: int) -> float:
    """How long an operator takes who checks one link after the other, each for a time of his own, until it is
    the right one: in the order of the ranking, by lot among those that it does not tell apart. Without an
    alarm a user calls in the end, and there is no order."""
    rng = random.Random(f"operator-{seed}")
    alarmed = found.alarm_s is not None and found.alarm_s >= began
    told = found.alarm_s - began if alarmed and found.alarm_s is not None else A_USER_CALLS_S
    lots = {one.link: (one.place if alarmed else 0.0, rng.random()) for one in found.suspects}
    spent = told
    for link in sorted(lots, key=lambda link: lots[link]):
        spent += rng.uniform(*CHECK_S)
        if link == target:
            break
    return spent


def _baseline(history: History) -> tuple[float, float]:
    """When the usual is learned: the baseline, which the run has found fit."""
    phase = history.phase("baseline")
    return (phase.start, phase.end) if phase is not None and phase.end is not None else (0.0, 0.0)


# what is bad of its own


@dataclass(frozen=True, slots=True)
class Judged:
    """One call, or one request where no calls are told of. `own` is what it took beyond what it caused."""

    whose: str
    ended: float
    own: float
    usual: float
    bad: bool


def judged_calls(spans: Spans, learned: tuple[float, float]) -> list[Judged]:
    """Every call and delivery: whether it is bad of its own. In the order of their ends."""
    served = {span.parent: span for span in spans.requests if span.parent is not None}
    caused: dict[str, list[Span]] = defaultdict(list)
    for span in spans.calls:
        if span.parent is not None:
            caused[span.parent].append(span)
    own = {span.span: _own(span, served, caused) for span in spans.calls}
    own |= {span.span: span.took for span in spans.deliveries}
    limits = _limits([*spans.calls, *spans.deliveries], own, learned)
    bad: set[str] = set()
    # A call that was caused began later than its cause: the last ones first.
    for span in sorted(spans.calls, key=lambda span: -span.began):
        below = [] if (request := served.get(span.span)) is None else caused[request.span]
        explained = any(one.span in bad or not one.ok for one in below)
        slow = own[span.span] > limits[span.whose][1]
        if slow or (not span.ok and not explained):
            bad.add(span.span)
    late = _late_publishes(spans.calls, bad)
    origin = {span.span: span.whose for span in spans.requests}
    for span in spans.deliveries:
        source = f"{origin.get(span.parent or '', '')} -> {span.whose.partition(' -> ')[2]}"
        excused = any(began <= span.ended and span.began <= ended for began, ended in late[source])
        if own[span.span] > limits[span.whose][1] and not excused:
            bad.add(span.span)
    every = [*spans.calls, *spans.deliveries]
    judged = [
        Judged(one.whose, one.ended, own[one.span], limits[one.whose][0], one.span in bad) for one in every
    ]
    return sorted(judged, key=lambda one: one.ended)


def _own(span: Span, served: Mapping[str, Span], caused: Mapping[str, list[Span]]) -> float:
    """Seconds of a call that none of the calls that it caused covers."""
    request = served.get(span.span)
    below = caused.get(request.span, ()) if request is not None else ()
    covered, until = 0.0, span.began
    for one in sorted(below, key=lambda one: one.began):
        began, ended = max(one.began, until), min(one.ended, span.ended)
        if ended > began:
            covered += ended - began
            until = ended
    return max(0.0, span.took - covered)


def _late_publishes(calls: Iterable[Span], bad: set[str]) -> Mapping[str, list[tuple[float, float]]]:
    """Per link the times of calls that are bad: events published in them are late for that reason."""
    late: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for span in calls:
        if span.span in bad:
            late[span.whose].append((span.began, span.ended))
    return late


def _limits(
    spans: Sequence[Span], own: Mapping[str, float], learned: tuple[float, float]
) -> dict[str, tuple[float, float]]:
    """Per link the usual median, and what is slow: from the calls that ended in the baseline."""
    usual: dict[str, list[float]] = {span.whose: [] for span in spans}
    for span in spans:
        if learned[0] <= span.began and span.ended <= learned[1] and span.ok:
            usual[span.whose].append(own[span.span])
    return {whose: _limit(values) for whose, values in usual.items()}


def _limit(values: list[float]) -> tuple[float, float]:
    known = sorted(values)
    median = known[len(known) // 2] if known else 0.0
    p95 = known[math.ceil(0.95 * len(known)) - 1] if len(known) >= LEARNED_FROM else max([UNKNOWN_S, *known])
    return median, max(TIMES_USUAL * p95, p95 + SLACK_S)


def _judged_requests(spans: Spans, system: System, learned: tuple[float, float]) -> list[Judged]:
    """Without calls: every request by itself, whoever asked and whatever it waited for."""
    limits = _limits(spans.requests, {span.span: span.took for span in spans.requests}, learned)
    judged = []
    for span in spans.requests:
        if span.whose in system.services:
            usual, slow = limits[span.whose]
            judged.append(Judged(span.whose, span.ended, span.took, usual, not span.ok or span.took > slow))
    return sorted(judged, key=lambda one: one.ended)


# the alarm


def _alarm(judged: Sequence[Judged], since: float) -> tuple[float | None, tuple[float, float]]:
    """When the alarm was first raised after the baseline, and the time that it is about: from the first
    window in which enough was bad to the last one. A span is known when it has ended."""
    if not judged:
        return None, (0.0, 0.0)
    first: float | None = None
    last, now, end = since, since + LOOK_EVERY_S, judged[-1].ended + LOOK_EVERY_S
    later = [one for one in judged if one.ended > since]
    begin = 0
    while now <= end:
        while begin < len(later) and later[begin].ended <= now - WINDOW_S:
            begin += 1
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for one in later[begin:]:
            if one.ended > now:
                break
            counts[one.whose][0] += 1
            counts[one.whose][1] += one.bad
        if any(bad >= LEAST_BAD and bad >= ALARM_SHARE * calls for calls, bad in counts.values()):
            first = now if first is None else first
            last = now
        now += LOOK_EVERY_S
    return first, (since if first is None else max(since, first - WINDOW_S), last)


# the ranking


def _ranked(judged: Sequence[Judged], links: Sequence[str]) -> tuple[Suspect, ...]:
    """By the share of calls that are bad of their own; of equal ones the one whose bad calls took longer."""
    own: dict[str, list[Judged]] = {link: [] for link in links}
    for one in judged:
        if one.whose in own:
            own[one.whose].append(one)
    found = []
    for link, calls in own.items():
        bad = sorted(one.own - one.usual for one in calls if one.bad)
        slower = max(0.0, bad[len(bad) // 2]) if bad else 0.0
        found.append((at_least(len(bad), len(calls)), slower, link, len(calls), len(bad)))
    return _placed(found)


def at_least(bad: int, calls: int) -> float:
    """The lower end of the 95% interval of a share (Wilson 1927); 0 for no calls."""
    if not bad:
        return 0.0
    share, spread = bad / calls, Z * Z / calls
    middle = share + spread / 2
    wide = Z * math.sqrt(share * (1 - share) / calls + spread / (4 * calls))
    return max(0.0, (middle - wide) / (1 + spread))


def _placed(found: list[tuple[float, float, str, int, int]]) -> tuple[Suspect, ...]:
    """Sorted; links that nothing tells apart share the mean of their places."""
    found.sort(key=lambda one: (-one[0], -one[1], one[2]))
    places: dict[tuple[float, float], list[int]] = defaultdict(list)
    for number, one in enumerate(found, 1):
        places[one[0], one[1]].append(number)
    return tuple(
        Suspect(link, score, sum(shared) / len(shared), calls, bad, slower)
        for score, slower, link, calls, bad in found
        for shared in (places[score, slower],)
    )


def _guessed(
    judged: Sequence[Judged], links: Sequence[str], counted: Mapping[str, tuple[int, int]]
) -> tuple[Suspect, ...]:
    """Without calls: a link is suspected as its caller is slow and its callee is not, or as its caller counts
    failed calls on it."""
    calls: dict[str, int] = defaultdict(int)
    bad: dict[str, int] = defaultdict(int)
    for one in judged:
        calls[one.whose] += 1
        bad[one.whose] += one.bad
    found = []
    for link in links:
        caller, _, callee = link.partition(" -> ")
        slow = at_least(bad[caller], calls[caller]) - at_least(bad[callee], calls[callee])
        tried, failed = counted.get(link, (0, 0))
        score = max(0.0, slow, at_least(failed, tried))
        found.append((score, 0.0, link, calls[caller], bad[caller]))
    return _placed(found)


def _counted(history: History, links: Sequence[str], since: float) -> dict[str, tuple[int, int]]:
    """Per link what its caller counts after the baseline: attempts, and those that failed."""
    names, end = frozenset(links), max((sample.t for sample in history.samples), default=since)
    found: dict[str, list[int]] = {link: [0, 0] for link in links}
    for index, counters in enumerate((TRIED, FAILED)):
        for (caller, _, callee), readings in group(history.samples, counters).items():
            grown = increase(readings, since, end)
            if f"{caller} -> {callee}" in names and grown is not None:
                found[f"{caller} -> {callee}"][index] += int(grown.value)
    return {link: (max(tried, failed), failed) for link, (tried, failed) in found.items()}
