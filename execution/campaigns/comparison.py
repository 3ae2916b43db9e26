"""Designs side by side: the same scenarios and seeds for each, interleaved, so that a drift favours none."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from execution.campaigns.campaign import Home, Hooks, Job, begin, play, prepare, resume, seeds_of
from execution.campaigns.run_records import RunRecord
from execution.catalogue import Catalogue
from execution.options import Options
from execution.places import ROOT
from execution.runs.facts import git_commit, machine
from experiment.errors import UsageError
from experiment.suite import Suite
from measurement.histogram import merge, quantile
from measurement.statistics import PairedDifference, median_time, paired_difference, score_estimate
from reports.comparison import (
    COMPARISON_FORMATS,
    ComparisonReport,
    DesignInScenario,
    DesignSummary,
    EffectSize,
    effect_text,
)

FINALISTS = 2


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is: a design, and in a gate the side it plays for."""

    design: str
    side: str = ""


@dataclass(frozen=True, slots=True)
class ComparisonOrder:
    """What is compared. `screen` names the runtime that chooses the finalists first (empty: none)."""

    designs: tuple[str, ...]
    repeats: int
    screen: str = ""
    resume: bool = False
    command: str = ""


def comparison_jobs(scenarios: Sequence[str], turns: Sequence[Turn], seeds: Sequence[int]) -> tuple[Job, ...]:
    """A, B, B, A for every scenario and seed: scenarios in random order, designs forth and back."""
    rng = random.Random(f"comparison-{seeds[0]}")
    jobs: list[Job] = []
    forth = True
    for seed in seeds:
        order = list(enumerate(scenarios))
        rng.shuffle(order)
        for index, scenario in order:
            ordered = turns if forth else tuple(reversed(turns))
            jobs.extend(Job(index, scenario, turn.design, seed, turn.side) for turn in ordered)
            forth = not forth
    return tuple(jobs)


def compare(
    suite: Suite,
    catalogue: Catalogue,
    options: Options,
    order: ComparisonOrder,
    hooks: Hooks,
    stop: threading.Event,
) -> tuple[ComparisonReport, Path]:
    """Run all pairs and write the comparison; with a screen, simulate first and run the finalists only."""
    if len(set(order.designs)) < 2:
        raise UsageError(f"found {len(set(order.designs))} designs, expected at least two to compare")
    screened: tuple[str, ...] = ()
    if order.screen:
        first = replace(order, screen="", resume=False)  # quick, and complete or worth nothing
        report, _ = compare(suite, catalogue, replace(options, runtime=order.screen), first, hooks, stop)
        finalists = best(report, FINALISTS)
        left_out = [name for name in order.designs if name not in finalists]
        screened = (f"Screened by {order.screen}: {', '.join(left_out) or 'none'} left out.",)
        order = replace(order, designs=tuple(name for name in order.designs if name in finalists))
    scenarios = tuple(dict.fromkeys(entry.scenario for entry in suite.entries))
    turns = [Turn(design) for design in order.designs]
    jobs = comparison_jobs(scenarios, turns, seeds_of(suite.seed, order.repeats))
    name = f"compare-{suite.name}-{options.runtime}"
    prepared = prepare(jobs, Home(catalogue, options))
    conditions = prepared.conditions()
    if order.resume:
        campaign = resume(options.out, name, jobs, conditions, COMPARISON_FORMATS)
    else:
        campaign = begin(options.out, name, jobs, conditions)
    for _record in play(campaign, prepared, hooks, stop):
        pass
    weights = {
        scenario: max(entry.weight for entry in suite.entries if entry.scenario == scenario)
        for scenario in scenarios
    }
    titles = {design: catalogue.design(design, catalogue.system()).title for design in order.designs}
    report = comparison_report(
        suite.name, campaign.records(), weights, titles, order.command, options.runtime
    )
    report = replace(report, screened=screened)
    for file, rendering in COMPARISON_FORMATS.items():
        (campaign.folder / file).write_text(rendering(report), encoding="utf-8")
    return report, campaign.folder


