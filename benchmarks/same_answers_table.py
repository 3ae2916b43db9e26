"""The table of `same_answers`: verdicts side by side, and how much longer each journey takes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from experiment.errors import ExitCode
from experiment.verdict import Verdict
from measurement.histogram import Histogram, merge, quantile
from measurement.run_records import RunRecord

RUNTIMES = ("processes", "containers")
LEAST = 5  # latencies above a percentile, on each side


@dataclass(frozen=True, slots=True)
class Answer:
    """One run; `before` has the latencies of each journey before any fault."""

    runtime: str
    record: RunRecord
    before: Mapping[str, Histogram]


Pair = tuple[Answer, Answer]


def pairs(answers: Collection[Answer]) -> dict[tuple[int, int], Pair]:
    """Place in the suite and seed to the runs on both runtimes, where both were played."""
    sides = [
        {(a.record.entry, a.record.seed): a for a in answers if a.runtime == runtime} for runtime in RUNTIMES
    ]
    return {key: (sides[0][key], sides[1][key]) for key in sorted(sides[0].keys() & sides[1].keys())}


def comparable(pair: Pair) -> bool:
    """An invalid run says nothing of the system."""
    return all(answer.record.verdict is not Verdict.INVALID for answer in pair)


def same(pair: Pair) -> bool:
    """The same verdict, and a veto on both sides or on none."""
    one, other = (answer.record for answer in pair)
    return (one.verdict, one.vetoed) == (other.verdict, other.vetoed)


def outcome(found: Mapping[tuple[int, int], Pair], wanted: int) -> ExitCode:
    """FAIL when a verdict differs, INCONCLUSIVE when not all were compared."""
    compared = [pair for pair in found.values() if comparable(pair)]
    if not all(same(pair) for pair in compared):
        return ExitCode.FAIL
    return ExitCode.PASS if len(compared) == wanted else ExitCode.INCONCLUSIVE


def markdown(
    places: Sequence[tuple[int, str, str]], seeds: Sequence[int], answers: Collection[Answer], ground: str
) -> str:
    """`places` are the runs wanted for every seed: place in the suite, scenario, design."""
    found = pairs(answers)
    compared = [pair for pair in found.values() if comparable(pair)]
    equal = sum(same(pair) for pair in compared)
    heads = [f"seed {seed}" for seed in seeds]
    wanted, invalid = len(places) * len(seeds), len(found) - len(compared)
    lines = [
        f"{equal} of {len(compared)} compared pairs have the same verdict; {wanted} are wanted, "
        f"{len(found)} were played, {invalid} had an invalid run. {ground}.",
        "",
        f"| scenario | design | {' | '.join(heads)} |",
        "|---" * (2 + len(heads)) + "|",
    ]
    for entry, scenario, design in places:
        cells = [_cell(found.get((entry, seed))) for seed in seeds]
        lines.append(f"| {scenario} | {design} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_latencies(compared), ""])


def _cell(pair: Pair | None) -> str:
    if pair is None:
        return "-"
    shown = [_verdict(answer.record) for answer in pair]
    if not comparable(pair):
        return f"not compared: {', '.join(shown)}"
    return shown[0] if same(pair) else f"DIFFERENT: {', '.join(shown)}"


def _verdict(record: RunRecord) -> str:
    why = ", ".join(record.broken if record.verdict is Verdict.INVALID else record.violated)
    marks = [part for part in (why, "veto" if record.vetoed else "") if part]
    return record.verdict.value + (f" ({'; '.join(marks)})" if marks else "")


def _latencies(compared: Sequence[Pair]) -> list[str]:
    """One row for each design and journey, over all runs together; of runs that count on both sides only, so
    that both have the same mixture of scenarios."""
    lines = [
        "Before any fault, in milliseconds, all compared runs of a design together:",
        "",
        "| journey | design | operations | p50 processes | containers | more "
        "| p95 processes | containers | more |",
        "|---" * 9 + "|",
    ]
    kinds = {(pair[0].record.design, journey) for pair in compared for journey in pair[0].before}
    for design, journey in sorted(kinds):
        chosen = [pair for pair in compared if pair[0].record.design == design]
        sides = [merge(pair[side].before.get(journey, ()) for pair in chosen) for side in (0, 1)]
        counts = [sum(count for _, count in side) for side in sides]
        figures: list[str] = []
        for q in (0.5, 0.95):
            one, other = (quantile(side, q) for side in sides)
            if one is None or other is None or min(counts) * (1 - q) < LEAST - 1e-9:
                figures += ["too few", "too few", "-"]
            else:
                figures += [f"{1e3 * one:.1f}", f"{1e3 * other:.1f}", f"{1e3 * (other - one):+.1f}"]
        lines.append(f"| {journey} | {design} | {counts[0]}, {counts[1]} | {' | '.join(figures)} |")
    return lines
