"""A design over a suite in four numbers: weighted mean score, worst scenario, coverage, vetoes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from experiment.controls import Change, capability
from experiment.suite import Entry, Suite
from experiment.topology import ANSWERED, System
from experiment.verdict import Verdict
from faults import KINDS
from measurement.run_records import RunRecord
from measurement.statistics import median_time, quantile_estimate, score_estimate
from reports.report import FourNumbers, RepeatedEntry

Covered = frozenset[tuple[str, str]]  # place (a link or a service) and fault class


def four_numbers(
    suite: Suite, records: Sequence[RunRecord], system: System, seeds: Sequence[int]
) -> tuple[FourNumbers, ...]:
    """One row a design, in the order of appearance. `seeds` are those that were asked for: an entry that was
    not run with one of them, or not scored, leaves the mean unknown; with repeats it has an interval over
    seeds."""
    designs = dict.fromkeys(entry.design for entry in suite.entries)
    return tuple(_of_design(design, suite, records, system, seeds) for design in designs)


def _of_design(
    design: str, suite: Suite, records: Sequence[RunRecord], system: System, seeds: Sequence[int]
) -> FourNumbers:
    entries = {index for index, entry in enumerate(suite.entries) if entry.design == design}
    mine = [record for record in records if record.entry in entries]
    scored = [record for record in mine if record.score is not None]
    worst = min(scored, key=lambda record: record.score or 0.0, default=None)
    means = [
        weighted_mean(suite, entries, [record for record in mine if record.seed == seed]) for seed in seeds
    ]
    known = [mean for mean in means if mean is not None]
    estimate = score_estimate(known) if known and len(known) == len(means) else None
    interval = None
    if estimate is not None and estimate.low is not None and estimate.high is not None:
        interval = (estimate.low, estimate.high)
    return FourNumbers(
        design=design,
        mean=estimate.mean if estimate else None,
        worst=worst.score if worst else None,
        worst_scenario=worst.scenario if worst else "",
        covered=len(covered((pair for record in mine for pair in record.exercised), system)),
        coverable=len(coverable(system)),
        vetoes=sum(record.vetoed for record in mine),
        interval=interval,
        unscored=len(seeds) * len(entries) - len(scored),
    )


def repeated_entries(suite: Suite, records: Sequence[RunRecord]) -> tuple[RepeatedEntry, ...]:
    """One row an entry, in the order of the suite; none when every entry ran once."""
    if len({record.seed for record in records}) < 2:
        return ()
    rows = []
    for index, entry in enumerate(suite.entries):
        mine = [record for record in records if record.entry == index]
        scores = [record.score for record in mine if record.score is not None]
        reached = [record.recovery_s for record in mine if record.recovery_s is not None]
        censored = [record.censored_s for record in mine if record.censored_s is not None]
        rows.append(
            RepeatedEntry(
                scenario=entry.scenario,
                design=entry.design,
                runs=len(mine),
                met=sum(entry_met(entry, record) for record in mine),
                vetoes=sum(record.vetoed for record in mine),
                invalid=len(mine) - len(scores),
                score=score_estimate(scores) if scores else None,
                recovery=median_time(reached, censored) if reached or censored else None,
                baseline_p95=quantile_estimate([record.baseline_latency for record in mine], 0.95),
                load_p95=quantile_estimate([record.load_latency for record in mine], 0.95),
            )
        )
    return tuple(rows)


def entry_met(entry: Entry, record: RunRecord) -> bool:
    """The expected verdict, and for the expected reason when the suite names one."""
    if record.verdict != Verdict(entry.expect):
        return False
    return set(entry.violates) <= set(record.violated) and set(entry.misses) <= set(record.missed)


def weighted_mean(suite: Suite, entries: set[int], records: Sequence[RunRecord]) -> float | None:
    """Mean score of one seed's runs; None when an entry was not run or has no score."""
    scores = {record.entry: record.score for record in records}
    if not entries or any(scores.get(entry) is None for entry in entries):
        return None
    weights = {entry: suite.entries[entry].weight for entry in entries}
    return sum(weights[entry] * (scores[entry] or 0.0) for entry in entries) / sum(weights.values())


def coverable(system: System) -> Covered:
    """Every place with every class that some kind of fault has there, on whatever runtime."""
    return frozenset((place, kind.fault_class) for kind in _kinds() for place in _places(kind, system))


def covered(exercised: Iterable[tuple[str, str]], system: System) -> Covered:
    """Of pairs of target and kind those that exist: always a part of `coverable`."""
    pairs = set(exercised)
    return frozenset(
        (place, kind.fault_class)
        for kind in _kinds()
        for place in _places(kind, system)
        if (place, kind.kind) in pairs
    )


def _kinds() -> list[Any]:
    """The registry's classes, with their class variables."""
    return list(KINDS.values())


def _places(kind: Any, system: System) -> list[str]:
    if kind.target_kind == "node":
        own = kind.requires == capability(Change)  # what a service changes on request, it offers by name
        return [
            name
            for name, service in system.services.items()
            if service.role in kind.roles and (service.changes or not own)
        ]
    if kind.target_kind != "behaviour":
        return [link.name for link in system.links]
    # It acts in a service, which must be ours.
    spoken = ANSWERED if kind.protocol in ANSWERED else {kind.protocol}
    return [link.name for link in system.links if link.protocol in spoken]
