"""How reports say things: one wording for every format, so that pages, logs and summaries agree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from experiment.history import Header
from experiment.scenario import PHASES
from experiment.units import format_duration
from experiment.verdict import Verdict
from measurement.analysis import Analysis, JourneyPhase, MachineUse, RecoveryResult, Score, WaiverUse
from measurement.localisation import Localisation
from measurement.pressure import GENERATOR, LEAST_SHARE, spoilt

VERDICT_MARKS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.ABORTED: "■",
    Verdict.INCONCLUSIVE: "?",
    Verdict.INVALID: "⊘",
}
SOURCES = {
    "processes": "live run, local processes",
    "containers": "live run, containers",
    "attach": "live run, a system that ran already",
    "simulation": "simulation: a prediction, not evidence",
}
PART_NAMES = {
    "absorb": ("A", "how users fared in the whole fault, the worst journey first"),
    "depth": ("D", "the same in the worst tenth of all stretches of 5 s, recovery included"),
    "recover": ("T", "1 - time to recover / budget, under load"),
    "contain": ("C", "how users fared in journeys that do not depend on the faulted part"),
    "converge": ("E", "1 - time until backlogs are drained and copies are current / budget"),
}
_MOMENT = re.compile(r"(?P<day>[\d-]{10})T(?P<minute>\d\d:\d\d)[\d:.]*\+00:00")
_BRACKETS = re.compile(r"\([^)]*\)")


def number(value: float) -> str:
    """At most three significant digits below 1000, whole numbers above."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(share: float) -> str:
    """0.9931 -> 99.3%. Only a share of exactly 1 is printed as 100%."""
    text = f"{100 * share:.1f}"
    if share < 1 and text == "100.0":
        text = "> 99.9"
    return text.removesuffix(".0") + "%"


def duration(seconds: float | None) -> str:
    """Seconds for people; no figure is a dash."""
    if seconds is None:
        return "–"
    return "0 s" if seconds == 0 else format_duration(float(f"{seconds:.3g}") if seconds < 1000 else seconds)


def signed_duration(seconds: float) -> str:
    """A difference: +4 ms, -4 ms, 0 s."""
    return duration(seconds) if seconds == 0 else f"{'+' if seconds > 0 else '-'}{duration(abs(seconds))}"


def unbroken(text: str) -> str:
    """`91 (88 to 94), 1 of 5 never` may be broken before the bracket and after it, and not within."""
    return _BRACKETS.sub(lambda found: found[0].replace(" ", "\u00a0"), text)


def at(t: float | None) -> str:
    """A time of the run: seconds since its zero."""
    return "–" if t is None else f"{t:.3f} s"


def moment(started_at: str) -> str:
    """`2026-12-01 01:09 UTC` of a time as ISO 8601; another form stays as it is."""
    found = _MOMENT.fullmatch(started_at)
    return f"{found['day']} {found['minute']} UTC" if found else started_at


def wall(t: float, zero_wall: float) -> str:
    """A time of the run on the wall clock, UTC."""
    moment = datetime.fromtimestamp(zero_wall + t, UTC)
    return moment.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")


def score_text(score: Score) -> str:
    """`0 (vetoed: 3 duplicate orders; would have been 91)`, `91`, `99 (failed: recovers)`, `no score`. A
    number never stands alone beside a failure: the score weighs quality, not single promises."""
    if score.value is None:
        return "no score"
    if score.veto:
        would = "" if score.without_veto is None else f"; would have been {round(score.without_veto)}"
        return f"{round(score.value)} (vetoed: {score.veto}{would})"
    failed = f" (failed: {', '.join(score.failed)})" if score.failed else ""
    return f"{score.value:.0f}{failed}"


def scores_before_text(score: Score) -> str:
    """`By codeblue-1 it is 84.`; empty where no earlier formula gives a figure."""
    known = {name: value for name, value in score.before.items() if value is not None}
    return " ".join(f"By {name} it is {value:.0f}." for name, value in known.items())


def score_short(score: Score) -> str:
    """As `score_text`, where what failed stands beside it: `0, vetoed; would have been 91`, `99, failed`."""
    if score.value is None:
        return score_text(score)
    if not score.veto:
        return f"{score.value:.0f}{', failed' if score.failed else ''}"
    would = "" if score.without_veto is None else f"; would have been {round(score.without_veto)}"
    return f"{round(score.value)}, vetoed{would}"


def waiver_text(waiver: WaiverUse) -> str:
    """Who waived what until when and why, and whether that changed anything in this run."""
    state = "in force" if waiver.in_force else "expired"
    effect = "lifts a violation of this run" if waiver.lifts else "lifts nothing in this run"
    named = f"{waiver.invariant}, waived by {waiver.by} until {waiver.until}: {waiver.reason}"
    return f"{named} ({state}, {effect})"


def worst_text(score: float | None, scenario: str, unscored: int) -> str:
    """`12 (blackhole), of those with a score (2 have none)`."""
    text = "–" if score is None else f"{score:.0f} ({scenario})"
    return f"{text}, of those with a score ({unscored} have none)" if unscored else text


