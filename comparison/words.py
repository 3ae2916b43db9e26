"""What a comparison says: tables of what happened, how safe that was and what it cost, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comparison.report import ComparisonReport, DesignFigures, DesignInScenario, DesignSummary, EffectSize
from experiment.units import noun, signed
from measurement.statistics import Estimate, PairedDifference
from reports.repeats import mean_text, rate_text, recovery_text, score_text, share_text, time_text
from reports.wording import duration

Fields = tuple[str, ...]
DESIGN = ("design",)
CELL = ("scenario", "design")
OF_DESIGN = ("score (95%)", "vetoes", "invalid")
OF_CELL = ("runs", "score (95%)", "vetoes (95%)", "invalid", "recovered in (95%)")
SAFETY = ("violations", "runs with any (95%)")
STALENESS = ("staleness (95%)", "largest lag")
REPAIR = ("time until a scripted operator has found the fault (95%)",)
COST = ("calls / op (95%)", "CPU / op (95%)", "baseline p95 (95%)", "added p95 (95%)")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as long as the head; the first `names` fields of a row say what it is about."""

    title: str
    names: int
    head: Fields
    rows: tuple[Fields, ...]


def tables(report: ComparisonReport) -> tuple[tuple[Table, ...], tuple[Table, ...]]:
    """(designs over all scenarios, each in every scenario): each time outcome, safety, staleness where it is
    bounded, repair where telemetry is asked for, and cost, which together would be wider than a page."""
    designs: dict[Fields, DesignSummary] = {(design.design,): design for design in report.designs}
    cells: dict[Fields, DesignInScenario] = {(cell.scenario, cell.design): cell for cell in report.cells}
    broken = {
        (cell.scenario, figures.name)
        for cell in report.cells
        for figures in cell.safety
        if figures.violations
    }
    return (
        (
            _table("Outcome", DESIGN, OF_DESIGN, {name: _of_design(d) for name, d in designs.items()}),
            _table("Safety", ("property", *DESIGN), SAFETY, _safety(designs)),
            _table("Staleness", DESIGN, STALENESS, _staleness(designs)),
            _table("Repair", DESIGN, REPAIR, _repair(designs)),
            _table("Cost", DESIGN, COST, {name: _cost(d) for name, d in designs.items()}),
        ),
        (
            _table("Outcome", CELL, OF_CELL, {name: _of_cell(c) for name, c in cells.items()}),
            _table(
                "Safety that was violated",
                ("property", *CELL),
                SAFETY,
                {name: row for name, row in _safety(cells).items() if (name[1], name[0]) in broken},
            ),
            _table("Staleness", CELL, STALENESS, _staleness(cells)),
            _table("Repair", CELL, REPAIR, _repair(cells)),
            _table("Cost", CELL, COST, {name: _cost(c) for name, c in cells.items()}),
        ),
    )


def _table(title: str, names: Fields, head: Fields, rows: Mapping[Fields, Fields]) -> Table:
    return Table(title, len(names), names + head, tuple(name + row for name, row in rows.items()))


def _of_design(design: DesignSummary) -> Fields:
    return (score_text(design.score), f"{design.vetoes}{_by(design)}", str(design.invalid))


def _by(of: DesignFigures) -> str:
    """` (no_lost_write in 5, conservation in 1)`: properties, and the runs that they vetoed."""
    named = ", ".join(f"{name} in {runs}" for name, runs in of.vetoed_by)
    return f" ({named})" if named else ""


def _of_cell(cell: DesignInScenario) -> Fields:
    return (
        str(cell.runs),
        score_text(cell.score),
        rate_text(cell.vetoes, cell.runs) + _by(cell),
        str(cell.invalid),
        recovery_text(cell.recovery),
    )


def _safety(of: Mapping[Fields, DesignFigures]) -> dict[Fields, Fields]:
    """A row for each property and what it was judged on; properties in the order of the system. What one
    design exercised and another did not, in the same scenario, is said of that one."""
    rows: dict[Fields, Fields] = {}
    for name in dict.fromkeys(figures.name for one in of.values() for figures in one.safety):
        found = {key: next((f for f in one.safety if f.name == name), None) for key, one in of.items()}
        places = {key[:-1] for key, figures in found.items() if figures is not None}
        for key, figures in found.items():
            if figures is not None:
                violations = f"{figures.violations} of {figures.exposed}"
                rows[name, *key] = (violations, share_text(figures.runs.runs, figures.runs.n))
            elif key[:-1] in places:
                rows[name, *key] = ("not exercised", "–")
    return rows


def _staleness(of: Mapping[Fields, DesignFigures]) -> dict[Fields, Fields]:
    return {
        key: (time_text(one.staleness), duration(one.stale_s))
        for key, one in of.items()
        if one.stale_s is not None
    }


