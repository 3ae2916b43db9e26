"""What the gate itself is worth: how often it raises a false alarm, and which seeded bugs it finds.

A trial is a whole gate: pairs until it decides, at most n_max. In A/A trials both sides are the same design.
Bugs are the planted designs, the resilient design without one switch, services that take twice as long, and
services that serve half of what reaches them. All of them are played. Only the loss of exactly the margin is
arithmetic on played scores: no system could be made to lose just that.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from experiment.design import Design
from experiment.errors import UsageError
from experiment.plan import Plan
from experiment.stop import Interrupted, Stop
from experiment.switches import with_effect
from gate.decide import MARGIN, Decision, GateResult, decide
from gate.pairs import MIN_PAIRS, Look, PairedRun, Side, side_of, stem
from gate.play import BASELINE, CANDIDATE
from gate.selfcheck_report import Bug, GateFigures
from measurement.run_records import RunRecord

MINUS = "minus_"  # begins the name of a design that lacks one switch


@dataclass(frozen=True, slots=True)
class Variant:
    """What is played: a design, `slower` times as slow (on the simulation only), whose entry services refuse
    what comes above the `capacity`, a share of what the plan sends them."""

    design: Design
    slower: float = 1.0
    capacity: float | None = None

    @property
    def name(self) -> str:
        slower = f", {self.slower:g} times as slow" if self.slower != 1.0 else ""
        return (
            self.design.name
            + slower
            + (f", capacity {self.capacity:.0%}" if self.capacity is not None else "")
        )

    def applied(self, plan: Plan) -> Plan:
        """The plan on a system of that capacity, where the system declares a switch that limits the rate."""
        limit = with_effect(plan.system.switches, "rate_limit")
        if self.capacity is None or limit is None:
            return plan
        entries = Counter(plan.system.journeys[op.journey].entry for op in plan.operations)
        services = dict(plan.design.services)
        for name, count in entries.items():
            rate = self.capacity * count / plan.load_end_s
            services[name] = services[name] | {limit: rate}
        return replace(plan, design=replace(plan.design, services=services))


@dataclass(frozen=True, slots=True)
class Draw:
    """One run of a plan. Two of the same `seed` play the same plan, as both sides of a pair do; their `take`
    tells them apart: what the system itself does by chance is another time's."""

    scenario: str
    seed: int
    take: str = BASELINE


Source = Callable[[Variant, Draw], RunRecord]


@dataclass(frozen=True, slots=True)
class Runs:
    """Where runs come from: `play` gives one, always the same for the same variant and draw; `ahead` says
    that one will be asked for, and returns at once."""

    play: Source
    ahead: Callable[[Variant, Draw], object] = lambda _variant, _draw: None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of trial. `shifted` changes the scores of the candidate's side."""

    name: str
    variant: Variant
    scenarios: tuple[str, ...]
    safety: bool = False  # must be found every time
    must_be_found: bool = False  # nearly every time
    must_not_pass: bool = False  # at the margin: a pass is the error, a regression is none
    unseen: str = ""  # why no scenario shows it; empty: one does
    shifted: Callable[[Side], Side] | None = None


def lost_margin(side: Side) -> Side:
    """A score that lost exactly what the gate must not let pass."""
    return side if side.score is None else replace(side, score=side.score - MARGIN)


@dataclass(frozen=True, slots=True)
class GateTrials:
    """How many trials of A/A, of each bug, and of each design that lacks one switch. `only` names the bugs
    that are tried; empty: all. `pool` is how many seeds trials draw from, each once a trial and so at least
    n_max; 0: as many as there are trials of that kind."""

    same: int = 200
    bugs: int = 100
    minus: int = 30
    n_max: int = 7
    seed: int = 1
    only: tuple[str, ...] = ()
    pool: int = 0

    def of(self, name: str) -> int:
        return self.minus if name.startswith(MINUS) else self.bugs


def figures(
    runs: Runs,
    same: Candidate,
    bugs: Sequence[Candidate],
    trials: GateTrials,
    stop: Stop,
    told: Callable[[str], None] = lambda _: None,
) -> GateFigures:
    """The baseline of every trial is the variant of `same`, the A/A trial. When `stop` is set, what was tried
    until then; raises Interrupted where that is nothing."""
    found: list[Bug] = []
    for candidate in (same, *bugs):
        if stop.is_set():
            break
        results: list[tuple[GateResult, int]] = []
        wanted = trials.same if candidate is same else trials.of(candidate.name)
        pool = max(trials.pool or wanted, trials.n_max)
        drawn = [
            random.Random(f"{trials.seed}-{candidate.name}-{number}").sample(range(1, pool + 1), trials.n_max)
            for number in range(wanted)
        ]
        for seeds in drawn:
            _certain(runs, same.variant, candidate, seeds)
        for number, seeds in enumerate(drawn):
            if stop.is_set():
                break
            try:
                results.append(_trial(runs.play, same.variant, candidate, seeds))
            except Interrupted:
                break
            told(f"{candidate.name}, trial {number + 1} of {wanted}: {results[-1][0].decision}")
        if results:
            found.append(_bug(candidate, results))
            told(found[-1].text)
    if not found:
        stop.check()
        raise UsageError("found no trial that was finished, expected one at least")
    return GateFigures(tuple(found[1:]), found[0], trials.n_max, tuple(map(stem, same.scenarios)))


def _bug(candidate: Candidate, results: Sequence[tuple[GateResult, int]]) -> Bug:
    alarms = [result for result, _ in results if result.decision is Decision.REGRESSION]
    return Bug(
        name=candidate.name,
        safety=candidate.safety,
        trials=len(results),
        regressions=len(alarms),
        inconclusive=sum(result.decision is Decision.INCONCLUSIVE for result, _ in results),
        most_pairs=max(pairs for _, pairs in results),
        mean_pairs=sum(pairs for _, pairs in results) / len(results),
        sentence=alarms[0].sentence if alarms else candidate.unseen,
        must_be_found=candidate.must_be_found,
        passes=sum(result.decision is Decision.PASS for result, _ in results),
        must_not_pass=candidate.must_not_pass,
    )


def _certain(runs: Runs, baseline: Variant, candidate: Candidate, seeds: Sequence[int]) -> None:
    """What a trial will ask for whatever it finds: a veto ends it with its first pair."""
    for seed in seeds[: 1 if candidate.safety else MIN_PAIRS]:
        for scenario in candidate.scenarios:
            runs.ahead(baseline, Draw(scenario, seed, BASELINE))
            runs.ahead(candidate.variant, Draw(scenario, seed, CANDIDATE))


def _trial(
    play: Source, baseline: Variant, candidate: Candidate, seeds: Sequence[int]
) -> tuple[GateResult, int]:
    """A whole gate on pairs of these seeds, as many as it may take; (result, pairs it took)."""
    runs: list[PairedRun] = []
    result, number = decide([]), 0
    for number, seed in enumerate(seeds, 1):
        for scenario in candidate.scenarios:
            before = play(baseline, Draw(scenario, seed, BASELINE))
            now = play(candidate.variant, Draw(scenario, seed, CANDIDATE))
            one, two = side_of(before), side_of(now)
            two = candidate.shifted(two) if candidate.shifted else two
            measured = not (before.machine_failed or now.machine_failed)
            runs.append(PairedRun(stem(scenario), seed, one, two, measured))
        look = Look(number, len(seeds))
        result = decide(runs, look=look)
        if (number >= MIN_PAIRS and result.decision is not Decision.INCONCLUSIVE) or result.new_vetoes:
            break
    return result, number