def best(report: ComparisonReport, count: int) -> tuple[str, ...]:
    """Fewest vetoes first, then the highest mean score; designs without a score last."""
    order = [design.design for design in ranked(report.designs)]
    rest = [design.design for design in report.designs if design.design not in order]
    return tuple([*order, *rest][:count])


def comparison_report(
    name: str,
    records: Sequence[RunRecord],
    weights: dict[str, float],
    titles: dict[str, str],
    command: str,
    source: str,
) -> ComparisonReport:
    """Pure: records in, figures out."""
    scenarios = tuple(weights)
    designs = tuple(titles)
    cells = tuple(_cell(s, d, _of(records, s, d)) for s in scenarios for d in designs)
    summaries = tuple(_summary(d, titles[d], records, weights) for d in designs)
    effects = tuple(_effects(records, weights, designs))
    return ComparisonReport(
        name=name,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        sources=(source,),
        scenarios=scenarios,
        designs=summaries,
        cells=cells,
        effects=effects,
        words=tuple(in_words(summaries, cells, effects, _gap(ranked(summaries), records, weights))),
        machine=machine(),
        git=git_commit(ROOT),
    )


def _of(records: Sequence[RunRecord], scenario: str, design: str) -> list[RunRecord]:
    return [record for record in records if record.scenario == scenario and record.design == design]


def _mean(records: Sequence[RunRecord], figure: Callable[[RunRecord], float | None]) -> float | None:
    values = [value for record in records if (value := figure(record)) is not None]
    return sum(values) / len(values) if values else None


def _baseline_p95(records: Sequence[RunRecord]) -> float | None:
    """Of all runs together: percentiles are merged, never averaged."""
    return quantile(merge(record.baseline_latency for record in records), 0.95)


def _cell(scenario: str, design: str, records: Sequence[RunRecord]) -> DesignInScenario:
    scores = [record.score for record in records if record.score is not None]
    reached = [record.recovery_s for record in records if record.recovery_s is not None]
    censored = [record.censored_s for record in records if record.censored_s is not None]
    stale = [record.stale_s for record in records if record.stale_s is not None]
    return DesignInScenario(
        scenario=scenario,
        design=design,
        runs=len(records),
        invalid=sum(record.score is None for record in records),
        vetoes=sum(record.vetoed for record in records),
        score=score_estimate(scores) if scores else None,
        recovery=median_time(reached, censored) if reached or censored else None,
        duplicates=sum(record.duplicates for record in records),
        stale_s=max(stale, default=None),
        calls=_mean(records, lambda record: record.calls),
        cpu_ms=_mean(records, lambda record: record.cpu_ms),
        baseline_p95_s=_baseline_p95(records),
    )


def seed_means(records: Sequence[RunRecord], weights: dict[str, float], design: str) -> dict[int, float]:
    """Seed to the weighted mean score over all scenarios; seeds with a scenario missing are left out."""
    scores: dict[int, dict[str, float]] = {}
    for record in records:
        if record.design == design and record.score is not None:
            scores.setdefault(record.seed, {})[record.scenario] = record.score
    total = sum(weights.values())
    return {
        seed: sum(weights[s] * value for s, value in found.items()) / total
        for seed, found in scores.items()
        if set(found) == set(weights)
    }


def _summary(
    design: str, title: str, records: Sequence[RunRecord], weights: dict[str, float]
) -> DesignSummary:
    mine = [record for record in records if record.design == design]
    means = list(seed_means(records, weights, design).values())
    return DesignSummary(
        design=design,
        title=title,
        score=score_estimate(means) if means else None,
        vetoes=sum(record.vetoed for record in mine),
        invalid=sum(record.score is None for record in mine),
        calls=_mean(mine, lambda record: record.calls),
        cpu_ms=_mean(mine, lambda record: record.cpu_ms),
        baseline_p95_s=_baseline_p95(mine),
    )