def recovery_text(recovery: RecoveryResult | None) -> str:
    """`3 s after the heal (10 s allowed)`, `at once after the heal`, `not within 10 s`, `not asked for`."""
    if recovery is None:
        return "not asked for"
    if recovery.seconds is None:
        return f"not within {duration(recovery.budget)}"
    when = "at once" if recovery.seconds == 0 else duration(recovery.seconds)
    return f"{when} after the heal ({duration(recovery.budget)} allowed)"


def interval_text(score: Score) -> str:
    """The within-run interval, labelled as such; empty when there is none. A vetoed 0 has none: it was not
    measured."""
    if score.interval is None or score.veto:
        return ""
    return f"{score.interval[0]:.0f} to {score.interval[1]:.0f} (95%, within this run)"


def source_text(header: Header) -> str:
    """Where a run's figures come from; a simulated one says so and how far it was from the last live run."""
    return ". ".join(filter(None, (SOURCES.get(header.source, header.source), calibration_text(header))))


def calibration_text(header: Header) -> str:
    """What a simulated run was calibrated with; empty for a live run."""
    if header.source != "simulation":
        return ""
    return f"Calibration: {header.calibration or 'none, so the distance to a live run is unknown'}"


def machine_text(use: MachineUse) -> str:
    """`others took 1.7 of 2 cores (at most 2.0), the run 0.3; something waited for CPU 95% of the time`."""
    waited = "for how long something waited for CPU the kernel does not say (no PSI)"
    if use.waiting is not None:
        waited = f"something waited for CPU {percent(use.waiting)} of the time"
    taken = f"others took {use.others:.1f} of {use.cores:.0f} cores (at most {use.most_others:.1f})"
    return f"{taken}, the run {use.own:.1f}; {waited}"


def pressure_text(use: MachineUse | None) -> str:
    """What a reader must know of a machine that others kept busy during the load; empty when they did not."""
    if use is None or use.pressed < LEAST_SHARE:
        return ""
    shown = percent(round(use.pressed, 2))
    return f"under pressure from outside for {shown} of the load: {machine_text(use)}"


HINTS = {  # what to do about a condition of validity that did not hold
    "complete": "read the end of the run's history and logs/, then run it again",
    "evidence_is_complete": "look into the run's logs/ for what died or was not read, then run it again",
    "baseline_met": "make the system meet its objectives without a fault first, or correct expect.baseline",
    "fault_observed": "see whether the scenario's journeys use the link, and whether the fault is strong "
    "enough",
    "generator_kept_up": "free some cores (`codeblue doctor` shows whether the machine is quiet) or lower "
    "the scenario's arrivals, then run it again",
    "clean_up_verified": "`codeblue clean`, then run it again",
}
BUSY = "others kept the machine busy: run it again when it is quiet (`codeblue doctor` shows it)"


def localisation_text(found: Localisation | None) -> str:
    """`suspect: a -> b (...), which was injected, alarm after 2 s`; empty where nobody collects telemetry."""
    if found is None:
        return ""
    if not found.injected:
        return found.told
    if found.found:
        right = "which was injected"
    elif found.place is None:
        right = f"injected was {found.injected}"
    else:
        right = f"injected was {found.injected}, at place {found.place:g} of {found.links}"
    alarm = "" if found.detected_s is None else f", alarm after {duration(found.detected_s)}"
    repair = (
        "" if found.repair_s is None else f", found by a scripted operator after {duration(found.repair_s)}"
    )
    return f"{found.told}, {right}{alarm}{repair}"


def hint_of(analysis: Analysis) -> str:
    """What to do about an invalid run, by the conditions that did not hold; of another run nothing."""
    if analysis.verdict is not Verdict.INVALID:
        return ""
    broken = {check.name for check in analysis.validity if not check.ok}
    if spoilt(analysis) and broken != {GENERATOR}:
        return BUSY
    order = ("clean_up_verified", "generator_kept_up", "baseline_met", *HINTS)
    first = next((name for name in order if name in broken), "")
    return HINTS.get(first, "its page says which condition did not hold; then run it again")


def headline(analysis: Analysis) -> str:
    return analysis.reasons[0] if analysis.reasons else "no reason was recorded"


def figure(name: str, value: float) -> str:
    """A measured figure in the unit of its bound: success as a percentage, all others as a duration."""
    return percent(value) if name == "success" else duration(value)


def by_phase(rows: Iterable[JourneyPhase]) -> list[JourneyPhase]:
    """In the order of the phases; the journeys of a phase in their own order."""
    order = {name: place for place, name in enumerate(PHASES)}
    return sorted(rows, key=lambda row: order.get(row.phase, len(order)))


def errors_text(errors: Mapping[str, int]) -> str:
    """`timeout 12, 503 3`, the commonest first."""
    ordered = sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{kind} {count}" for kind, count in ordered)


def evidence_value(name: str, value: object) -> str:
    """One cell of an evidence row; the columns that hold times of the run are printed as such."""
    if value is None:
        return "–"
    if name in ("t", "intended", "sent", "ended") and isinstance(value, (int, float)):
        return at(float(value))
    if name == "amount" and isinstance(value, (int, float)):
        return f"{value:.2f}"
    if isinstance(value, float):
        return number(value)
    return str(value)
