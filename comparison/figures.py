"""The figures of a comparison from the records of its runs; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from comparison.report import (
    ComparedRun,
    ComparisonReport,
    DesignInScenario,
    DesignSummary,
    EffectSize,
    SafetyFigures,
)
from comparison.words import in_words, ranked
from experiment.short_names import short_names
from experiment.verdict import worst
from measurement.histogram import Histogram, merge
from measurement.run_records import PropertyFigures, RunRecord
from measurement.statistics import (
    Estimate,
    PairedDifference,
    added_quantile,
    mean_estimate,
    median_time,
    paired_difference,
    quantile_estimate,
    score_estimate,
    share_estimate,
)

P95 = 0.95


def comparison_report(
    name: str,
    records: Sequence[RunRecord],
    weights: dict[str, float],
    titles: dict[str, str],
    command: str,
    source: str,
) -> ComparisonReport:
    """Pure: records in, figures out. Scenarios and designs that were given as files are told by name."""
    records, weights, titles = _named(records, weights, titles)
    scenarios = tuple(weights)
    designs = tuple(titles)
    cells = tuple(_cell(s, d, records, designs[0]) for s in scenarios for d in designs)
    summaries = tuple(_summary(d, titles[d], records, weights, designs[0]) for d in designs)
    effects = tuple(_effects(records, weights, designs))
    order = ranked(summaries)
    return ComparisonReport(
        name=name,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        sources=(source,),
        scenarios=scenarios,
        designs=summaries,
        cells=cells,
        effects=effects,
        alike=_alike(records, designs),
        unclean=tuple(Path(record.folder).name for record in records if not record.clean),
        words=tuple(
            in_words(
                summaries, cells, effects, _gap(order, records, weights), _price(order, records, weights)
            )
        ),
    )


def _named(
    records: Sequence[RunRecord], weights: dict[str, float], titles: dict[str, str]
) -> tuple[list[RunRecord], dict[str, float], dict[str, str]]:
    plays, designs = short_names(weights), short_names(titles)
    return (
        [
            replace(
                record,
                scenario=plays.get(record.scenario, record.scenario),
                design=designs.get(record.design, record.design),
            )
            for record in records
        ],
        {plays[name]: weight for name, weight in weights.items()},
        {designs[name]: title for name, title in titles.items()},
    )


def _alike(records: Sequence[RunRecord], designs: Sequence[str]) -> tuple[str, ...]:
    """Pairs of designs that are said to differ, and that no service told apart in any run."""
    shown = {name: {record.obeyed for record in records if record.design == name} for name in designs}
    return tuple(
        f"{one} and {other} are not compared: their services obeyed the very same design and code"
        for number, one in enumerate(designs)
        for other in designs[number + 1 :]
        if shown[one] and shown[one] == shown[other] and "" not in shown[one]
    )


Figure = Callable[[RunRecord], float | None]


def _estimate(values: Iterable[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    return mean_estimate(known) if known else None


def _over_seeds(
    records: Sequence[RunRecord], weights: Mapping[str, float], figure: Figure
) -> Estimate | None:
    """Mean over seeds of the plain mean over scenarios that have the figure at all (staleness is not judged
    everywhere); seeds that lack one of them are left out, a scenario that was not run leaves it unknown."""
    found: dict[int, dict[str, float]] = {}
    for record in records:
        if (value := figure(record)) is not None:
            found.setdefault(record.seed, {})[record.scenario] = value
    without = {record.scenario for record in records} - {name for one in found.values() for name in one}
    needed = set(weights) - without
    return _estimate(sum(one.values()) / len(one) for one in found.values() if set(one) == needed)


def _calls(record: RunRecord) -> float | None:
    return record.calls


def _cpu_ms(record: RunRecord) -> float | None:
    return record.cpu_ms


def _stale_s(record: RunRecord) -> float | None:
    return record.stale_s


def _repair_s(record: RunRecord) -> float | None:
    return record.repair_s


def _safety(records: Sequence[RunRecord]) -> tuple[SafetyFigures, ...]:
    """Of every safety property that something was exposed to or that made a veto, in the order of the
    system."""
    found: dict[str, list[PropertyFigures]] = {}
    for record in records:
        for figures in record.properties:
            if figures.safety and (figures.exposed or figures.name in record.safety):
                found.setdefault(figures.name, []).append(figures)
        for name in record.safety:  # records of before properties were kept
            if all(figures.name != name for figures in record.properties):
                found.setdefault(name, []).append(PropertyFigures(name, True, 0, 1))
    return tuple(
        SafetyFigures(
            name,
            sum(one.violations for one in mine),
            sum(max(one.exposed, one.violations) for one in mine),
            share_estimate(sum(one.violations > 0 for one in mine), len(mine)),
        )
        for name, mine in found.items()
    )


def _largest_lag(records: Sequence[RunRecord]) -> float | None:
    return max((record.stale_s for record in records if record.stale_s is not None), default=None)


def _latencies(records: Sequence[RunRecord], scenarios: Collection[str], design: str) -> dict[int, Histogram]:
    """Seed to the latencies before any fault, those of all scenarios merged; seeds with a scenario missing
    are left out."""
    found: dict[int, dict[str, Histogram]] = {}
    for record in records:
        if record.design == design and record.scenario in scenarios:
            found.setdefault(record.seed, {})[record.scenario] = record.baseline_latency
    return {seed: merge(one.values()) for seed, one in found.items() if set(one) == set(scenarios)}


def _added(
    records: Sequence[RunRecord], scenarios: Collection[str], first: str, design: str
) -> Estimate | None:
    """Seconds at p95 in the baseline, over the seeds that both have."""
    one, other = (_latencies(records, scenarios, name) for name in (first, design))
    seeds = sorted(set(one) & set(other))
    return added_quantile([one[s] for s in seeds], [other[s] for s in seeds], P95)


def _cell(scenario: str, design: str, every: Sequence[RunRecord], first: str) -> DesignInScenario:
    records = [record for record in every if record.scenario == scenario and record.design == design]
    scores = [record.score for record in records if record.score is not None]
    reached = [record.recovery_s for record in records if record.recovery_s is not None]
    censored = [record.censored_s for record in records if record.censored_s is not None]
    return DesignInScenario(
        scenario=scenario,
        design=design,
        runs=len(records),
        invalid=sum(record.score is None for record in records),
        vetoes=sum(record.vetoed for record in records),
        vetoed_by=_vetoed_by(records),
        verdict=worst(record.verdict for record in records),
        verdicts=tuple(
            ComparedRun(record.seed, record.verdict, _page(record), record.vetoed) for record in records
        ),
        score=score_estimate(scores) if scores else None,
        recovery=median_time(reached, censored) if reached or censored else None,
        safety=_safety(records),
        stale_s=_largest_lag(records),
        staleness=_estimate(map(_stale_s, records)),
        repair_s=_estimate(map(_repair_s, records)),
        calls=_estimate(map(_calls, records)),
        cpu_ms=_estimate(map(_cpu_ms, records)),
        baseline_p95_s=quantile_estimate([record.baseline_latency for record in records], P95),
        added_p95_s=None if design == first else _added(every, [scenario], first, design),
    )


def _vetoed_by(records: Sequence[RunRecord]) -> tuple[tuple[str, int], ...]:
    """What was violated in vetoed runs, the most often violated property first."""
    counted = Counter(name for record in records if record.vetoed for name in record.safety)
    return tuple(sorted(counted.items(), key=lambda one: (-one[1], one[0])))


def _page(record: RunRecord) -> str:
    """From the folder of the comparison: run folders lie beside it."""
    return f"../{Path(record.folder).name}/report.html" if record.folder else ""


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
    design: str, title: str, records: Sequence[RunRecord], weights: dict[str, float], first: str
) -> DesignSummary:
    mine = [record for record in records if record.design == design]
    means = list(seed_means(records, weights, design).values())
    return DesignSummary(
        design=design,
        title=title,
        score=score_estimate(means) if means else None,
        vetoes=sum(record.vetoed for record in mine),
        vetoed_by=_vetoed_by(mine),
        invalid=sum(record.score is None for record in mine),
        safety=_safety(mine),
        stale_s=_largest_lag(mine),
        staleness=_over_seeds(mine, weights, _stale_s),
        repair_s=_over_seeds(mine, weights, _repair_s),
        calls=_over_seeds(mine, weights, _calls),
        cpu_ms=_over_seeds(mine, weights, _cpu_ms),
        baseline_p95_s=quantile_estimate(list(_latencies(mine, weights, design).values()), P95),
        added_p95_s=None if design == first else _added(records, weights, first, design),
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
                effects.append(EffectSize(scenario, design, first, _possible(difference)))
    return effects


def _gap(
    order: Sequence[DesignSummary], records: Sequence[RunRecord], weights: dict[str, float]
) -> PairedDifference | None:
    """The first design of the ranking against the second, over the seeds that both have."""
    if len(order) < 2:
        return None
    one, other = (seed_means(records, weights, design.design) for design in order[:2])
    seeds = sorted(set(one) & set(other))
    return _possible(paired_difference([other[s] for s in seeds], [one[s] for s in seeds])) if seeds else None


def _possible(difference: PairedDifference) -> PairedDifference:
    """No two scores are more than 100 points apart, whatever the t distribution would allow."""
    if difference.low is None or difference.high is None:
        return difference
    return replace(difference, low=max(-100.0, difference.low), high=min(100.0, difference.high))


def _price(
    order: Sequence[DesignSummary], records: Sequence[RunRecord], weights: dict[str, float]
) -> Estimate | None:
    """What the first design of the ranking adds to the p95 of the second in the baseline."""
    if len(order) < 2:
        return None
    return _added(records, weights, order[1].design, order[0].design)
