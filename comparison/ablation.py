"""What each switch of a design is worth: the design against itself without the switch, over scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from comparison.figures import seed_means
from experiment.plain_text import Plain
from experiment.units import noun, signed
from measurement.run_records import RunRecord
from measurement.statistics import PairedDifference, paired_difference
from reports.repeats import rate_text

HEAD = ("without", "points", "most in", "what no longer holds", "objectives missed")
EDGE = 0.05  # points; less is no difference in a table of tenths


@dataclass(frozen=True, slots=True)
class Lost:
    """A property or an objective that does not hold in more runs without the switch than with it."""

    name: str  # of the property or objective
    scenario: str  # in which
    runs: int  # in how many runs it does not hold without the switch
    of: int  # of how many
    veto: bool = False  # whether the run is worth nothing then


@dataclass(frozen=True, slots=True)
class Ablated:
    """The design without one switch. `points` are of the weighted mean over all scenarios, by seed; `most` is
    the scenario that loses most."""

    lacking: str  # the switch, and the value that it has instead where several are worse
    played: int  # scenarios in which any service obeys it; in the others nothing can differ
    points: PairedDifference | None  # none: no seed was scored in every scenario
    most: str  # the scenario that loses most; empty: none loses anything
    most_points: float  # what it loses, a mean over seeds
    properties: tuple[Lost, ...]  # the properties that do not hold, those that veto first
    objectives: tuple[Lost, ...]  # the objectives that are not met
    unscored: int  # runs without the switch that have no score


@dataclass(frozen=True, slots=True)
class AblationReport(Plain):
    """A table of switches; `source` is the runtime that the runs were played on."""

    design: str  # the design that has them all
    suite: str  # the suite whose scenarios were played
    source: str  # the runtime
    command: str  # the command that makes it again
    scenarios: tuple[str, ...]  # the scenarios
    seeds: tuple[int, ...]  # the seeds
    runs: int  # runs that were played
    rows: tuple[Ablated, ...]  # one a switch, what costs most first


def ablated(
    lacking: str, whole: Sequence[RunRecord], without: Sequence[RunRecord], weights: Mapping[str, float]
) -> Ablated:
    """Of the records of the whole design and of those without the switch, which may lack scenarios: there the
    two are the same. Both have the same seeds."""
    changed = {record.scenario for record in without}
    full = [*without, *(record for record in whole if record.scenario not in changed)]
    names = whole[0].design, "without"
    means = [
        seed_means([_named(record, name) for record in records], dict(weights), name)
        for name, records in zip(names, (whole, full), strict=True)
    ]
    seeds = sorted(set(means[0]) & set(means[1]))
    points = paired_difference([means[0][s] for s in seeds], [means[1][s] for s in seeds]) if seeds else None
    losses = {name: _points(name, whole, without) for name in sorted(changed)}
    most = min(losses, key=lambda name: losses[name], default="")
    lost = losses.get(most, 0.0)
    return Ablated(
        lacking=lacking,
        played=len(changed),
        points=points,
        most=most if lost < -EDGE else "",
        most_points=lost if lost < -EDGE else 0.0,
        properties=tuple(sorted(_lost(whole, without, "violated"), key=lambda one: not one.veto)),
        objectives=tuple(_lost(whole, without, "missed")),
        unscored=sum(record.score is None for record in without),
    )


def _named(record: RunRecord, design: str) -> RunRecord:
    return replace(record, design=design)


def _points(scenario: str, whole: Sequence[RunRecord], without: Sequence[RunRecord]) -> float:
    """The mean over seeds that both were scored with; 0 where there is none."""
    before, after = (
        {r.seed: r.score for r in records if r.scenario == scenario and r.score is not None}
        for records in (whole, without)
    )
    both = sorted(set(before) & set(after))
    return sum(after[seed] - before[seed] for seed in both) / len(both) if both else 0.0


def _lost(whole: Sequence[RunRecord], without: Sequence[RunRecord], kind: str) -> list[Lost]:
    found: list[Lost] = []
    for scenario in dict.fromkeys(record.scenario for record in without):
        mine = [record for record in without if record.scenario == scenario]
        same = [record for record in whole if record.scenario == scenario]
        for name in dict.fromkeys(name for record in mine for name in getattr(record, kind)):
            runs = sum(name in getattr(record, kind) for record in mine)
            if runs > sum(name in getattr(record, kind) for record in same):
                veto = any(name in record.safety for record in mine)
                found.append(Lost(name, scenario, runs, len(mine), veto))
    return found


def ranked(rows: Sequence[Ablated]) -> tuple[Ablated, ...]:
    """What costs most first; of equal ones by name."""
    return tuple(sorted(rows, key=lambda row: (row.points.mean if row.points else 0.0, row.lacking)))


def ablation_table(report: AblationReport) -> list[tuple[str, ...]]:
    """The head and one line of texts for each switch."""
    return [HEAD, *(_line(row) for row in report.rows)]


def _line(row: Ablated) -> tuple[str, ...]:
    if not row.played:
        return (row.lacking, "0.0", "–", "no scenario has a service that obeys it", "–")
    points = "not known" if row.points is None else _points_text(row.points)
    most = f"{_stem(row.most)} {row.most_points:+.0f}" if row.most else "–"
    return (row.lacking, points, most, _lost_text(row.properties), _lost_text(row.objectives))


def _points_text(points: PairedDifference) -> str:
    interval = ""
    if points.low is not None and points.high is not None and points.low != points.high:
        interval = f" ({signed(points.low)} to {signed(points.high)})"
    return f"{signed(points.mean)}{interval}"


def _lost_text(lost: Sequence[Lost]) -> str:
    """`**at_most_once** (reply_lost, key_reused 2 of 3 runs)`; bold is a veto."""
    by_name: dict[tuple[str, bool], list[str]] = {}
    for one in lost:
        share = "" if one.runs == one.of else f" {rate_text(one.runs, one.of)}"
        by_name.setdefault((one.name, one.veto), []).append(f"{_stem(one.scenario)}{share}")
    said = [
        f"{f'**{name}**' if veto else name} ({', '.join(places)})" for (name, veto), places in by_name.items()
    ]
    return "; ".join(said) or "–"


def _stem(scenario: str) -> str:
    return scenario.rpartition("/")[2]


def ablation_markdown(report: AblationReport) -> str:
    """The table for a page, with what it was made of."""
    head, *lines = ablation_table(report)
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    rows += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    made = (
        f"`{report.command}`: {noun(report.runs, 'run')} of {noun(len(report.scenarios), 'scenario')} on "
        f"{report.source}, {noun(len(report.seeds), 'seed')}. Points are of the weighted mean over all; "
        "bold is a veto."
    )
    return "\n".join([*rows, "", made, ""])