def _effects(
    records: Sequence[RunRecord], weights: dict[str, float], designs: Sequence[str]
) -> list[EffectSize]:
    """Every design against the first, over all and in each scenario."""
    effects: list[EffectSize] = []
    first = designs[0]
    for design in designs[1:]:
        for scenario in ("all", *weights):
            chosen = weights if scenario == "all" else {scenario: 1.0}
            mine = [record for record in records if record.scenario in chosen]
            one, other = seed_means(mine, chosen, first), seed_means(mine, chosen, design)
            seeds = sorted(set(one) & set(other))
            if seeds:
                difference = paired_difference([one[s] for s in seeds], [other[s] for s in seeds])
                effects.append(EffectSize(scenario, design, first, difference))
    return effects


def ranked(designs: Sequence[DesignSummary]) -> list[DesignSummary]:
    """Those that were scored: fewest vetoes first, then the highest mean score."""
    scored = [design for design in designs if design.score is not None]
    return sorted(scored, key=lambda d: (d.vetoes, -(d.score.mean if d.score else 0.0)))


def _gap(
    order: Sequence[DesignSummary], records: Sequence[RunRecord], weights: dict[str, float]
) -> PairedDifference | None:
    """The first design of the ranking against the second, over the seeds that both have."""
    if len(order) < 2:
        return None
    one, other = (seed_means(records, weights, design.design) for design in order[:2])
    seeds = sorted(set(one) & set(other))
    return paired_difference([other[s] for s in seeds], [one[s] for s in seeds]) if seeds else None


def in_words(
    designs: Sequence[DesignSummary],
    cells: Sequence[DesignInScenario],
    effects: Sequence[EffectSize],
    gap: PairedDifference | None,
) -> list[str]:
    """What the winner wins and pays. Vetoes come before scores; `gap` is the winner's over the second."""
    order = ranked(designs)
    if len(order) < 2:
        return ["Fewer than two designs were scored in every scenario: there is no winner."]
    winner, second = order[0], order[1]
    assert winner.score is not None and second.score is not None
    words = [_winner(winner, second, gap)]
    won = [
        c.scenario for c in cells if c.design == second.design and c.vetoes and not _vetoed(cells, winner, c)
    ]
    if won:
        words.append(f"It holds where {second.design} breaks a safety invariant: {', '.join(won)}.")
    pays = []
    if winner.cpu_ms is not None and second.cpu_ms:
        pays.append(f"{winner.cpu_ms / second.cpu_ms - 1:+.0%} CPU for each operation")
    if winner.calls is not None and second.calls:
        pays.append(f"{winner.calls / second.calls - 1:+.0%} calls between services")
    if winner.baseline_p95_s is not None and second.baseline_p95_s is not None:
        added = (winner.baseline_p95_s - second.baseline_p95_s) * 1000
        pays.append(f"{added:+.1f} ms at p95 in the baseline")
    if pays:
        words.append(f"Against {second.design} it costs {', '.join(pays)}.")
    words += [f"{effect_text(effect)}." for effect in effects if effect.scenario == "all"]
    return words


def _winner(winner: DesignSummary, second: DesignSummary, gap: PairedDifference | None) -> str:
    """A winner is named only for fewer vetoes, or for a difference that is more than chance."""
    scores = [f"{d.design} {d.score.mean:.0f} with {d.vetoes} vetoes" for d in (winner, second) if d.score]
    known = gap is not None and gap.low is not None and gap.high is not None
    points = (
        f"{gap.mean:+.1f} points, 95%: {gap.low:+.1f} to {gap.high:+.1f}" if gap and known else "one pair"
    )
    if winner.vetoes < second.vetoes:
        return f"{winner.design} wins, since it has fewer vetoes: {'; '.join(scores)} ({points})."
    if gap is not None and gap.low is not None and gap.low > 0:
        return f"{winner.design} wins: {'; '.join(scores)} ({points})."
    return f"No winner is shown between {'; '.join(scores)} ({points}). {winner.design} leads."


def _vetoed(cells: Sequence[DesignInScenario], design: DesignSummary, like: DesignInScenario) -> bool:
    return any(c.vetoes for c in cells if c.design == design.design and c.scenario == like.scenario)
