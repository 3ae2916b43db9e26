"""The distance between live and simulated runs for people: lines for the terminal, a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experiment.units import noun
from simulation.closeness import Gap
from simulation.distance import Distance

WORDS = {True: "close", False: "APART", None: "not known"}


def distance_lines(found: Distance, calibration: str) -> Iterator[str]:
    """Every quantity, good or bad."""
    yield f"{title(found)}: {verdicts(found)}"
    yield f"calibration: {calibration}"
    for gap in found.gaps:
        yield f"  {WORDS[gap.close]:9} {gap.quantity:46} {figures(gap)}"


def title(found: Distance) -> str:
    seeds = ", ".join(str(seed) for seed in found.seeds)
    return f"{found.scenario} on {found.design}, seed{'s' if len(found.seeds) > 1 else ''} {seeds}"


def verdicts(found: Distance) -> str:
    """`live pass, simulated pass`; of several seeds how often they agree."""
    live, simulated = found.verdicts[0]
    if len(set(found.verdicts)) == 1:
        return f"live {live}, simulated {simulated}"
    same = sum(one == other for one, other in found.verdicts)
    return f"the same verdict for {same} of {len(found.verdicts)} seeds"


def figures(gap: Gap) -> str:
    """`live 0.25 (0.2 to 0.3), simulated 0.26 (0.24 to 0.28)`, or why there is none."""
    if gap.live is None and gap.simulated is None:
        return gap.note
    texts = (
        f"{side} {_number(value)}" + (f" ({interval})" if interval else "")
        for side, value, interval in (
            ("live", gap.live, _interval(gap.low, gap.high)),
            ("simulated", gap.simulated, _interval(gap.simulated_low, gap.simulated_high)),
        )
    )
    return ", ".join(texts) + (f"; {gap.note}" if gap.note else "")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def closing(all_found: Sequence[Distance]) -> str:
    """The result in words."""
    if not all_found:
        return "nothing was compared"
    gaps = [gap for found in all_found for gap in found.gaps]
    counts = {close: sum(gap.close is close for gap in gaps) for close in WORDS}
    same = sum(found.same_verdict for found in all_found)
    apart = [
        f"{gap.quantity} ({found.scenario} on {found.design})" for found in all_found for gap in found.apart
    ]
    text = (
        f"the same verdict in {same} of {noun(len(all_found), 'comparison')}; "
        f"of {noun(len(gaps), 'figure')} {counts[True]} are close, {counts[False]} apart, "
        f"{counts[None]} not known"
    )
    return f"{text}; apart: {', '.join(apart)}" if apart else text


def markdown_page(compared: Sequence[tuple[Distance, str]]) -> str:
    """A summary table, then every figure of each distance; beside each its calibration."""
    lines = ["# Live and simulated", "", closing([found for found, _ in compared]) + ".", ""]
    lines += ["| scenario | design | seeds | verdicts | close | apart | not known | widest apart |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for found, _ in compared:
        counts = [sum(gap.close is close for gap in found.gaps) for close in WORDS]
        cells = [found.scenario, found.design, str(len(found.seeds)), verdicts(found), *map(str, counts)]
        lines.append(f"| {' | '.join([*cells, _widest(found)])} |")
    for found, calibration in compared:
        lines += ["", f"## {title(found)}", "", f"Calibration: {calibration}.", ""]
        lines += [
            "| figure | live | 95% interval | simulated | 95% interval | events | tolerance | |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [_row(gap) for gap in found.gaps]
    return "\n".join(lines) + "\n"


def _row(gap: Gap) -> str:
    ours, theirs = _interval(gap.low, gap.high), _interval(gap.simulated_low, gap.simulated_high)
    counts = "" if gap.counts is None else f"{gap.counts[0]} / {gap.counts[1]}"
    word = f"{WORDS[gap.close]}: {gap.note}" if gap.note else WORDS[gap.close]
    cells = [gap.quantity, _number(gap.live), ours, _number(gap.simulated), theirs, counts, gap.rule, word]
    return f"| {' | '.join(cells)} |"


def _widest(found: Distance) -> str:
    """The gap with the largest relative difference among those apart."""

    def ratio(gap: Gap) -> float:
        live, simulated = gap.live or 0.0, gap.simulated or 0.0
        return abs(simulated - live) / max(abs(live), 1e-9)

    widest = max(found.apart, key=ratio, default=None)
    return "" if widest is None else f"{widest.quantity}: {figures(widest)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
