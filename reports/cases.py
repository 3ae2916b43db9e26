"""What was judged of a run, as one list of cases that every format renders.

The list agrees with the verdict, and so with the exit code: an error makes a run invalid, a failure makes it
fail, and what was not exercised leaves it inconclusive. What nobody asked for is information and changes
nothing; so is everything about an invalid run but its validity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from experiment.verdict import CheckResult, Verdict
from measurement.analysis import Analysis, ExpectationResult, Status
from measurement.expectations import describe

Kind = Literal["validity", "safety", "liveness", "objective"]


class Outcome(StrEnum):
    """In the order in which readers need them."""

    ERROR = "error"
    FAILED = "failed"
    NOT_EXERCISED = "not exercised"
    PASSED = "passed"
    INFORMATION = "information"


OUTCOMES = {
    Verdict.PASS: Outcome.PASSED,
    Verdict.FAIL: Outcome.FAILED,
    Verdict.INCONCLUSIVE: Outcome.NOT_EXERCISED,
    Verdict.ABORTED: Outcome.FAILED,
    Verdict.INVALID: Outcome.ERROR,
}
PROPERTY_KINDS: dict[bool, Kind] = {True: "safety", False: "liveness"}
STATUSES: dict[Status, Outcome] = {
    "met": Outcome.PASSED,
    "not met": Outcome.FAILED,
    "undecided": Outcome.NOT_EXERCISED,
    "no data": Outcome.NOT_EXERCISED,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was judged. `statement` is one sentence with its figure."""

    name: str  # the check or objective, such as no_lost_write or `pay p95 in fault`
    kind: Kind  # what sort of judgement it is
    outcome: Outcome  # how it came out
    statement: str  # one sentence with its figure


def cases_of(analysis: Analysis) -> tuple[Case, ...]:
    """Validity first, then properties, then objectives; each in its own order."""
    invalid = analysis.verdict in (Verdict.INVALID, Verdict.ABORTED)
    waived = {waiver.invariant: waiver.until for waiver in analysis.waivers if waiver.lifts}

    def judged(outcome: Outcome) -> Outcome:
        return Outcome.INFORMATION if invalid else outcome

    def of_check(check: CheckResult) -> Case:
        asked, kind = check.judged, PROPERTY_KINDS[check.safety]
        statement, outcome = check.statement, judged(OUTCOMES[check.verdict])
        if check.checker in waived:
            asked, statement = False, f"{statement} (waived until {waived[check.checker]})"
        return Case(check.checker, kind, outcome if asked else Outcome.INFORMATION, statement)

    def of_objective(item: ExpectationResult) -> Case:
        return Case(item.name, "objective", judged(STATUSES[item.status]), describe(item))

    validity = [
        Case(v.name, "validity", Outcome.PASSED if v.ok else OUTCOMES[v.verdict_if_broken], v.statement)
        for v in analysis.validity
    ]
    if not analysis.expectations and not any(check.judged for check in analysis.checks):
        nothing = "no property and no objective was judged"
        validity.append(Case("anything_judged", "validity", judged(Outcome.NOT_EXERCISED), nothing))
    return (*validity, *map(of_check, analysis.checks), *map(of_objective, analysis.expectations))


def having(cases: Iterable[Case], *outcomes: Outcome) -> list[Case]:
    """The cases with one of the outcomes."""
    return [case for case in cases if case.outcome in outcomes]


def count_text(cases: Sequence[Case]) -> str:
    """`9 passed, 1 failed (no_lost_write), 1 not exercised (recovers)`: names where a reader must look."""
    said = []
    for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.NOT_EXERCISED):
        if found := having(cases, outcome):
            names = "" if outcome is Outcome.PASSED else f" ({', '.join(case.name for case in found)})"
            said.append(f"{len(found)} {outcome}{names}")
    return ", ".join(said) or "nothing was judged"
