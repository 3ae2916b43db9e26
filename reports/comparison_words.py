"""What a comparison says in words."""

from __future__ import annotations

from collections.abc import Sequence

from measurement.statistics import PairedDifference
from reports.comparison import DesignInScenario, DesignSummary, EffectSize, effect_text


def ranked(designs: Sequence[DesignSummary]) -> list[DesignSummary]:
    """Those that were scored: fewest vetoes first, then the highest mean score."""
    scored = [design for design in designs if design.score is not None]
    return sorted(scored, key=lambda d: (d.vetoes, -(d.score.mean if d.score else 0.0)))


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
    if winner.cpu_ms and second.cpu_ms and second.cpu_ms.mean:
        pays.append(f"{winner.cpu_ms.mean / second.cpu_ms.mean - 1:+.0%} CPU for each operation")
    if winner.calls and second.calls and second.calls.mean:
        pays.append(f"{winner.calls.mean / second.calls.mean - 1:+.0%} calls between services")
    if winner.baseline_p95_s is not None and second.baseline_p95_s is not None:
        added = (winner.baseline_p95_s.mean - second.baseline_p95_s.mean) * 1000
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
