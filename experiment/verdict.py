"""What a run shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from experiment.errors import SIGNALS, ExitCode
from experiment.rows import End


class Verdict(StrEnum):
    """Ordered from best to worst: the worst of the parts wins."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ABORTED = "aborted"
    INVALID = "invalid"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts; of none it is inconclusive, since nothing was seen."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise with its evidence: rows of the history (operations, records) as plain mappings."""

    statement: str  # what happened, in one sentence
    key: str  # the business key of the thing
    t: float | None  # when, in seconds since the start of the run
    evidence: tuple[Mapping[str, Any], ...] = ()  # the operations and records that show it


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The judgement of one property. `exposed` counts what could have gone wrong: 0 is not exercised."""

    checker: str  # the name of the property
    property: str  # what it promises, in one sentence
    safety: bool  # whether a violation is a veto
    verdict: Verdict  # how it came out
    statement: str  # one sentence with the figure
    exposed: int  # how many things could have gone wrong; 0: not exercised
    violations: tuple[Violation, ...] = ()  # the first violations, in time order
    violation_count: int = 0  # how many violations there are
    measures: Mapping[str, float | int | str | None] = field(default_factory=dict)
    """Figures of the property, by name."""
    judged: bool = True  # off: shown for information, no part of the verdict
    kind: str = ""  # the general kind of the property
    modelled: bool = True  # off: the twin knows nothing that it could be judged by


def exit_code(verdict: Verdict, vetoed: bool, end: End | None) -> ExitCode:
    """Of one run, by its verdict and the last line of its history. Without one the run was killed: it is
    invalid, and its guard or the next command sweeps what it left."""
    if end is not None and not end.clean:
        return ExitCode.CLEANUP_INCOMPLETE
    if end is not None and end.reason == "interrupted":
        return SIGNALS.get(end.signal or "", ExitCode.INTERRUPTED)
    if verdict is Verdict.INVALID:
        return ExitCode.INVALID
    if vetoed:
        return ExitCode.SAFETY_VETO
    codes = {
        Verdict.PASS: ExitCode.PASS,
        Verdict.FAIL: ExitCode.FAIL,
        Verdict.ABORTED: ExitCode.FAIL,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }
    return codes[verdict]
