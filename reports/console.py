"""A run or a suite in a few lines for a terminal; plain text unless colour is asked for."""

from __future__ import annotations

from collections.abc import Iterable

from experiment.plain_text import Ours
from experiment.tables import Table, flat, one_line
from experiment.verdict import Verdict
from measurement.analysis import Analysis, JourneyPhase
from reports import wording
from reports.cases import count_text
from reports.repeats import REPEATED_HEAD, repeated_row
from reports.report import RunReport, SuiteReport

CODES = {
    Verdict.PASS: "32",
    Verdict.FAIL: "31",
    Verdict.ABORTED: "31",
    Verdict.INCONCLUSIVE: "33",
    Verdict.INVALID: "35",
}
MAX_REASONS = 6
MAX_VIOLATIONS = 3


def run_lines(report: RunReport, colour: bool = False) -> list[str]:
    """Verdict and reasons, score, fault windows, figures under the fault, first violations."""
    analysis, header = report.analysis, report.header
    mark = _paint(_word(analysis.verdict, analysis.vetoed), analysis.verdict, colour)
    lines = [
        f"{mark}  {report.facts.scenario.name} on {report.facts.design.name} (seed {header.seed}): "
        f"{wording.headline(analysis)}"
    ]
    lines += [f"  why      {reason}" for reason in analysis.reasons[1:MAX_REASONS]]
    interval = wording.interval_text(analysis.score)
    # The statements behind a veto are the headline and the reasons.
    score = (wording.score_short if analysis.vetoed else wording.score_text)(analysis.score)
    lines.append(f"  score    {score}" + (f", {interval}" if interval else ""))
    lines.append(f"  judged   {count_text(report.cases)}")
    lines += [f"  fault    {text}" for text in _faults(analysis)]
    lines += [f"  figures  {text}" for text in _figures(analysis.journeys)]
    lines += [f"  found    {text}" for text in _violations(analysis)]
    if located := wording.localisation_text(analysis.localisation):
        lines.append(f"  located  {located}")
    if analysis.recovery is not None:
        lines.append(f"  recovery {analysis.recovery.statement}")
    lines += [f"  waiver   {wording.waiver_text(waiver)}" for waiver in analysis.waivers]
    if pressure := wording.pressure_text(analysis.machine):
        lines.append(f"  machine  {pressure}")
    lines += [f"  {note.level:<8} {note.text}" for note in report.notes if note.level != "info"]
    if header.source == "simulation":
        lines.append(f"  source   {wording.source_text(header)}")
    return [_line(text, colour) for text in lines]


def suite_said(suite: SuiteReport, colour: bool = False, short: bool = False) -> list[str | Table]:
    """A row a run, the figures of what was repeated, the four numbers of each design, and whether all came
    out as expected. `short`: without what failed beside the score, which the reason says again."""
    told: list[str | Table] = []
    if suite.entries:
        told.append(_entries(suite, short))
    if suite.repeated:
        head = tuple(REPEATED_HEAD)
        told.append(Table("", head, tuple(tuple(repeated_row(each)) for each in suite.repeated)))
    for numbers in suite.numbers:
        between = numbers.interval
        interval = f" (95%: {between[0]:.0f} to {between[1]:.0f})" if between else ""
        told.append(
            f"{numbers.design}: weighted mean {_score(numbers.mean)}{interval}, "
            f"worst {wording.worst_text(numbers.worst, numbers.worst_scenario, numbers.unscored)}, "
            f"coverage {numbers.covered} of {numbers.coverable}, vetoes {numbers.vetoes}"
        )
    painted = _paint(f"suite {suite.verdict.value.upper()}", suite.verdict, colour)
    told.append(_line(f"{painted}: {suite.headline}", colour))
    return [*told, *([_line(f"hint: {suite.hint}", False)] if suite.hint else [])]


def _entries(suite: SuiteReport, short: bool) -> Table:
    rows, verdicts = [], []
    for entry in suite.entries:
        run = entry.summary
        word = _word(run.verdict, run.vetoed) if run else "NOT RUN"
        odd = "" if entry.met else f"  EXPECTED {entry.wanted}"
        score = "" if run is None else _score(run.score) if short else run.score_text
        rest = f"{score}; {run.headline}" if run else ""
        rows.append((entry.scenario, entry.design, f"{word:<14}{odd}", rest))
        verdicts.append((run.verdict if run else Verdict.INCONCLUSIVE).value)
    return Table("", (), tuple(rows), tuple(verdicts), painted=2)


def suite_lines(suite: SuiteReport) -> list[str]:
    """The same as plain text, one line a row."""
    return flat(suite_said(suite))


def render_run(report: RunReport) -> str:
    """The lines of a run as plain text."""
    return "\n".join(run_lines(report)) + "\n"


def render_suite(suite: SuiteReport) -> str:
    """The lines of a suite as plain text."""
    return "\n".join(suite_lines(suite)) + "\n"


def _word(verdict: Verdict, vetoed: bool) -> str:
    return verdict.value.upper() + (" (veto)" if vetoed else "")


def _paint(text: str, verdict: Verdict, colour: bool) -> str:
    return f"\x1b[1;{CODES[verdict]}m{text}\x1b[0m" if colour else text


def _line(text: str, colour: bool) -> str:
    """One line of a report, whose texts have passed the door: the only escapes in it are our colours."""
    told = one_line(text).rstrip()
    return Ours(told) if colour else told


def _faults(analysis: Analysis) -> Iterable[str]:
    for fault in analysis.faults:
        seen = "" if fault.observed else "NOT OBSERVED: "
        healed = "" if fault.healed else ", NOT HEALED"
        span = f"{wording.at(fault.start)} to {wording.at(fault.end)}"
        yield f"{fault.kind} on {fault.target}, {span}{healed}: {seen}{fault.effect}"


def _figures(rows: Iterable[JourneyPhase]) -> Iterable[str]:
    """Each journey in the fault phase; of a run without one, in the baseline."""
    kept = list(rows)
    during = [row for row in kept if row.phase == "fault"] or [row for row in kept if row.phase == "baseline"]
    wide = max((len(row.journey) for row in during), default=0)
    for row in during:
        latency = f"p50 {wording.duration(row.p50)}, p95 {wording.duration(row.p95)}"
        errors = f" ({wording.errors_text(row.errors)})" if row.errors else ""
        errors += f" (labelled: {wording.errors_text(row.labels)})" if row.labels else ""
        yield f"{row.journey:<{wide}}  {row.phase} {_shares(row)} of {row.offered}, {latency}{errors}"


def _shares(row: JourneyPhase) -> str:
    """`52% good`; `86.9% succeeded, 52% good` where some of what succeeded came too late."""
    if row.success_ratio is None or not row.offered:
        return "no data"
    good = row.good / row.offered
    succeeded = f"{wording.percent(row.success_ratio):>6} succeeded, "
    if wording.percent(good) == wording.percent(row.success_ratio):
        return f"{wording.percent(good):>6} good"
    return f"{succeeded}{wording.percent(good)} good"


def _violations(analysis: Analysis) -> Iterable[str]:
    for check in analysis.checks:
        for violation in check.violations[:MAX_VIOLATIONS]:
            yield f"{check.checker}: {violation.statement}"
        if check.violation_count > MAX_VIOLATIONS:
            yield f"{check.checker}: {check.violation_count - MAX_VIOLATIONS} more"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
