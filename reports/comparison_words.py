"""What a comparison says in words."""

from __future__ import annotations

from collections.abc import Sequence

from experiment.units import noun
from measurement.statistics import Estimate, PairedDifference
from reports.comparison_report import DesignInScenario, DesignSummary, EffectSize
from reports.comparison_tables import effect_text
from reports.repeats import time_text


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
    if winner.cpu_ms and second.cpu_ms and second.cpu_ms.mean:
        pays.append(f"{winner.cpu_ms.mean / second.cpu_ms.mean - 1:+.0%} CPU for each operation")
    if winner.calls and second.calls and second.calls.mean:
        pays.append(f"{winner.calls.mean / second.calls.mean - 1:+.0%} calls between services")
    if added is not None:
        pays.append(f"{time_text(added, signed=True)} at p95 in the baseline")
    if pays:
        words.append(f"Against {second.design} it costs {', '.join(pays)}.")
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
    return f"No winner is shown between {scores} ({points}). {winner.design} leads."


def _points(gap: PairedDifference | None) -> str:
    if gap is None:
        return "no seed has all scenarios on both"
    over = noun(gap.n, "pair")
    if gap.low is None or gap.low == gap.high:
        return f"{gap.mean:+.1f} points in {'each of ' if gap.n > 1 else ''}{over}"
    return f"{gap.mean:+.1f} points, 95%: {gap.low:+.1f} to {gap.high:+.1f}"


def _vetoed(cells: Sequence[DesignInScenario], design: DesignSummary, like: DesignInScenario) -> bool:
    return any(c.vetoes for c in cells if c.design == design.design and c.scenario == like.scenario)
