"""The release gate's decision: pass, regression or inconclusive, from paired runs of a baseline and a
candidate.

Everything that speaks against a release is a finding. The gravest decides: new vetoes and lost validity
first, whatever the numbers; then scenarios, figures and the mean difference of scores; then what keeps the
answer from being known. Only without a finding does a candidate pass. Because the gate looks again after
every pair, each look tests at its own level, for a pass as for a regression.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from experiment.units import noun, signed
from gate.flags import FigureFlag, ScenarioFlag, failing_text, figure_text, flags_of
from gate.pairs import CONFIRMED, Look, PairedRun, by_scenario, scores
from measurement.statistics import PairedDifference, paired_difference

MARGIN = 3.0
ONLY_LOOK = Look()


class Decision(StrEnum):
    PASS = "pass"
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"


class Unknown(StrEnum):
    """Why a gate has no answer: more pairs may give one; what speaks against the candidate was seen under
    pressure from outside alone; runs are missing or no pairs; runs are invalid."""

    STATISTICS = "statistics"
    PRESSURE = "pressure"
    INCOMPLETE = "incomplete"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Finding:
    """What speaks against a pass, about one scenario or (empty) about all. `unknown` is set where it leaves
    the answer open."""

    scenario: str  # the scenario; empty: all
    sentence: str  # what was found
    unknown: Unknown | None = None  # why it leaves the answer open; none: it does not

    @property
    def decision(self) -> Decision:
        return Decision.REGRESSION if self.unknown is None else Decision.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class GateResult:
    """`sentence` is the reason in one sentence; `evidence` what else led to the decision; `unknown` why an
    inconclusive one is."""

    decision: Decision  # the answer of the gate
    sentence: str  # the reason in one sentence
    difference: PairedDifference | None  # the mean difference of scores over pairs
    scenarios: tuple[ScenarioFlag, ...]  # each scenario on its own
    evidence: tuple[str, ...] = ()  # what else led to the decision
    figures: tuple[FigureFlag, ...] = ()  # latency and goodput of all scenarios together
    new_vetoes: tuple[str, ...] = ()  # safety properties that only the candidate violates
    findings: tuple[Finding, ...] = ()  # what speaks against a pass
    unknown: Unknown | None = None  # why an inconclusive answer is one


def decide(
    runs: Sequence[PairedRun],
    margin: float = MARGIN,
    weights: Mapping[str, float] | None = None,
    look: Look = ONLY_LOOK,
) -> GateResult:
    """The first finding decides. `weights` of scenarios are 1 where they are not given. Pairs of unlike runs
    count for vetoes alone. A regression without a veto that pairs under pressure from outside show, and the
    others do not, is inconclusive."""
    result = _of_pairs(runs, margin, weights or {}, look)
    calm = [run for run in runs if not run.pressed]
    if result.decision is not Decision.REGRESSION or result.new_vetoes or len(calm) == len(runs):
        return result
    if _of_pairs(calm, margin, weights or {}, look).decision is Decision.REGRESSION:
        return result
    return under_pressure(result, runs, result.sentence)


def under_pressure(result: GateResult, runs: Sequence[PairedRun], said: str) -> GateResult:
    """Inconclusive, since only pairs under pressure from outside show what is `said`. What was seen stays
    evidence."""
    pressed = sum(run.pressed for run in runs)
    sentence = (
        f"{pressed} of {noun(len(runs), 'pair')} were played under pressure from outside, and the others do "
        f"not show this: {said}"
    )
    seen = tuple(replace(finding, unknown=Unknown.PRESSURE) for finding in result.findings)
    return replace(
        result,
        decision=Decision.INCONCLUSIVE,
        sentence=sentence,
        scenarios=tuple(
            replace(f, worse=False, fails_more=False, unclear=f.unclear or f.worse or f.fails_more)
            for f in result.scenarios
        ),
        figures=tuple(replace(one, worse=False, unclear=one.unclear or one.worse) for one in result.figures),
        findings=(Finding("", sentence, Unknown.PRESSURE), *seen),
        unknown=Unknown.PRESSURE,
    )


def _of_pairs(
    runs: Sequence[PairedRun], margin: float, weights: Mapping[str, float], look: Look
) -> GateResult:
    like = [run for run in runs if not run.unlike]
    flags, figures = flags_of(like, margin, look)
    pairs = _suite_pairs(like, weights)
    difference = paired_difference(*zip(*pairs, strict=True)) if pairs else None
    vetoes = _new_vetoes(runs)
    found = [*vetoes, *_turned_invalid(like, look), *_worse(flags, figures)]
    found += _mean(difference, margin, look)
    found += [*_incomplete(runs), *_not_exercised(runs), *_not_valid(like, difference)]
    found += _unclear(flags, figures)
    if difference is not None and difference.low is not None:
        found += _not_excluded(pairs, difference, margin, look)
    if not found:
        sentence = f"the candidate is not worse by more than {margin:g} points: {_interval(difference)}"
        return GateResult(Decision.PASS, sentence, difference, flags, figures=figures)
    regressions = [finding for finding in found if finding.unknown is None]
    first, *others = regressions or found
    return GateResult(
        first.decision, first.sentence, difference, flags, tuple(other.sentence for other in others), figures,
        tuple(veto.sentence for veto in vetoes), tuple(found), first.unknown,
    )  # fmt: skip


def _interval(d: PairedDifference | None) -> str:
    assert d is not None and d.low is not None and d.high is not None
    return f"{signed(d.mean)} points (95%: {signed(d.low)} to {signed(d.high)})"


def _new_vetoes(runs: Sequence[PairedRun]) -> list[Finding]:
    """Vetoes the baseline never had in that scenario."""
    found: list[Finding] = []
    for scenario, mine in by_scenario(runs).items():
        known = frozenset().union(*(run.baseline.vetoes for run in mine))
        ran = [run for run in mine if run.candidate.present]
        before = (
            "the baseline in none" if any(run.baseline.present for run in mine) else "no baseline was run"
        )
        for veto in sorted(frozenset().union(*(run.candidate.vetoes for run in mine)) - known):
            seeds = [run.seed for run in ran if veto in run.candidate.vetoes]
            sentence = f"{scenario}: the candidate violates {veto} in {len(seeds)} of {noun(len(ran), 'run')}"
            found.append(Finding(scenario, f"{sentence} (first with seed {seeds[0]}), {before}"))
    return found


def _turned_invalid(runs: Sequence[PairedRun], look: Look) -> list[Finding]:
    """Scenarios that are invalid on the candidate more often than on the baseline: CONFIRMED times, or every
    time. What is not confirmed leaves the answer open until a valid attempt follows."""
    found: list[Finding] = []
    for scenario, every in by_scenario(runs).items():
        mine = [run for run in every if run.measured and run.whole]
        lost = [r.seed for r in mine if r.candidate.lost > r.baseline.lost]
        more = sum(run.candidate.lost - run.baseline.lost for run in mine)
        seeds = ", ".join(map(str, lost))
        if more >= CONFIRMED or (look.last and lost and len(lost) == len(mine) == more):
            found.append(Finding(scenario, f"{scenario}: the candidate's runs are invalid (seeds {seeds})"))
        elif open_ := [r.seed for r in mine if r.candidate.score is None and r.baseline.score is not None]:
            sentence = (
                f"{scenario}: the candidate's run with seed {open_[0]} is invalid, and was not tried again"
            )
            found.append(Finding(scenario, sentence, Unknown.INCOMPLETE))
    return found


def _worse(flags: Iterable[ScenarioFlag], figures: Iterable[FigureFlag]) -> list[Finding]:
    flags = list(flags)
    found = [
        Finding(flag.scenario, f"the candidate is worse in {flag.scenario}: {_interval(flag.difference)}")
        for flag in flags
        if flag.worse
    ]
    found += [Finding(flag.scenario, failing_text(flag)) for flag in flags if flag.fails_more]
    return found + [Finding("", f"the candidate's {figure_text(f)}") for f in figures if f.worse]


def _mean(difference: PairedDifference | None, margin: float, look: Look) -> list[Finding]:
    if difference is None or difference.high is None or difference.p_worse is None:
        return []
    if difference.high < 0 and difference.mean < -margin and difference.p_worse <= look.level:
        return [Finding("", f"the candidate's mean score changed by {_interval(difference)}")]
    return []


def _incomplete(runs: Sequence[PairedRun]) -> list[Finding]:
    """Halves that are missing, and runs that are not a pair."""
    found: list[Finding] = []
    for scenario, mine in by_scenario(runs).items():
        for name, absent in (
            ("baseline", [run.seed for run in mine if not run.baseline.present]),
            ("candidate", [run.seed for run in mine if not run.candidate.present]),
        ):
            if absent:
                seeds = ", ".join(map(str, absent))
                sentence = f"{scenario}: the {name} has no run with seed {seeds}"
                found.append(Finding(scenario, sentence, Unknown.INCOMPLETE))
        for unlike in dict.fromkeys(run.unlike for run in mine if run.unlike):
            sentence = f"{scenario}: the two sides cannot be compared, their {unlike}"
            found.append(Finding(scenario, sentence, Unknown.INCOMPLETE))
    return found


def _not_exercised(runs: Sequence[PairedRun]) -> list[Finding]:
    """Safety properties that the baseline exercised in a scenario and the candidate never did: of those
    nothing is known, which is no pass."""
    found: list[Finding] = []
    for scenario, mine in by_scenario(runs).items():
        known = frozenset().union(*(run.candidate.exercised for run in mine))
        silent = frozenset().union(*(run.candidate.silent for run in mine)) - known
        before = frozenset().union(*(run.baseline.exercised for run in mine))
        for name in sorted(silent & before):
            sentence = f"{scenario}: the candidate exercised {name} in no run, the baseline did"
            found.append(Finding(scenario, sentence, Unknown.INCOMPLETE))
    return found


def _not_valid(runs: Sequence[PairedRun], difference: PairedDifference | None) -> list[Finding]:
    """Scenarios of which no pair was valid on both sides, and too few pairs of the suite."""
    found: list[Finding] = []
    for scenario, mine in by_scenario(runs).items():
        whole = [run for run in mine if run.whole]
        if whole and not scores(whole):
            names = [
                name
                for name, lost in (
                    ("baseline", all(run.baseline.score is None for run in whole)),
                    ("candidate", all(run.candidate.score is None for run in whole)),
                )
                if lost
            ]
            who = " and ".join(names) or "one side or the other"
            sentence = f"{scenario}: no pair has a valid run on both sides, every run is invalid on the {who}"
            found.append(Finding(scenario, sentence, Unknown.INVALID))
    if not found and (difference is None or difference.low is None):
        found.append(Finding("", "fewer than two complete pairs were scored", Unknown.INCOMPLETE))
    return found


def _unclear(flags: Iterable[ScenarioFlag], figures: Iterable[FigureFlag]) -> list[Finding]:
    """What looks worse and is not shown to be."""
    found = [(flag.scenario, failing_text(flag)) for flag in flags if flag.unclear]
    found += [("", f"the candidate's {figure_text(figure)}") for figure in figures if figure.unclear]
    return [Finding(name, f"{said}, which may be chance", Unknown.STATISTICS) for name, said in found]


def _not_excluded(
    pairs: Sequence[tuple[float, float]], difference: PairedDifference, margin: float, look: Look
) -> list[Finding]:
    """Unless a loss of the margin is excluded at the level of this look."""
    lost = paired_difference([now + margin for _, now in pairs], [before for before, _ in pairs])
    if lost.p_worse is not None and lost.p_worse <= look.level:
        return []
    known = "exclude or show" if (difference.low or 0.0) <= -margin else "exclude"
    sentence = (
        f"{_interval(difference)} is not yet enough to {known} a loss of {margin:g} points "
        f"(this look tests at {look.level:.2%})"
    )
    return [Finding("", sentence, Unknown.STATISTICS)]


def _suite_pairs(runs: Sequence[PairedRun], weights: Mapping[str, float]) -> list[tuple[float, float]]:
    """(baseline, candidate): weighted suite means, one pair a seed; one that lacks a scenario is left out."""
    scenarios = set(by_scenario(runs))
    pairs: list[tuple[float, float]] = []
    for seed in dict.fromkeys(run.seed for run in runs):
        mine = [run for run in runs if run.seed == seed and scores([run])]
        if {run.scenario for run in mine} == scenarios:
            shares = [weights.get(run.scenario, 1.0) for run in mine]
            before, now = np.average(scores(mine), axis=0, weights=shares)
            pairs.append((float(before), float(now)))
    return pairs
