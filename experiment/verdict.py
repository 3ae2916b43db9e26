"""What a run shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from experiment.errors import ExitCode
from experiment.rows import End


class Verdict(StrEnum):
    """Ordered from best to worst: the worst of the parts wins."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    INVALID = "invalid"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts; of none it is inconclusive, since nothing was seen."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise with its evidence: rows of the history (operations, records) as plain mappings."""

    statement: str  # "order o-1 was shipped twice"
    key: str
    t: float | None
    evidence: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The judgement of one property. `exposed` counts what could have gone wrong: 0 is not exercised."""

    checker: str  # name of the property
    property: str  # one sentence
    safety: bool
    verdict: Verdict
    statement: str  # one sentence with the figure
    exposed: int
    violations: tuple[Violation, ...] = ()  # the first ones, in time order
    violation_count: int = 0
    measures: Mapping[str, float | int | str | None] = field(default_factory=dict)
    judged: bool = True  # False: shown for information, no part of the verdict
    kind: str = ""  # general kind of the property


def exit_code(verdict: Verdict, vetoed: bool, end: End | None) -> ExitCode:
    """Of one run, by its verdict and the last line of its history. Without one the run was killed: it is
    invalid, and the next command sweeps what it left. Which signal interrupted a run only its own command
    knows."""
    if end is not None and not end.clean:
        return ExitCode.CLEANUP_INCOMPLETE
    if end is not None and end.reason == "interrupted":
        return ExitCode.INTERRUPTED
    if verdict is Verdict.INVALID:
        return ExitCode.INVALID
    if vetoed:
        return ExitCode.SAFETY_VETO
    codes = {
        Verdict.PASS: ExitCode.PASS,
        Verdict.FAIL: ExitCode.FAIL,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }
    return codes[verdict]