def _repair(of: Mapping[Fields, DesignFigures]) -> dict[Fields, Fields]:
    return {key: (time_text(one.repair_s),) for key, one in of.items() if one.repair_s is not None}


def _cost(of: DesignFigures) -> Fields:
    return (
        mean_text(of.calls, digits=2),
        mean_text(of.cpu_ms, " ms"),
        time_text(of.baseline_p95_s),
        time_text(of.added_p95_s, signed=True),
    )


def effect_text(effect: EffectSize) -> str:
    """`resilient against fragile in all: +31.0 points (95%: +28.0 to +34.0), d 6.1 over 5 pairs`."""
    d = effect.difference
    where = f"{effect.design} against {effect.against} in {effect.scenario}: {signed(d.mean)} points"
    pairs = noun(d.n, "pair")
    if d.low is not None and d.low == d.high:
        return f"{where} in each of {pairs}"
    interval = "" if d.low is None or d.high is None else f" (95%: {signed(d.low)} to {signed(d.high)})"
    size = "" if d.effect_size is None else f", d {d.effect_size:.1f}"
    return f"{where}{interval}{size} over {pairs}"


def ranked(designs: Sequence[DesignSummary]) -> list[DesignSummary]:
    """Those that were scored: fewest vetoes first, then the highest mean score."""
    scored = [design for design in designs if design.score is not None]
    return sorted(scored, key=lambda d: (d.vetoes, -(d.score.mean if d.score else 0.0)))


def in_words(
    designs: Sequence[DesignSummary],
    cells: Sequence[DesignInScenario],
    effects: Sequence[EffectSize],
    gap: PairedDifference | None,
    added: Estimate | None,
) -> list[str]:
    """What the winner wins and pays. Vetoes come before scores. Of pairs: `gap` is the winner's score over
    the second's, `added` its p95 in the baseline over that one's, in seconds."""
    order = ranked(designs)
    vetoes = [
        f"Vetoed: {design.design}, in {noun(design.vetoes, 'run')}{_by(design)}."
        for design in designs
        if design.vetoes
    ]
    if len(order) < 2:
        return ["Fewer than two designs were scored in every scenario: there is no winner.", *vetoes]
    winner, second = order[0], order[1]
    assert winner.score is not None and second.score is not None
    words = [_winner(winner, second, gap), *vetoes]
    won = [
        c.scenario for c in cells if c.design == second.design and c.vetoes and not _vetoed(cells, winner, c)
    ]
    if won:
        words.append(f"It keeps every safety property where {second.design} violates one: {', '.join(won)}.")
    pays = []
    if winner.cpu_ms and second.cpu_ms and second.cpu_ms.mean:
        pays.append(f"{winner.cpu_ms.mean / second.cpu_ms.mean - 1:+.0%} CPU for each operation")
    if winner.calls and second.calls and second.calls.mean:
        pays.append(f"{winner.calls.mean / second.calls.mean - 1:+.0%} calls between services")
    if added is not None:
        pays.append(f"{time_text(added, signed=True)} at p95 in the baseline")
    if pays:
        words.append(f"Compared with {second.design}: {', '.join(pays)}.")
    words += [f"{effect_text(effect)}." for effect in effects if effect.scenario == "all"]
    return words


def _winner(winner: DesignSummary, second: DesignSummary, gap: PairedDifference | None) -> str:
    """A winner is named only for fewer vetoes, or for a difference that is more than chance."""
    scores = "; ".join(
        f"{d.design} {d.score.mean:.0f} with {noun(d.vetoes, 'veto', 'vetoes')}"
        for d in (winner, second)
        if d.score
    )
    points = _points(gap)
    if winner.vetoes < second.vetoes:
        return f"{winner.design} wins, since it has fewer vetoes: {scores} ({points})."
    if gap is not None and gap.low is not None and gap.low > 0:
        return f"{winner.design} wins: {scores} ({points})."
    return f"There is no clear winner: {scores} ({points}). {winner.design} leads."


def _points(gap: PairedDifference | None) -> str:
    if gap is None:
        return "no seed was played in all scenarios by both"
    over = noun(gap.n, "pair")
    if gap.low is None or gap.high is None or gap.low == gap.high:
        return f"{signed(gap.mean)} points in {'each of ' if gap.n > 1 else ''}{over}"
    return f"{signed(gap.mean)} points, 95%: {signed(gap.low)} to {signed(gap.high)}"


def _vetoed(cells: Sequence[DesignInScenario], design: DesignSummary, like: DesignInScenario) -> bool:
    return any(c.vetoes for c in cells if c.design == design.design and c.scenario == like.scenario)
